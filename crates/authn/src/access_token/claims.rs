//! The claims of an access token (RFC 9068 §2.2), typed. Minting serializes this type and a resource reads it, so both mean the same.

use super::details::AuthorizationDetails;
use crate::refusal::Reason;
use crate::subject::{Actor, SubjectId};
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Issuer, Role, Scopes, SessionId, UnixTime, limits,
};
use countersign_crypto::Verified;
use countersign_crypto::jose::{Claims, JwkThumbprint};
use countersign_crypto::x509::CertificateThumbprint;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Attributes in one token.
const ATTRIBUTES_MAX: usize = 64;
/// Method references in one token.
const METHODS_MAX: usize = 16;
/// Bytes of an attribute's name.
const ATTRIBUTE_NAME_BYTES_MAX: usize = 64;

/// What a token says.
#[derive(Clone, PartialEq, Serialize)]
pub struct AccessTokenClaims {
    /// Who made it.
    pub iss: Issuer,
    /// Whom it speaks of: a person, or for a client of its own accord the client.
    pub sub: SubjectId,
    /// Whom it is for: exactly one audience.
    pub aud: Audience,
    /// When it expires.
    pub exp: UnixTime,
    /// When it was made.
    pub iat: UnixTime,
    /// From when on it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<UnixTime>,
    /// Its name.
    pub jti: Bounded<256>,
    /// The client it was made for.
    pub client_id: ClientId,
    /// What it allows.
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    pub scope: Scopes,
    /// The grant it came of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// The sign-in it came of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// When the person signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTime>,
    /// How the person signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<Bounded<128>>,
    /// By which methods (RFC 8176).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub amr: BTreeSet<Bounded<64>>,
    /// The roles of the subject in its tenant.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Attributes of the subject for policies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, AttributeValue>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Act::is_none")]
    pub act: Act,
    /// What it allows beyond scopes (RFC 9396 §9.1).
    #[serde(skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
    /// Who may become the one who acts (RFC 8693 §4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct>,
    /// What the token is bound to (RFC 7800).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl AccessTokenClaims {
    /// Reads the claims of a token whose signature held.
    ///
    /// # Errors
    /// When a claim that RFC 9068 demands is missing, or one that is there has another type or grammar than ours.
    pub fn read(claims: &Verified<Claims>) -> Result<Self, Reason> {
        Self::of(claims)
    }

    /// Reads claims whose origin the caller vouches for: a signature, or the store's own row.
    pub(crate) fn of(claims: &Claims) -> Result<Self, Reason> {
        let client_id: ClientId = required(claims, "client_id")?;
        let sub = SubjectId::read(
            text(claims, "sub")?.ok_or(Reason::ClaimMissing)?,
            &client_id,
        )?;
        Ok(Self {
            iss: required(claims, "iss")?,
            sub,
            aud: single_audience(claims.raw().get("aud"))?,
            exp: time(claims, "exp")?.ok_or(Reason::ClaimMissing)?,
            iat: time(claims, "iat")?.ok_or(Reason::ClaimMissing)?,
            nbf: time(claims, "nbf")?,
            jti: text(claims, "jti")?
                .map(Bounded::parse)
                .transpose()
                .map_err(broken)?
                .ok_or(Reason::ClaimMissing)?,
            client_id,
            scope: optional(claims, "scope")?.unwrap_or_default(),
            grant_id: optional(claims, "grant_id")?,
            // `sid` of an issuer that is not ours may have any form; it names none of our sessions then.
            sid: text(claims, "sid")?.and_then(|sid| sid.parse().ok()),
            auth_time: time(claims, "auth_time")?,
            acr: acr(claims)?,
            amr: methods(claims)?,
            roles: roles(claims)?,
            attrs: attributes(claims.raw().get("attrs"))?,
            act: Act::read(claims.raw().get("act"))?,
            authorization_details: AuthorizationDetails::read(
                claims.raw().get("authorization_details"),
            )
            .map_err(broken)?,
            may_act: claims.raw().get("may_act").map(MayAct::read).transpose()?,
            cnf: confirmation(claims)?,
        })
    }
}

/// Claims speak of people, so only the token's name is shown.
impl fmt::Debug for AccessTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokenClaims({})", self.jti)
    }
}

