//! Asymmetric keys that belong to a caller of the vault, by algorithm: made, kept as PKCS#8 (RFC 5958), signed with, verified with, encrypted to.
//!
//! Not for the product's own word: what Countersign itself signs is signed by [`crate::signing::SigningKey`], whose type names its purpose. Here the caller
//! chooses the message, so none of these keys is ever one of those.
//!
//! Signatures: Ed25519 (RFC 8032), ECDSA on P-256, P-384 and P-521 with every [`HashAlgorithm`] (FIPS 186-5 §6.4.1), RSA of 2048, 3072 and 4096 bits with
//! PKCS#1 v1.5 and PSS (RFC 8017) and SHA-256, SHA-384 or SHA-512. Encryption: RSA with OAEP.

pub(crate) mod der;
mod ecdsa;
mod public;
mod rsa;

pub use public::{PublicKey, SignatureMatches};
pub use rsa::{OaepHash, PssSalt};

use crate::digest::HashAlgorithm;
use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use countersign_base::Secret;
use std::fmt;

/// What a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPairAlgorithm {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

impl KeyPairAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Ed25519,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// Bytes of the modulus, if it is RSA.
    const fn modulus_bytes(self) -> Option<usize> {
        match self {
            Self::Rsa2048 => Some(256),
            Self::Rsa3072 => Some(384),
            Self::Rsa4096 => Some(512),
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 | Self::Ed25519 => None,
        }
    }

    /// A new pair. aws-lc draws the randomness itself. RSA takes its time, a second and more at 4096 bits.
    ///
    /// # Errors
    /// [`KeyPairError::Failed`]: no memory, no randomness.
    pub fn generate(self) -> Result<KeyPair, KeyPairError> {
        let failed = |_| KeyPairError::Failed;
        let private = match self {
            Self::Ed25519 => Private::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Self::EcdsaP256 => ecdsa::Curve::P256.generate().map(Private::Ecdsa)?,
            Self::EcdsaP384 => ecdsa::Curve::P384.generate().map(Private::Ecdsa)?,
            Self::EcdsaP521 => ecdsa::Curve::P521.generate().map(Private::Ecdsa)?,
            Self::Rsa2048 => Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Self::Rsa3072 => Private::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?),
            Self::Rsa4096 => Private::Rsa(RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?),
        };
        Ok(KeyPair {
            algorithm: self,
            private,
        })
    }

    const fn curve(self) -> Option<ecdsa::Curve> {
        match self {
            Self::EcdsaP256 => Some(ecdsa::Curve::P256),
            Self::EcdsaP384 => Some(ecdsa::Curve::P384),
            Self::EcdsaP521 => Some(ecdsa::Curve::P521),
            Self::Ed25519 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => None,
        }
    }
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub enum Signed<'a> {
    /// The hash of the message, which the caller computed with the scheme's hash.
    Digest(&'a [u8]),
    /// The message.
    Message(&'a [u8]),
}

impl Signed<'_> {
    /// The digest to sign.
    fn digest(self, hash: HashAlgorithm) -> Result<Vec<u8>, KeyPairError> {
        match self {
            Self::Digest(digest) if digest.len() == hash.output_bytes() => Ok(digest.to_vec()),
            Self::Digest(_) => Err(KeyPairError::DigestLength),
            Self::Message(message) => Ok(hash.hash(&[message])),
        }
    }
}

/// How an ECDSA signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcdsaForm {
    /// A DER sequence of the two integers (RFC 3279 §2.2.3): X.509, TLS, OpenSSL.
    Asn1,
    /// Both integers at their full length (RFC 7518 §3.4): JWS.
    Fixed,
}

/// How something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureScheme {
    /// ECDSA over the hash.
    Ecdsa {
        /// The hash.
        hash: HashAlgorithm,
        /// The form of the signature.
        form: EcdsaForm,
    },
    /// Ed25519 over the message itself.
    Ed25519,
    /// RSA with PKCS#1 v1.5 (RFC 8017 §8.2).
    RsaPkcs1v15 {
        /// The hash.
        hash: HashAlgorithm,
    },
    /// RSA with PSS (RFC 8017 §8.1), MGF1 with the same hash.
    RsaPss {
        /// The hash.
        hash: HashAlgorithm,
        /// Bytes of the salt.
        salt: PssSalt,
    },
}

