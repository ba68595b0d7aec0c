//! Keys that sign what goes out to receivers: the one file of this crate that signs.
//!
//! The keys are an endpoint's own, made for it and known to it (HMAC) or published to it. They are none of the product's keys for tokens and checkpoints,
//! which [`countersign_crypto::signing`] holds and whose types this crate never takes.

use super::{SignatureAlgorithm, VerificationKey};
use countersign_base::Secret;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::keypair::{KeyPair, Signed};
use std::fmt;

/// A key that signs with one algorithm.
pub struct SigningKey {
    id: Option<Box<str>>,
    algorithm: SignatureAlgorithm,
    material: Material,
}

enum Material {
    Hmac(HmacKey),
    Pair(KeyPair),
}

impl SigningKey {
    /// A shared secret for HMAC with SHA-256.
    #[must_use]
    pub fn hmac_sha256(secret: &Secret<Vec<u8>>) -> Self {
        Self {
            id: None,
            algorithm: SignatureAlgorithm::HmacSha256,
            material: Material::Hmac(HmacKey::new(HashAlgorithm::Sha2_256, secret.expose())),
        }
    }

    /// A pair for `algorithm`; nothing if pairs of its type do not sign with that.
    #[must_use]
    pub fn pair(algorithm: SignatureAlgorithm, pair: KeyPair) -> Option<Self> {
        algorithm.fits(pair.algorithm()).then_some(Self {
            id: None,
            algorithm,
            material: Material::Pair(pair),
        })
    }

    /// The same key under the name by which receivers know it.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The key that verifies what this one signs, if it is a pair: a shared secret does not leave by this door.
    #[must_use]
    pub fn public(&self) -> Option<VerificationKey> {
        match &self.material {
            Material::Hmac(_) => None,
            Material::Pair(pair) => {
                VerificationKey::public(self.algorithm, pair.public_key().ok()?)
                    .map(|key| key.with_id(self.id.clone()))
            }
        }
    }

    /// The signature over `parts`, one after the other.
    ///
    /// # Errors
    /// When the cryptographic library cannot sign: no memory, no randomness.
    pub(crate) fn signature(&self, parts: &[&[u8]]) -> Result<Vec<u8>, SigningFailed> {
        match (&self.material, self.algorithm.scheme()) {
            (Material::Hmac(key), _) => Ok(key.tag(parts)),
            (Material::Pair(pair), Some(scheme)) => pair
                .sign(scheme, Signed::Message(&parts.concat()))
                .map_err(|_| SigningFailed),
            (Material::Pair(_), None) => Err(SigningFailed),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The cryptographic library did not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key does not sign")]
pub struct SigningFailed;
