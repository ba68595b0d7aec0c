//! The value of `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07 §2.1): a String of RFC 8941 §3.3.3, or the same key bare, as callers of other services write it.
//!
//! `"8e03978e-40d5"` and `8e03978e-40d5` are one key. Parameters are refused, and so is whatever a proxy makes of two fields by joining them with a comma: there is one key or none.

use http::header::{HeaderMap, HeaderName};
use std::fmt;

/// The field.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Bytes of a key, its quotes not counted.
pub const KEY_BYTES_MAX: usize = 255;

/// A key: 1 to 255 characters of visible ASCII and, if it came quoted, spaces.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Not one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither a String nor a bare key, or too long.
    #[error("the key is malformed")]
    Malformed,
    /// More than one field.
    #[error("there is more than one key")]
    Several,
}

impl IdempotencyKey {
    /// The key of a request. Absent is not malformed.
    ///
    /// # Errors
    /// When the field is there twice, or holds no key.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, KeyError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err(KeyError::Several),
        }
    }

    /// Reads the value of a field.
    ///
    /// # Errors
    /// When it is neither a String nor a bare key of at most [`KEY_BYTES_MAX`] bytes.
    pub fn parse(value: &[u8]) -> Result<Self, KeyError> {
        let key = match value.strip_prefix(b"\"") {
            Some(rest) => quoted(rest),
            None => bare(value),
        };
        key.filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()))
            .map(Self)
            .ok_or(KeyError::Malformed)
    }

    /// The key without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key is as good as a name for what its caller did: it is not formatted.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} bytes)", self.0.len())
    }
}

/// What stands between the quotes. Nothing may follow the closing one.
fn quoted(rest: &[u8]) -> Option<String> {
    let mut key = String::new();
    let mut bytes = rest.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\') => key.push(char::from(*escaped)),
                _ => return None,
            },
            byte @ b' '..=b'~' => key.push(char::from(*byte)),
            _ => return None,
        }
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    bytes.next().is_none().then_some(key)
}

/// Visible characters, without those that would make a list, a parameter or half a String of it.
fn bare(value: &[u8]) -> Option<String> {
    if value.len() > KEY_BYTES_MAX {
        return None;
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
    value
        .iter()
        .all(plain)
        .then(|| value.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests;
