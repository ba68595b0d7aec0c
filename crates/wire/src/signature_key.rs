//! Keys that verify what others signed: each bound to one algorithm and, where senders name their keys, to a name.
//!
//! HMAC tags are compared in constant time, and every key in rotation is tried whatever the one before it said. Signatures of public keys are public, so there
//! the first that holds ends the search.

mod signing;

pub use signing::{SigningFailed, SigningKey};

use countersign_base::Secret;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::keypair::{
    EcdsaForm, KeyPairAlgorithm, PssSalt, PublicKey, SignatureScheme, Signed,
};
use std::fmt;

/// How something is signed. Nothing is negotiated: a key has one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256, both integers at full length: JOSE and RFC 9421.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-256, as a sequence in DER: OpenSSL.
    EcdsaP256Sha256Asn1,
    /// Ed25519.
    Ed25519,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// RSA-PSS with SHA-256 and a salt as long as the hash: `PS256` of JOSE.
    RsaPssSha256,
    /// RSA-PSS with SHA-512 and a salt as long as the hash.
    RsaPssSha512,
}

impl SignatureAlgorithm {
    /// How the key pairs of the crypto crate call it; HMAC is none of theirs.
    #[must_use]
    pub const fn scheme(self) -> Option<SignatureScheme> {
        match self {
            Self::EcdsaP256Sha256 => Some(SignatureScheme::Ecdsa {
                hash: HashAlgorithm::Sha2_256,
                form: EcdsaForm::Fixed,
            }),
            Self::EcdsaP256Sha256Asn1 => Some(SignatureScheme::Ecdsa {
                hash: HashAlgorithm::Sha2_256,
                form: EcdsaForm::Asn1,
            }),
            Self::Ed25519 => Some(SignatureScheme::Ed25519),
            Self::HmacSha256 | Self::HmacSha512 => None,
            Self::RsaPssSha256 => Some(SignatureScheme::RsaPss {
                hash: HashAlgorithm::Sha2_256,
                salt: PssSalt::Hash,
            }),
            Self::RsaPssSha512 => Some(SignatureScheme::RsaPss {
                hash: HashAlgorithm::Sha2_512,
                salt: PssSalt::Hash,
            }),
        }
    }

    /// Whether keys of `algorithm` sign with it.
    #[must_use]
    pub const fn fits(self, algorithm: KeyPairAlgorithm) -> bool {
        match algorithm {
            KeyPairAlgorithm::EcdsaP256 => {
                matches!(self, Self::EcdsaP256Sha256 | Self::EcdsaP256Sha256Asn1)
            }
            KeyPairAlgorithm::Ed25519 => matches!(self, Self::Ed25519),
            KeyPairAlgorithm::EcdsaP384 | KeyPairAlgorithm::EcdsaP521 => false,
            KeyPairAlgorithm::Rsa2048 | KeyPairAlgorithm::Rsa3072 | KeyPairAlgorithm::Rsa4096 => {
                matches!(self, Self::RsaPssSha256 | Self::RsaPssSha512)
            }
        }
    }
}

/// A key that verifies signatures of one algorithm.
pub struct VerificationKey {
    id: Option<Box<str>>,
    algorithm: SignatureAlgorithm,
    material: Material,
}

enum Material {
    Hmac(HmacKey),
    Public(PublicKey),
}

impl VerificationKey {
    /// A shared secret for HMAC with SHA-256.
    #[must_use]
    pub fn hmac_sha256(secret: &Secret<Vec<u8>>) -> Self {
        Self {
            id: None,
            algorithm: SignatureAlgorithm::HmacSha256,
            material: Material::Hmac(HmacKey::new(HashAlgorithm::Sha2_256, secret.expose())),
        }
    }

    /// A shared secret for HMAC with SHA-512.
    #[must_use]
    pub fn hmac_sha512(secret: &Secret<Vec<u8>>) -> Self {
        Self {
            id: None,
            algorithm: SignatureAlgorithm::HmacSha512,
            material: Material::Hmac(HmacKey::new(HashAlgorithm::Sha2_512, secret.expose())),
        }
    }

    /// A public key for `algorithm`; nothing if keys of its type do not sign with that.
    #[must_use]
    pub fn public(algorithm: SignatureAlgorithm, key: PublicKey) -> Option<Self> {
        algorithm.fits(key.algorithm()).then_some(Self {
            id: None,
            algorithm,
            material: Material::Public(key),
        })
    }

    /// The same key under the name by which the sender calls it.
    #[must_use]
    pub fn with_id(mut self, id: Option<Box<str>>) -> Self {
        self.id = id;
        self
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether the sender can mean this key: the name agrees, or one of the two has none.
    #[must_use]
    pub fn answers_to(&self, named: Option<&str>) -> bool {
        match (self.id(), named) {
            (Some(id), Some(named)) => id == named,
            (None, _) | (_, None) => true,
        }
    }

    /// Whether one of `signatures` is this key's over `parts`, one after the other.
    pub(crate) fn judge(&self, parts: &[&[u8]], signatures: &[&[u8]]) -> Option<SignatureHolds> {
        match &self.material {
            Material::Hmac(key) => {
                let tag = Secret::new(key.tag(parts));
                let mut held = None;
                for signature in signatures {
                    // Every one is compared, so that the time does not tell which was right.
                    if tag.matches(signature) {
                        held = Some(SignatureHolds(()));
                    }
                }
                held
            }
            Material::Public(key) => {
                let scheme = self.algorithm.scheme()?;
                let message = parts.concat();
                signatures.iter().find_map(|signature| {
                    key.verify(scheme, Signed::Message(&message), signature)
                        .ok()
                        .map(|_matches| SignatureHolds(()))
                })
            }
        }
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Evidence that a signature held under a key of the receiver.
#[derive(Debug)]
#[must_use]
pub(crate) struct SignatureHolds(());
