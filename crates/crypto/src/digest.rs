//! SHA-256.

use crate::base64url;
use aws_lc_rs::digest;

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_parts(&[bytes])
}

/// SHA-256 of the parts one after the other. Lengths are not separated: a caller that needs that writes them as parts.
#[must_use]
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut output = [0; 32];
    output.copy_from_slice(context.finish().as_ref());
    output
}

/// SHA-256 of `bytes` in base64url: `ath` (RFC 9449 §4.2), `code_challenge` (RFC 7636 §4.2), `x5t#S256` (RFC 8705 §3.1).
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    base64url::encode(&sha256(bytes))
}

#[cfg(test)]
mod tests;
