//! AEADs by name, with a nonce that the caller chooses: AES-128-GCM and AES-256-GCM (SP 800-38D), ChaCha20-Poly1305 (RFC 8439) and
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha).
//!
//! For formats that are given by others. What is ours is sealed by `keys::envelope`, which derives a key per message and commits to it; none of these
//! ciphers commits to its key, and two messages under one nonce break them. Who seals here answers for the nonces.

mod hchacha;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use countersign_base::Secret;

/// Bytes of a tag, which follows the ciphertext.
pub const TAG_BYTES: usize = 16;

/// An AEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CipherAlgorithm {
    /// AES-128-GCM with a nonce of 96 bits.
    Aes128Gcm,
    /// AES-256-GCM with a nonce of 96 bits.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
    /// XChaCha20-Poly1305.
    XChaCha20Poly1305,
}

impl CipherAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 4] = [
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::XChaCha20Poly1305,
    ];

    /// Bytes of its key.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::XChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of its nonce.
    #[must_use]
    pub const fn nonce_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 12,
            Self::XChaCha20Poly1305 => 24,
        }
    }
}

/// A key bound to one AEAD.
pub struct CipherKey(Inner);

enum Inner {
    /// As aws-lc has it.
    Plain(LessSafeKey),
    /// The key of XChaCha20, of which each nonce derives another.
    Extended(Secret<[u8; 32]>),
}

impl CipherKey {
    /// Takes a key.
    ///
    /// # Errors
    /// When it has another length than [`CipherAlgorithm::key_bytes`].
    pub fn new(algorithm: CipherAlgorithm, key: &[u8]) -> Result<Self, CipherError> {
        let plain = |aead| {
            UnboundKey::new(aead, key)
                .map(|key| Self(Inner::Plain(LessSafeKey::new(key))))
                .map_err(|_| CipherError)
        };
        match algorithm {
            CipherAlgorithm::Aes128Gcm => plain(&AES_128_GCM),
            CipherAlgorithm::Aes256Gcm => plain(&AES_256_GCM),
            CipherAlgorithm::ChaCha20Poly1305 => plain(&CHACHA20_POLY1305),
            CipherAlgorithm::XChaCha20Poly1305 => {
                let key = key.try_into().map_err(|_| CipherError)?;
                Ok(Self(Inner::Extended(Secret::new(key))))
            }
        }
    }

    /// Nonce, ciphertext and tag of `plaintext`, in this order.
    ///
    /// # Errors
    /// When the nonce has another length than the algorithm's, or the plaintext is longer than it takes.
    pub fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut sealed = Vec::with_capacity(nonce.len() + plaintext.len() + TAG_BYTES);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(nonce.len()..).unwrap_or_default();
        let tag = self.with(nonce, |key, nonce| {
            key.seal_in_place_separate_tag(nonce, Aad::from(aad), body)
                .map_err(|_| CipherError)
        });
        match tag {
            Ok(tag) => {
                sealed.extend_from_slice(tag.as_ref());
                Ok(sealed)
            }
            Err(refused) => {
                // It still holds the plaintext.
                drop(Secret::new(sealed));
                Err(refused)
            }
        }
    }

    /// The plaintext of what [`CipherKey::seal`] wrote after the nonce: ciphertext and tag.
    ///
    /// # Errors
    /// When key, nonce, `aad` or any byte differ from what was sealed. Nothing of the plaintext is released then.
    pub fn open(
        &self,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, CipherError> {
        let (ciphertext, tag) = sealed
            .len()
            .checked_sub(TAG_BYTES)
            .and_then(|at| sealed.split_at_checked(at))
            .ok_or(CipherError)?;
        let mut plaintext = vec![0; ciphertext.len()];
        let opened = self.with(nonce, |key, nonce| {
            key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut plaintext)
                .map_err(|_| CipherError)
        });
        // Taken into custody before the verdict, so that a refused plaintext is wiped too.
        let plaintext = Secret::new(plaintext);
        opened.map(|()| plaintext)
    }

    fn with<T>(
        &self,
        nonce: &[u8],
        act: impl FnOnce(&LessSafeKey, Nonce) -> Result<T, CipherError>,
    ) -> Result<T, CipherError> {
        match &self.0 {
            Inner::Plain(key) => {
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CipherError)?;
                act(key, nonce)
            }
            Inner::Extended(key) => {
                let (head, tail) = nonce.split_first_chunk::<16>().ok_or(CipherError)?;
                let tail: &[u8; 8] = tail.try_into().map_err(|_| CipherError)?;
                let derived = hchacha::derive(key, head);
                let key = UnboundKey::new(&CHACHA20_POLY1305, derived.expose())
                    .map_err(|_| CipherError)?;
                let mut short = [0; 12];
                if let Some(end) = short.last_chunk_mut() {
                    *end = *tail;
                }
                act(&LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
            }
        }
    }
}

impl std::fmt::Debug for CipherKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CipherKey")
    }
}

/// A key or nonce of the wrong length, or a ciphertext that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext does not open with this key, nonce and context")]
pub struct CipherError;

#[cfg(test)]
mod tests;
