//! Sealing and opening one message with one version of a key, as ciphertexts of the Vault API are made (docs/transit.md).
//!
//! **How often a version has sealed.** Under random nonces of 96 bits a key must not seal more than 2^32 messages. Counting each would write the entry at each.
//! So they are counted by sample: a message whose nonce ends in 20 zero bits, which one in 2^20 does, counts for 2^20. Nothing is reserved and nothing is lost
//! when a process ends, several nodes count together, and an entry is written once in a million messages. A version is replaced at a count of 2^31. That the true
//! number is then above 2^32 has a probability below 2^-900 (Chernoff, mean 4096 hits where fewer than 2048 came).
//!
//! Nonces of 192 bits need no counting. Convergent nonces are no random ones: they repeat with their plaintext, as they must.

use super::kind::Kind;
use super::row::{Derivation, KeyRow, Version};
use crate::VaultError;
use countersign_base::Secret;
use countersign_crypto::cipher::{CipherAlgorithm, CipherKey};
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::kdf::hkdf_sha256;
use countersign_crypto::keypair::{KeyPairError, OaepHash};
use countersign_crypto::random::Random;

/// For how many messages a counted one stands.
pub const COUNT_STEP: u64 = 1 << 20;
/// Bytes derived for a context: the cipher's key, and two of 32 bytes for nonces.
const DERIVED_BYTES: usize = 96;
const NONCE_KEY_BYTES: usize = 32;

/// What surrounds a message.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Which derived key; empty for none.
    pub context: &'a [u8],
    /// What the ciphertext is bound to.
    pub associated_data: &'a [u8],
}

/// A sealed message.
pub struct Sealed {
    /// Nonce, ciphertext and tag; what RSA gives.
    pub bytes: Vec<u8>,
    /// What it adds to the version's count.
    pub counted: u64,
}

/// Refuses a key whose context is missing.
///
/// # Errors
/// [`VaultError::Invalid`] with the text that clients know.
pub fn check_context(derivation: Derivation, context: &[u8]) -> Result<(), VaultError> {
    if derivation != Derivation::None && context.is_empty() {
        return Err(VaultError::invalid(
            "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
        ));
    }
    Ok(())
}

/// Seals a message with a version.
///
/// # Errors
/// When the type does not encrypt, the context is missing, or the plaintext is too long for RSA.
pub fn seal(
    row: &KeyRow,
    version: &Version,
    around: Around<'_>,
    plaintext: &[u8],
    random: &Random,
) -> Result<Sealed, VaultError> {
    let algorithm = match row.key_type.kind() {
        Kind::Cipher(algorithm) => algorithm,
        Kind::Pair(algorithm) if row.key_type.is_rsa() => {
            let sealed = version
                .public_key(algorithm)?
                .encrypt_oaep(OaepHash::Sha256, plaintext);
            return match sealed {
                Ok(bytes) => Ok(Sealed { bytes, counted: 0 }),
                Err(KeyPairError::Refused) => Err(VaultError::invalid(
                    "failed to RSA encrypt the plaintext: it is longer than the key allows",
                )),
                Err(_) => Err(VaultError::Corrupt),
            };
        }
        Kind::Pair(_) | Kind::Hmac => return Err(unsupported("encryption", row)),
    };
    let keys = Keys::of(row.derivation, algorithm, version, around.context)?;
    let nonce = keys.nonce(algorithm, around.associated_data, plaintext, random);
    let bytes = keys
        .cipher
        .seal(&nonce, around.associated_data, plaintext)
        .map_err(|_| VaultError::TooLarge)?;
    let counted = match keys.nonces {
        Nonces::Random if algorithm.nonce_bytes() == 12 => count(&nonce),
        Nonces::Random | Nonces::Convergent { .. } => 0,
    };
    Ok(Sealed { bytes, counted })
}

