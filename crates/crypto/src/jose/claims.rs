//! The claims of a token (RFC 7519 §4), read through getters that know three cases: absent, present, and of the wrong JSON type.
//!
//! The wrong type is an error, never an absence: an `exp` that is a string must not become a token without expiry (CVE-2026-25537).

use countersign_base::UnixTime;
use serde_json::{Map, Value};
use std::fmt;

/// The last second of the year 9999: what a `NumericDate` may say at most.
const TIME_MAX: i64 = 253_402_300_799;

/// The claims of one token.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Claims from another place than a token's payload. They prove nothing: what was checked is `Verified<Claims>`, which this is not.
    #[must_use]
    pub const fn from_members(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A claim that is a string.
    ///
    /// # Errors
    /// When the claim is of another type; `null` is one.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ClaimError> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A claim that is a point in time: a whole number of seconds, from 1970 to 9999.
    ///
    /// # Errors
    /// When the claim is anything else; fractions, negative and huge numbers are.
    pub fn time(&self, name: &'static str) -> Result<Option<UnixTime>, ClaimError> {
        let whole = |value: &Value| {
            value
                .as_i64()
                .filter(|seconds| (0..=TIME_MAX).contains(seconds))
                .map(UnixTime)
        };
        self.typed(
            name,
            "a whole number of seconds between 1970 and 9999",
            whole,
        )
    }

    /// A claim that is one string or an array of strings, as `aud` is (RFC 7519 §4.1.3). An empty array is an empty list.
    ///
    /// # Errors
    /// When the claim is anything else.
    pub fn strings(&self, name: &'static str) -> Result<Option<Vec<&str>>, ClaimError> {
        self.typed(
            name,
            "a string or an array of strings",
            |value| match value {
                Value::String(text) => Some(vec![text.as_str()]),
                Value::Array(elements) => elements.iter().map(Value::as_str).collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
            },
        )
    }

    /// A claim that is an object, as `cnf` and `act` are.
    ///
    /// # Errors
    /// When the claim is of another type.
    pub fn object(&self, name: &'static str) -> Result<Option<&Map<String, Value>>, ClaimError> {
        self.typed(name, "an object", Value::as_object)
    }

    /// A claim that is `true` or `false`.
    ///
    /// # Errors
    /// When the claim is of another type.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, ClaimError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// Every claim as it was sent.
    #[must_use]
    pub const fn raw(&self) -> &Map<String, Value> {
        &self.0
    }

    fn typed<'a, T>(
        &'a self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ClaimError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or(ClaimError { name, expected }),
        }
    }
}

/// Claims can hold personal data, so only their number is shown.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({})", self.0.len())
    }
}

/// A claim of the wrong JSON type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the claim `{name}` is not {expected}")]
pub struct ClaimError {
    name: &'static str,
    expected: &'static str,
}

impl ClaimError {
    /// The claim.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
mod tests;
