//! AES-256-GCM, for formats that derive a key per message and so never use a nonce twice.
//!
//! Not here: a format. What is stored is written by `keys::envelope`, which also commits to its key; GCM alone does not.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use countersign_base::Secret;
use std::fmt;

/// Bytes of a GCM tag, which follows the ciphertext.
pub const TAG_BYTES: usize = 16;

/// A key for AES-256-GCM.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// Makes the key of 32 bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "AES-256 takes every key of 32 bytes")]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key.expose()).expect("32 bytes are a key of AES-256"),
        ))
    }

    /// Ciphertext and tag of `plaintext`. The caller never uses one nonce twice with one key.
    ///
    /// # Errors
    /// When `plaintext` is longer than GCM takes (64 GiB).
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadError> {
        let mut sealed = Vec::with_capacity(plaintext.len() + TAG_BYTES);
        self.seal_into(nonce, aad, plaintext, &mut sealed)?;
        Ok(sealed)
    }

    /// Like [`AeadKey::seal`], appended to what `output` already holds.
    ///
    /// # Errors
    /// When `plaintext` is longer than GCM takes; `output` is then as it was.
    pub fn seal_into(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), AeadError> {
        let start = output.len();
        output.extend_from_slice(plaintext);
        let body = output.get_mut(start..).unwrap_or_default();
        match self.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            body,
        ) {
            Ok(tag) => {
                output.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                output.truncate(start);
                Err(AeadError)
            }
        }
    }

    /// The plaintext of `sealed` (ciphertext and tag).
    ///
    /// # Errors
    /// When key, nonce, `aad` or any byte of `sealed` differ from what was sealed. Nothing of the plaintext is released then.
    pub fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, AeadError> {
        let (ciphertext, tag) = sealed
            .len()
            .checked_sub(TAG_BYTES)
            .and_then(|at| sealed.split_at_checked(at))
            .ok_or(AeadError)?;
        let mut plaintext = vec![0; ciphertext.len()];
        let opened = self.0.open_separate_gather(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            ciphertext,
            tag,
            &mut plaintext,
        );
        // Taken into custody before the verdict, so that a refused plaintext is wiped too.
        let plaintext = Secret::new(plaintext);
        opened.map(|()| plaintext).map_err(|_| AeadError)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey")
    }
}

/// The ciphertext does not open, or the plaintext is too long to seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext does not open with this key, nonce and context")]
pub struct AeadError;

#[cfg(test)]
mod tests;