/// An attribute of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    Text(String),
    /// A set of texts.
    Texts(BTreeSet<String>),
}

/// The chain of actors, the one who acts now first (RFC 8693 §4.1), at most [`limits::ACTORS_MAX`] long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Option<Nested>")]
pub struct Act(Vec<Actor>);

impl Act {
    /// Nobody acts for the subject.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The same chain with `actor` as the one who acts now.
    ///
    /// # Errors
    /// When the chain would be longer than is allowed.
    pub fn by(&self, actor: Actor) -> Result<Self, Reason> {
        if self.0.len() >= limits::ACTORS_MAX {
            return Err(Reason::ActorsTooMany);
        }
        Ok(Self(
            std::iter::once(actor)
                .chain(self.0.iter().cloned())
                .collect(),
        ))
    }

    /// The chain.
    #[must_use]
    pub fn actors(&self) -> &[Actor] {
        &self.0
    }

    /// Whether nobody acts for the subject.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn read(claim: Option<&Value>) -> Result<Self, Reason> {
        let mut actors = Vec::new();
        let mut next = claim;
        while let Some(claim) = next {
            if actors.len() == limits::ACTORS_MAX {
                return Err(Reason::ActorsTooMany);
            }
            let object = claim.as_object().ok_or(Reason::ClaimBroken)?;
            let sub = object
                .get("sub")
                .and_then(Value::as_str)
                .ok_or(Reason::ClaimBroken)?;
            let issuer = match object.get("iss") {
                Some(issuer) => Some(
                    issuer
                        .as_str()
                        .and_then(|issuer| issuer.parse().ok())
                        .ok_or(Reason::ClaimBroken)?,
                ),
                None => None,
            };
            actors.push(Actor {
                sub: Bounded::parse(sub).map_err(broken)?,
                iss: issuer,
            });
            next = object.get("act");
        }
        Ok(Self(actors))
    }
}

/// Who may become the one who acts for the subject (RFC 8693 §4.4): one party, by its `sub`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MayAct {
    /// The party.
    pub sub: Bounded<255>,
}

impl MayAct {
    fn read(claim: &Value) -> Result<Self, Reason> {
        let sub = claim
            .as_object()
            .and_then(|object| object.get("sub"))
            .and_then(Value::as_str)
            .ok_or(Reason::ClaimBroken)?;
        Ok(Self {
            sub: Bounded::parse(sub).map_err(broken)?,
        })
    }

    /// Whether it names this party.
    #[must_use]
    pub fn names(&self, sub: &str) -> bool {
        self.sub.as_str() == sub
    }
}

#[derive(Serialize)]
struct Nested {
    sub: Bounded<255>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<Issuer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Nested>>,
}

impl From<Act> for Option<Nested> {
    fn from(act: Act) -> Self {
        act.0.into_iter().rev().fold(None, |inner, actor| {
            Some(Nested {
                sub: actor.sub,
                iss: actor.iss,
                act: inner.map(Box::new),
            })
        })
    }
}

/// What a token is bound to. A member that is not known here is refused, never skipped: it would be a binding that nobody checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Confirmation {
    /// The certificate of the connection (RFC 8705 §3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(CertificateThumbprint),
    /// The key of a DPoP proof (RFC 9449 §6.1).
    #[serde(rename = "jkt")]
    Dpop(JwkThumbprint),
}

impl Confirmation {
    fn read(claim: &Value) -> Result<Self, Reason> {
        let members: Vec<(&String, &Value)> = claim
            .as_object()
            .ok_or(Reason::ClaimBroken)?
            .iter()
            .collect();
        let [(name, value)] = members.as_slice() else {
            return Err(Reason::ConfirmationUnknown);
        };
        let value = value.as_str().ok_or(Reason::ClaimBroken)?;
        match name.as_str() {
            "jkt" => value
                .parse()
                .map(Self::Dpop)
                .map_err(|_| Reason::ClaimBroken),
            "x5t#S256" => value
                .parse()
                .map(Self::Certificate)
                .map_err(|_| Reason::ClaimBroken),
            _ => Err(Reason::ConfirmationUnknown),
        }
    }
}