/// A private key and its public half.
pub struct KeyPair {
    algorithm: KeyPairAlgorithm,
    private: Private,
}

enum Private {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl KeyPair {
    /// Takes a private key in PKCS#8; RSA also as `RSAPrivateKey` (RFC 8017 appendix A.1.2), EC also as `ECPrivateKey` (RFC 5915).
    ///
    /// # Errors
    /// [`KeyPairError::Rejected`] when the bytes are no key of the algorithm, or RSA of another size.
    pub fn from_der(
        algorithm: KeyPairAlgorithm,
        der: &Secret<Vec<u8>>,
    ) -> Result<Self, KeyPairError> {
        let refused = |_| KeyPairError::Rejected;
        let der = der.expose();
        let private = if let Some(curve) = algorithm.curve() {
            Private::Ecdsa(curve.read(der)?)
        } else if let Some(modulus_bytes) = algorithm.modulus_bytes() {
            let pair = RsaKeyPair::from_pkcs8(der)
                .or_else(|_| RsaKeyPair::from_der(der))
                .map_err(refused)?;
            if pair.public_modulus_len() != modulus_bytes {
                return Err(KeyPairError::Rejected);
            }
            Private::Rsa(pair)
        } else {
            Private::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(refused)?)
        };
        Ok(Self { algorithm, private })
    }