/// Opens a message with a version.
///
/// # Errors
/// When the type does not decrypt, the context is missing, or anything differs from what was sealed.
pub fn open(
    row: &KeyRow,
    version: &Version,
    around: Around<'_>,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, VaultError> {
    let algorithm = match row.key_type.kind() {
        Kind::Cipher(algorithm) => algorithm,
        Kind::Pair(algorithm) if row.key_type.is_rsa() => {
            return version
                .pair(algorithm)?
                .decrypt_oaep(OaepHash::Sha256, sealed)
                .map_err(|_| VaultError::invalid("failed to RSA decrypt the ciphertext"));
        }
        Kind::Pair(_) | Kind::Hmac => return Err(unsupported("decryption", row)),
    };
    let keys = Keys::of(row.derivation, algorithm, version, around.context)?;
    let (nonce, body) = sealed
        .split_at_checked(algorithm.nonce_bytes())
        .ok_or_else(|| VaultError::invalid("invalid ciphertext length"))?;
    keys.cipher
        .open(nonce, around.associated_data, body)
        .map_err(|_| VaultError::invalid("cipher: message authentication failed"))
}

/// The error for a type that does not do it.
#[must_use]
pub fn unsupported(what: &str, row: &KeyRow) -> VaultError {
    VaultError::invalid(format!(
        "message {what} not supported for key type {}",
        row.key_type
    ))
}

/// What a message counts for.
fn count(nonce: &[u8]) -> u64 {
    let sampled = nonce
        .last_chunk::<4>()
        .is_some_and(|end| u64::from(u32::from_be_bytes(*end)) & (COUNT_STEP - 1) == 0);
    if sampled { COUNT_STEP } else { 0 }
}

struct Keys {
    cipher: CipherKey,
    nonces: Nonces,
}

enum Nonces {
    /// Of the plaintext: for messages without associated data, and for those with.
    Convergent { bare: HmacKey, bound: HmacKey },
    /// Drawn.
    Random,
}

impl Keys {
    fn of(
        derivation: Derivation,
        algorithm: CipherAlgorithm,
        version: &Version,
        context: &[u8],
    ) -> Result<Self, VaultError> {
        check_context(derivation, context)?;
        let key = version.key.secret();
        let cipher = |key: &[u8]| CipherKey::new(algorithm, key).map_err(|_| VaultError::Corrupt);
        if derivation == Derivation::None {
            return Ok(Self {
                cipher: cipher(key.expose())?,
                nonces: Nonces::Random,
            });
        }
        let derived = hkdf_sha256::<DERIVED_BYTES>(key.expose(), b"", &[context]);
        let (for_cipher, rest) = derived
            .expose()
            .split_at_checked(algorithm.key_bytes())
            .ok_or(VaultError::Corrupt)?;
        let nonces = match (derivation, rest.split_at_checked(NONCE_KEY_BYTES)) {
            (Derivation::Convergent, Some((bare, rest))) => {
                let bound = rest.get(..NONCE_KEY_BYTES).ok_or(VaultError::Corrupt)?;
                Nonces::Convergent {
                    bare: HmacKey::new(HashAlgorithm::Sha2_256, bare),
                    bound: HmacKey::new(HashAlgorithm::Sha2_256, bound),
                }
            }
            (Derivation::Convergent, None) => return Err(VaultError::Corrupt),
            (Derivation::Context | Derivation::None, _) => Nonces::Random,
        };
        Ok(Self {
            cipher: cipher(for_cipher)?,
            nonces,
        })
    }

    /// The nonce of a message. With associated data the nonce depends on it too: one nonce under two of them would give the authentication key of GCM away.
    fn nonce(
        &self,
        algorithm: CipherAlgorithm,
        associated_data: &[u8],
        plaintext: &[u8],
        random: &Random,
    ) -> Vec<u8> {
        let mut nonce = match &self.nonces {
            Nonces::Random => {
                let mut nonce = vec![0; algorithm.nonce_bytes()];
                random.fill(&mut nonce);
                nonce
            }
            Nonces::Convergent { bare, .. } if associated_data.is_empty() => bare.tag(&[plaintext]),
            Nonces::Convergent { bound, .. } => {
                let length = u64::try_from(associated_data.len()).unwrap_or(u64::MAX);
                bound.tag(&[&length.to_be_bytes(), associated_data, plaintext])
            }
        };
        nonce.truncate(algorithm.nonce_bytes());
        nonce
    }
}

#[cfg(test)]
mod tests;