pub(crate) fn broken<E>(_: E) -> Reason {
    Reason::ClaimBroken
}

pub(crate) fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, Reason> {
    claims.text(name).map_err(broken)
}

pub(crate) fn time(claims: &Claims, name: &'static str) -> Result<Option<UnixTime>, Reason> {
    claims.time(name).map_err(broken)
}

pub(crate) fn optional<T: std::str::FromStr>(
    claims: &Claims,
    name: &'static str,
) -> Result<Option<T>, Reason> {
    text(claims, name)?
        .map(str::parse)
        .transpose()
        .map_err(broken)
}

pub(crate) fn required<T: std::str::FromStr>(
    claims: &Claims,
    name: &'static str,
) -> Result<T, Reason> {
    optional(claims, name)?.ok_or(Reason::ClaimMissing)
}

/// One audience as a string or as a list of one; a list of several is refused, whoever is in it.
pub(crate) fn single_audience(claim: Option<&Value>) -> Result<Audience, Reason> {
    let one = match claim {
        None => return Err(Reason::ClaimMissing),
        Some(Value::Array(members)) => match members.as_slice() {
            [one] => one,
            _ => return Err(Reason::AudienceMismatch),
        },
        Some(one) => one,
    };
    one.as_str()
        .ok_or(Reason::ClaimBroken)?
        .parse()
        .map_err(broken)
}

pub(crate) fn acr(claims: &Claims) -> Result<Option<Bounded<128>>, Reason> {
    text(claims, "acr")?
        .map(Bounded::parse)
        .transpose()
        .map_err(broken)
}

pub(crate) fn confirmation(claims: &Claims) -> Result<Option<Confirmation>, Reason> {
    let claim = claims.raw().get("cnf");
    claim.map(Confirmation::read).transpose()
}

pub(crate) fn roles(claims: &Claims) -> Result<BTreeSet<Role>, Reason> {
    let Some(roles) = claims.raw().get("roles") else {
        return Ok(BTreeSet::new());
    };
    let roles = roles.as_array().ok_or(Reason::ClaimBroken)?;
    roles
        .iter()
        .map(|role| {
            role.as_str()
                .and_then(|role| role.parse().ok())
                .ok_or(Reason::ClaimBroken)
        })
        .collect()
}

pub(crate) fn methods(claims: &Claims) -> Result<BTreeSet<Bounded<64>>, Reason> {
    let Some(methods) = claims.raw().get("amr") else {
        return Ok(BTreeSet::new());
    };
    let methods = methods.as_array().ok_or(Reason::ClaimBroken)?;
    if methods.len() > METHODS_MAX {
        return Err(Reason::ClaimBroken);
    }
    methods
        .iter()
        .map(|method| Bounded::parse(method.as_str().ok_or(Reason::ClaimBroken)?).map_err(broken))
        .collect()
}

pub(crate) fn attributes(
    claim: Option<&Value>,
) -> Result<BTreeMap<String, AttributeValue>, Reason> {
    let Some(claim) = claim else {
        return Ok(BTreeMap::new());
    };
    let object: &Map<String, Value> = claim.as_object().ok_or(Reason::ClaimBroken)?;
    if object.len() > ATTRIBUTES_MAX
        || object
            .keys()
            .any(|name| name.len() > ATTRIBUTE_NAME_BYTES_MAX)
    {
        return Err(Reason::ClaimBroken);
    }
    object
        .iter()
        .map(|(name, value)| Ok((name.clone(), attribute(value)?)))
        .collect()
}

fn attribute(value: &Value) -> Result<AttributeValue, Reason> {
    match value {
        Value::Bool(value) => Ok(AttributeValue::Bool(*value)),
        Value::Number(number) => number
            .as_i64()
            .map(AttributeValue::Long)
            .ok_or(Reason::ClaimBroken),
        Value::String(text) => Ok(AttributeValue::Text(text.clone())),
        Value::Array(members) => {
            let texts = members.iter().map(|member| {
                member
                    .as_str()
                    .map(str::to_owned)
                    .ok_or(Reason::ClaimBroken)
            });
            texts.collect::<Result<_, _>>().map(AttributeValue::Texts)
        }
        Value::Null | Value::Object(_) => Err(Reason::ClaimBroken),
    }
}
