//! AES key wrap with padding (RFC 5649, SP 800-38F KWP) under a key of 256 bits: how a key travels under another.
//!
//! It is deterministic and authenticates, and says nothing about where the key came from.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use countersign_base::Secret;

/// Bytes that are wrapped at most: more than any private key of 4096 bits has.
pub const WRAPPED_BYTES_MAX: usize = 16 * 1024;

/// What was wrapped.
///
/// # Errors
/// When it was wrapped under another key, was changed, or is longer than [`WRAPPED_BYTES_MAX`].
pub fn unwrap(key: &Secret<[u8; 32]>, wrapped: &[u8]) -> Result<Secret<Vec<u8>>, KeyWrapError> {
    if wrapped.len() > WRAPPED_BYTES_MAX {
        return Err(KeyWrapError);
    }
    let kek = AesKek::new(&AES_256, key.expose()).map_err(|_| KeyWrapError)?;
    let mut output = vec![0; wrapped.len()];
    let length = kek
        .unwrap_with_padding(wrapped, &mut output)
        .map(|plain| plain.len());
    let mut output = Zeroizing(output);
    output.0.truncate(length.map_err(|_| KeyWrapError)?);
    Ok(Secret::new(std::mem::take(&mut output.0)))
}

/// Wraps `plaintext`.
///
/// # Errors
/// When it is empty or longer than [`WRAPPED_BYTES_MAX`].
pub fn wrap(key: &Secret<[u8; 32]>, plaintext: &[u8]) -> Result<Vec<u8>, KeyWrapError> {
    if plaintext.len() > WRAPPED_BYTES_MAX - 16 {
        return Err(KeyWrapError);
    }
    let kek = AesKek::new(&AES_256, key.expose()).map_err(|_| KeyWrapError)?;
    let mut output = vec![0; plaintext.len() + 15];
    let length = kek
        .wrap_with_padding(plaintext, &mut output)
        .map_err(|_| KeyWrapError)?
        .len();
    output.truncate(length);
    Ok(output)
}

/// Wipes what was unwrapped when the verdict is a refusal.
struct Zeroizing(Vec<u8>);

impl Drop for Zeroizing {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The wrapped key does not open with this one, or is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wrapped key does not open with this key")]
pub struct KeyWrapError;

#[cfg(test)]
mod tests;