    /// The Ed25519 pair of a seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyPairError::Failed`]: no memory.
    pub fn from_ed25519_seed(seed: &Secret<[u8; 32]>) -> Result<Self, KeyPairError> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map(|pair| Self {
                algorithm: KeyPairAlgorithm::Ed25519,
                private: Private::Ed25519(pair),
            })
            .map_err(|_| KeyPairError::Failed)
    }

    /// What it is.
    #[must_use]
    pub const fn algorithm(&self) -> KeyPairAlgorithm {
        self.algorithm
    }

    /// The private key in PKCS#8.
    ///
    /// # Errors
    /// [`KeyPairError::Failed`]: no memory.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyPairError> {
        let failed = |_| KeyPairError::Failed;
        let bytes = match &self.private {
            Private::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Private::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Private::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Secret::new(bytes))
    }

    /// The private key in the form of its own kind, and the label that PEM gives it: `RSA PRIVATE KEY` (RFC 8017), `EC PRIVATE KEY` (RFC 5915), and PKCS#8
    /// for Ed25519, which has no other.
    ///
    /// # Errors
    /// [`KeyPairError::Failed`]: no memory.
    pub fn to_traditional_der(&self) -> Result<(&'static str, Secret<Vec<u8>>), KeyPairError> {
        match &self.private {
            Private::Ecdsa(pair) => {
                let der: EcPrivateKeyRfc5915Der<'_> = pair
                    .private_key()
                    .as_der()
                    .map_err(|_| KeyPairError::Failed)?;
                Ok(("EC PRIVATE KEY", Secret::new(der.as_ref().to_vec())))
            }
            Private::Ed25519(_) => self.to_pkcs8().map(|der| ("PRIVATE KEY", der)),
            Private::Rsa(_) => {
                let pkcs8 = self.to_pkcs8()?;
                let inner = der::private_key_info(pkcs8.expose()).ok_or(KeyPairError::Failed)?;
                Ok(("RSA PRIVATE KEY", Secret::new(inner.to_vec())))
            }
        }
    }

    /// The seed of 32 bytes, if it is Ed25519.
    #[must_use]
    pub fn ed25519_seed(&self) -> Option<Secret<[u8; 32]>> {
        let Private::Ed25519(pair) = &self.private else {
            return None;
        };
        let pkcs8 = Secret::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec());
        // PKCS#8 holds the seed as an octet string of its own (RFC 8410 §7).
        let inner = der::private_key_info(pkcs8.expose())?;
        let (seed, rest) = der::element(inner, der::OCTET_STRING)?;
        rest.is_empty()
            .then(|| seed.try_into().ok().map(Secret::new))?
    }

    /// The public half.
    ///
    /// # Errors
    /// [`KeyPairError::Failed`]: no memory.
    pub fn public_key(&self) -> Result<PublicKey, KeyPairError> {
        let failed = |_| KeyPairError::Failed;
        let spki: PublicKeyX509Der<'_> = match &self.private {
            Private::Ecdsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Private::Ed25519(pair) => pair.public_key().as_der().map_err(failed)?,
            Private::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        PublicKey::from_spki(self.algorithm, spki.as_ref())
    }

    /// Signs. Ed25519 and PKCS#1 v1.5 give the same signature every time, the others do not.
    ///
    /// # Errors
    /// [`KeyPairError::Unsupported`] when the scheme is none of this key or hash, [`KeyPairError::DigestLength`], [`KeyPairError::Failed`].
    pub fn sign(&self, scheme: SignatureScheme, what: Signed<'_>) -> Result<Vec<u8>, KeyPairError> {
        match (&self.private, scheme) {
            (Private::Ed25519(pair), SignatureScheme::Ed25519) => match what {
                Signed::Digest(_) => Err(KeyPairError::Unsupported(
                    "Ed25519 signs the message itself, not its hash",
                )),
                Signed::Message(message) => pair
                    .try_sign(message)
                    .map(|signature| signature.as_ref().to_vec())
                    .map_err(|_| KeyPairError::Failed),
            },
            (Private::Ecdsa(pair), SignatureScheme::Ecdsa { hash, form }) => {
                let curve = self.algorithm.curve().ok_or(KeyPairError::Failed)?;
                curve.sign(pair, &what.digest(hash)?, form)
            }
            (Private::Rsa(pair), SignatureScheme::RsaPkcs1v15 { hash }) => {
                rsa::sign(pair, rsa::pkcs1v15(hash)?, hash, &what.digest(hash)?)
            }
            (Private::Rsa(pair), SignatureScheme::RsaPss { hash, salt }) => {
                rsa::sign(pair, rsa::pss(hash, salt)?, hash, &what.digest(hash)?)
            }
            (Private::Ecdsa(_) | Private::Ed25519(_) | Private::Rsa(_), _) => {
                Err(KeyPairError::SCHEME)
            }
        }
    }

    /// Opens what was encrypted to this key by RSA-OAEP, with an empty label.
    ///
    /// # Errors
    /// [`KeyPairError::Unsupported`] when it is not RSA; [`KeyPairError::Refused`] whatever else was wrong.
    pub fn decrypt_oaep(
        &self,
        hash: OaepHash,
        ciphertext: &[u8],
    ) -> Result<Secret<Vec<u8>>, KeyPairError> {
        match &self.private {
            Private::Rsa(_) => rsa::decrypt(&self.to_pkcs8()?, hash, ciphertext),
            Private::Ecdsa(_) | Private::Ed25519(_) => Err(KeyPairError::ENCRYPTION),
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.algorithm)
    }
}

/// Writes a PEM block (RFC 7468) of DER.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> Secret<String> {
    der::pem(label, der)
}

/// Why a key did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyPairError {
    /// The digest has another length than the hash gives.
    #[error("the digest has not the length of the hash")]
    DigestLength,
    /// aws-lc failed: no memory, no randomness.
    #[error("the cryptographic library failed")]
    Failed,
    /// The ciphertext does not open, or the plaintext is too long to encrypt.
    #[error("the ciphertext does not open with this key")]
    Refused,
    /// The bytes are no key of the algorithm.
    #[error("the bytes are not a key of the algorithm")]
    Rejected,
    /// The key cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl KeyPairError {
    const SCHEME: Self = Self::Unsupported("the scheme is not one of the key's type");
    const ENCRYPTION: Self = Self::Unsupported("a key of this type does not encrypt");
    const HASH: Self = Self::Unsupported("RSA signs with sha2-256, sha2-384 or sha2-512");
}

#[cfg(test)]
mod tests;
