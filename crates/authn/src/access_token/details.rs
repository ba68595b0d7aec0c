//! `authorization_details` (RFC 9396 §2): what a token allows beyond scopes, as typed objects. The same type is requested, granted and read.
//!
//! Here is what every type shares: the array, `type`, and the common members of §2.2 with their JSON types. What the members of a type must be is a
//! schema's to say, and schemas are the authorization server's (`oauth::authorization_details`).

use countersign_base::ParseError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Objects in one request, grant or token.
pub const DETAILS_MAX: usize = 16;
/// Bytes of all objects of one request, grant or token together, as JSON: a token that carries them stays within what is read.
pub const DETAILS_BYTES_MAX: usize = 3 * 1024;
/// How deep an object may be nested.
const DEPTH_MAX: usize = 8;
/// The common members that are arrays of strings (RFC 9396 §2.2): a narrower request may name fewer of them.
const NARROWED: [&str; 4] = ["actions", "datatypes", "locations", "privileges"];

/// The `type` of an authorization detail: 1 to 128 visible ASCII characters, often a URI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DetailType(String);

impl DetailType {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DetailType {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=128).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::expected(
                "a type of authorization details: 1 to 128 visible ASCII characters",
            ))
        }
    }
}

impl TryFrom<String> for DetailType {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<DetailType> for String {
    fn from(kind: DetailType) -> Self {
        kind.0
    }
}

impl fmt::Display for DetailType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One authorization detail. It may hold an account's number, so only its type is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct AuthorizationDetail {
    kind: DetailType,
    members: Map<String, Value>,
}

impl AuthorizationDetail {
    /// Its `type`.
    #[must_use]
    pub const fn kind(&self) -> &DetailType {
        &self.kind
    }

    /// Every member, `type` included.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The texts of a common member such as `actions`; none if it is absent.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.members
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// Whether it allows nothing that `wider` does not: every member is the same, but of the common arrays there may be fewer elements. A member that is
    /// left out is no narrowing, because an absent `locations` says "everywhere".
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        self.members.len() == wider.members.len()
            && self.members.iter().all(|(name, value)| {
                wider
                    .members
                    .get(name)
                    .is_some_and(|allowed| is_member_within(name, value, allowed))
            })
    }
}

fn is_member_within(name: &str, value: &Value, allowed: &Value) -> bool {
    match (value, allowed) {
        (Value::Array(value), Value::Array(allowed)) if NARROWED.contains(&name) => {
            !value.is_empty() && value.iter().all(|element| allowed.contains(element))
        }
        _ => value == allowed,
    }
}

impl fmt::Debug for AuthorizationDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationDetail({})", self.kind)
    }
}

impl TryFrom<Map<String, Value>> for AuthorizationDetail {
    type Error = DetailsBroken;

    fn try_from(members: Map<String, Value>) -> Result<Self, DetailsBroken> {
        let kind = match members.get("type") {
            Some(Value::String(kind)) => kind.parse().map_err(|_| DetailsBroken::Type)?,
            Some(_) | None => return Err(DetailsBroken::Type),
        };
        for name in NARROWED {
            if !members.get(name).is_none_or(is_texts) {
                return Err(DetailsBroken::Member);
            }
        }
        if !members.get("identifier").is_none_or(Value::is_string)
            || members.values().any(|value| depth(value) > DEPTH_MAX)
        {
            return Err(DetailsBroken::Member);
        }
        Ok(Self { kind, members })
    }
}

impl From<AuthorizationDetail> for Map<String, Value> {
    fn from(detail: AuthorizationDetail) -> Self {
        detail.members
    }
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|elements| elements.iter().all(Value::is_string))
}

/// The parser itself never goes deeper than its own limit, so neither does this.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// All authorization details of a request, grant or token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "Vec<AuthorizationDetail>",
    into = "Vec<AuthorizationDetail>"
)]
pub struct AuthorizationDetails(Vec<AuthorizationDetail>);

impl AuthorizationDetails {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads the value of the parameter.
    ///
    /// # Errors
    /// It is no array of objects that each have a `type`, or it is past a limit.
    pub fn parse(text: &str) -> Result<Self, DetailsBroken> {
        if text.len() > 4 * DETAILS_BYTES_MAX {
            return Err(DetailsBroken::TooLong);
        }
        let objects: Vec<Value> = serde_json::from_str(text).map_err(|_| DetailsBroken::Json)?;
        if objects.is_empty() {
            return Err(DetailsBroken::Json);
        }
        Self::of(objects)
    }

    /// Reads the claim of a token: absent means none.
    pub(crate) fn read(claim: Option<&Value>) -> Result<Self, DetailsBroken> {
        match claim {
            None => Ok(Self::none()),
            Some(Value::Array(objects)) => Self::of(objects.clone()),
            Some(_) => Err(DetailsBroken::Json),
        }
    }

    fn of(objects: Vec<Value>) -> Result<Self, DetailsBroken> {
        let details = objects
            .into_iter()
            .map(|object| match object {
                Value::Object(members) => AuthorizationDetail::try_from(members),
                _ => Err(DetailsBroken::Json),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::try_from(details)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizationDetail> {
        self.0.iter()
    }

    /// Their types.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&DetailType> {
        self.0.iter().map(AuthorizationDetail::kind).collect()
    }

    /// Whether each of them allows nothing that one of `wider` does not.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        self.0
            .iter()
            .all(|detail| wider.0.iter().any(|granted| detail.is_within(granted)))
    }

    /// Those that `keep` keeps.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&AuthorizationDetail) -> bool) -> Self {
        Self(
            self.0
                .iter()
                .filter(|detail| keep(detail))
                .cloned()
                .collect(),
        )
    }
}

impl TryFrom<Vec<AuthorizationDetail>> for AuthorizationDetails {
    type Error = DetailsBroken;

    fn try_from(details: Vec<AuthorizationDetail>) -> Result<Self, DetailsBroken> {
        let length = serde_json::to_vec(&details)
            .map_err(|_| DetailsBroken::Json)?
            .len();
        if details.len() > DETAILS_MAX || length > DETAILS_BYTES_MAX {
            return Err(DetailsBroken::TooLong);
        }
        Ok(Self(details))
    }
}

impl From<AuthorizationDetails> for Vec<AuthorizationDetail> {
    fn from(details: AuthorizationDetails) -> Self {
        details.0
    }
}

/// Why a text is no `authorization_details`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetailsBroken {
    /// Not a JSON array of objects with at least one element.
    #[error("authorization_details is not a JSON array of objects")]
    Json,
    /// A common member of another type than RFC 9396 §2.2 says, or an object nested too deep.
    #[error("a member of authorization_details has another type")]
    Member,
    /// More objects or bytes than are read.
    #[error("authorization_details is too long")]
    TooLong,
    /// `type` is missing or no name.
    #[error("an object of authorization_details has no type")]
    Type,
}

#[cfg(test)]
mod tests;
