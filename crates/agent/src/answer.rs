//! What the vault answers: the fields of a secret and how long they are good for, and the token of a sign-in.
//!
//! An answer of KV version 2 is taken apart: its fields are those of the secret, not `data` and `metadata`. Nothing here has `Debug`, and what is held is wiped when it goes.

use countersign_base::{Duration, Secret, UnixMillis};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// The longest span that an answer is believed; beyond it (ten years) numbers are somebody's mistake.
const SPAN_MAX: u64 = 315_360_000;
/// Characters of a lease's name.
const LEASE_MAX: usize = 1_024;

/// Why this is no answer. What stood in it is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// There is no object `data`.
    #[error("the answer holds no secret")]
    NoSecret,
    /// There is no `auth` with a token.
    #[error("the answer holds no token")]
    NoToken,
    /// Not an envelope of the API.
    #[error("the answer is not one of the vault")]
    NotJson,
}

/// How long an answer is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifetime {
    /// It changes by itself after this time: the password of a static role.
    Changing(Duration),
    /// As long as a lease.
    Leased {
        /// The lease's name, by which it is renewed.
        lease: String,
        /// How long it is good for from now.
        span: Duration,
        /// Whether it can be renewed.
        renewable: Renewable,
    },
    /// Until somebody writes another one.
    Standing,
    /// Until a moment that stands in it: a certificate's.
    Until(UnixMillis),
}

/// Whether something can be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewable {
    /// It cannot: another one takes its place.
    No,
    /// It can.
    Yes,
}

impl Renewable {
    const fn of(said: bool) -> Self {
        if said { Self::Yes } else { Self::No }
    }
}

/// A secret as the vault answered it.
pub struct Answer {
    fields: Map<String, Value>,
    lifetime: Lifetime,
}

impl Answer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// When it holds no secret.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let mut envelope = envelope(body)?;
        let lifetime = leased(&envelope);
        let Some(Value::Object(mut data)) = envelope.remove("data") else {
            return Err(AnswerError::NoSecret);
        };
        let version_two = data.len() == 2 && data.get("metadata").is_some_and(Value::is_object);
        let fields = match (version_two, data.get_mut("data")) {
            (true, Some(Value::Object(inner))) => std::mem::take(inner),
            // The current version was deleted.
            (true, Some(Value::Null)) => return Err(AnswerError::NoSecret),
            _ => data,
        };
        let lifetime = lifetime.unwrap_or_else(|| of_fields(&fields));
        Ok(Self { fields, lifetime })
    }

    /// How long it is good for.
    #[must_use]
    pub const fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    /// One of its fields.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// All of its fields.
    pub(crate) const fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// A field that is text, as configuration uses it.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Secret<String>> {
        match self.fields.get(name)? {
            Value::String(text) => Some(Secret::new(text.clone())),
            Value::Array(_)
            | Value::Bool(_)
            | Value::Null
            | Value::Number(_)
            | Value::Object(_) => None,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.fields.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}

/// The token of a sign-in, or of its renewal.
pub struct Login {
    /// The token.
    pub token: Secret<String>,
    /// How long it lives; absent: without an end.
    pub span: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: Renewable,
}

impl Login {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// When it holds no token.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let mut envelope = envelope(body)?;
        let Some(Value::Object(mut auth)) = envelope.remove("auth") else {
            return Err(AnswerError::NoToken);
        };
        let Some(Value::String(token)) = auth.remove("client_token") else {
            return Err(AnswerError::NoToken);
        };
        let token = Secret::new(token);
        let fits = |text: &String| {
            (1..=4_096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !fits(token.expose()) {
            return Err(AnswerError::NoToken);
        }
        Ok(Self {
            token,
            span: span(auth.get("lease_duration")),
            renewable: Renewable::of(auth.get("renewable") == Some(&Value::Bool(true))),
        })
    }
}

/// What a renewal of a lease or token gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// How long it is good for from now.
    pub span: Duration,
}

impl Renewed {
    /// Reads the answer of a lease's renewal.
    ///
    /// # Errors
    /// When it says no time.
    pub fn of_lease(body: &[u8]) -> Result<Self, AnswerError> {
        let envelope = envelope(body)?;
        let span = span(envelope.get("lease_duration")).ok_or(AnswerError::NotJson)?;
        Ok(Self { span })
    }
}

fn envelope(body: &[u8]) -> Result<Map<String, Value>, AnswerError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(envelope)) => Ok(envelope),
        Ok(_) | Err(_) => Err(AnswerError::NotJson),
    }
}

/// The lease of an answer, if it has one. A lease without an end is none to renew.
fn leased(envelope: &Map<String, Value>) -> Option<Lifetime> {
    let lease = envelope.get("lease_id").and_then(Value::as_str)?;
    if lease.is_empty() || lease.len() > LEASE_MAX {
        return None;
    }
    Some(Lifetime::Leased {
        lease: lease.to_owned(),
        span: span(envelope.get("lease_duration"))?,
        renewable: Renewable::of(envelope.get("renewable") == Some(&Value::Bool(true))),
    })
}

/// What the fields say of their own life: a certificate's end, or the time until a static role's password is changed.
fn of_fields(fields: &Map<String, Value>) -> Lifetime {
    let certificate = fields.get("certificate").is_some_and(Value::is_string);
    let end = fields.get("expiration").and_then(Value::as_i64);
    if let (true, Some(end)) = (certificate, end) {
        return Lifetime::Until(UnixMillis(end.saturating_mul(1_000)));
    }
    let rotated = fields.contains_key("rotation_period") && fields.contains_key("password");
    match (rotated, span(fields.get("ttl"))) {
        (true, Some(span)) => Lifetime::Changing(span),
        _ => Lifetime::Standing,
    }
}

/// A number of seconds; zero is none.
fn span(value: Option<&Value>) -> Option<Duration> {
    let seconds = value.and_then(Value::as_u64)?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(SPAN_MAX)))
}

#[cfg(test)]
mod tests;
