//! Standard base64 with padding, read strictly (RFC 4648 §4).
//!
//! White space, the other alphabet, missing padding and stray trailing bits are refused, so that one value has one form. Tokens and digests are
//! written in [`crate::base64url`].

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

/// The text is not base64 with padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected standard base64 with padding")]
pub struct NotBase64;

/// Writes `bytes` as base64 with padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64 with padding.
///
/// # Errors
/// When `text` holds anything else, non-zero trailing bits included.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    STANDARD.decode(text).map_err(|_| NotBase64)
}

/// Appends `bytes` in base64 to a text that has already begun.
pub fn append(bytes: &[u8], to: &mut String) {
    STANDARD.encode_string(bytes, to);
}

#[cfg(test)]
mod tests;
