//! Secrets of Standard Webhooks as text: `whsec_` for HMAC, `whsk_` for the private and `whpk_` for the public key of Ed25519, each followed by base64.
//!
//! `whsk_` holds the private key and the public one behind it, as Svix writes it; the private one alone is read too.

use crate::signature_key::{SignatureAlgorithm, SigningKey, VerificationKey};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::base64;
use countersign_crypto::jose::PublicJwk;
use countersign_crypto::keypair::{KeyPair, PublicKey};
use std::fmt;

const HMAC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// Bytes of an HMAC secret, by the specification.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of those that are made here.
const HMAC_BYTES_NEW: usize = 32;

/// Which of the two kinds a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// `v1a`.
    Ed25519,
    /// `v1`.
    Hmac,
}

impl SecretKind {
    /// What stands before its signatures.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Ed25519 => "v1a",
            Self::Hmac => "v1",
        }
    }

    /// What configuration and records call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Hmac => "hmac",
        }
    }
}

/// A secret that an endpoint's messages are signed with.
pub enum SigningSecret {
    /// A private key; the receiver has the public one.
    Ed25519(Ed25519Secret),
    /// A secret that the receiver shares.
    Hmac(HmacSecret),
}

/// A private key of Ed25519.
pub struct Ed25519Secret {
    seed: Secret<[u8; 32]>,
    public: [u8; 32],
    key: SigningKey,
}

/// A shared secret.
pub struct HmacSecret {
    bytes: Secret<Vec<u8>>,
    key: SigningKey,
}

impl SigningSecret {
    /// A new secret.
    ///
    /// # Errors
    /// [`SecretError::Failed`]: no memory.
    pub fn generate(kind: SecretKind, random: &Random) -> Result<Self, SecretError> {
        match kind {
            SecretKind::Ed25519 => Self::ed25519(random.secret()),
            SecretKind::Hmac => Ok(Self::hmac(Secret::new(
                random.secret::<HMAC_BYTES_NEW>().expose().to_vec(),
            ))),
        }
    }

    /// Reads `whsec_…` or `whsk_…`.
    ///
    /// # Errors
    /// [`SecretError`], which says what to do about it.
    pub fn parse(text: &Secret<String>) -> Result<Self, SecretError> {
        match parts(text.expose())? {
            (HMAC, encoded) => hmac_bytes(encoded).map(Self::hmac),
            (PRIVATE, encoded) => {
                let bytes = decoded(encoded)?;
                let (seed, public) = bytes
                    .expose()
                    .split_first_chunk::<32>()
                    .ok_or(SecretError::Length("`whsk_` holds 32 or 64 bytes"))?;
                let secret = Self::ed25519(Secret::new(*seed))?;
                match &secret {
                    Self::Ed25519(made) if !public.is_empty() && made.public != *public => {
                        Err(SecretError::Halves)
                    }
                    Self::Ed25519(_) | Self::Hmac(_) => Ok(secret),
                }
            }
            _ => Err(SecretError::PublicForSigning),
        }
    }

    fn hmac(bytes: Secret<Vec<u8>>) -> Self {
        let key = SigningKey::hmac_sha256(&bytes);
        Self::Hmac(HmacSecret { bytes, key })
    }

    fn ed25519(seed: Secret<[u8; 32]>) -> Result<Self, SecretError> {
        let pair = KeyPair::from_ed25519_seed(&seed).map_err(|_| SecretError::Failed)?;
        let public = pair
            .public_key()
            .ok()
            .and_then(|key| key.ed25519_bytes())
            .ok_or(SecretError::Failed)?;
        let key = SigningKey::pair(SignatureAlgorithm::Ed25519, pair).ok_or(SecretError::Failed)?;
        Ok(Self::Ed25519(Ed25519Secret { seed, public, key }))
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> SecretKind {
        match self {
            Self::Ed25519(_) => SecretKind::Ed25519,
            Self::Hmac(_) => SecretKind::Hmac,
        }
    }

    /// The secret as text: `whsec_…` or `whsk_…`. For sealing, and for showing an HMAC secret to its receiver once.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        let (prefix, bytes) = match self {
            Self::Ed25519(secret) => {
                let both = [secret.seed.expose().as_slice(), &secret.public].concat();
                (PRIVATE, Secret::new(both))
            }
            Self::Hmac(secret) => (HMAC, Secret::new(secret.bytes.expose().clone())),
        };
        let mut text = String::with_capacity(prefix.len() + bytes.expose().len() * 2);
        text.push_str(prefix);
        base64::append(bytes.expose(), &mut text);
        Secret::new(text)
    }

    /// What a receiver verifies with as text: `whpk_…` of Ed25519, and the secret itself of HMAC, which is why it comes as a secret.
    #[must_use]
    pub fn to_verifying_text(&self) -> Secret<String> {
        match self {
            Self::Ed25519(secret) => {
                Secret::new(format!("{PUBLIC}{}", base64::encode(&secret.public)))
            }
            Self::Hmac(_) => self.to_text(),
        }
    }

    pub(in crate::webhook) const fn key(&self) -> &SigningKey {
        match self {
            Self::Ed25519(secret) => &secret.key,
            Self::Hmac(secret) => &secret.key,
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecret({})", self.kind().as_str())
    }
}

/// The key that verifies what the secret signs: of `whsec_…` or `whpk_…`.
pub(in crate::webhook) fn verification_key(
    text: &Secret<String>,
) -> Result<VerificationKey, SecretError> {
    match parts(text.expose())? {
        (HMAC, encoded) => Ok(VerificationKey::hmac_sha256(&hmac_bytes(encoded)?)),
        (PUBLIC, encoded) => {
            let bytes = decoded(encoded)?;
            let x: [u8; 32] = bytes
                .expose()
                .as_slice()
                .try_into()
                .map_err(|_| SecretError::Length("`whpk_` holds 32 bytes"))?;
            PublicKey::from_jwk(&PublicJwk::from_ed25519(x))
                .ok()
                .and_then(|key| VerificationKey::public(SignatureAlgorithm::Ed25519, key))
                .ok_or(SecretError::Point)
        }
        _ => Err(SecretError::PrivateForVerifying),
    }
}

/// The prefix and what stands behind it.
fn parts(text: &str) -> Result<(&'static str, &str), SecretError> {
    if let Some(prefix) = ["v1,", "v1a,"]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some())
    {
        return Err(SecretError::Versioned(prefix));
    }
    [HMAC, PRIVATE, PUBLIC]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix).map(|rest| (prefix, rest)))
        .ok_or(SecretError::Prefix)
}

fn hmac_bytes(encoded: &str) -> Result<Secret<Vec<u8>>, SecretError> {
    let bytes = decoded(encoded)?;
    if HMAC_BYTES.contains(&bytes.expose().len()) {
        Ok(bytes)
    } else {
        Err(SecretError::Length("`whsec_` holds 24 to 64 bytes"))
    }
}

fn decoded(encoded: &str) -> Result<Secret<Vec<u8>>, SecretError> {
    base64::decode(encoded)
        .map(Secret::new)
        .map_err(|_| SecretError::Base64)
}

/// Why a text is no secret. None of the texts quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// What follows the prefix is not base64.
    #[error(
        "what follows the secret's prefix is not base64 with padding; copy the secret whole, and without spaces or line ends"
    )]
    Base64,
    /// No memory.
    #[error("the cryptographic library failed")]
    Failed,
    /// The public key in a `whsk_` is not that of its private one.
    #[error("the public half in `whsk_` is not that of its private half")]
    Halves,
    /// Another number of bytes.
    #[error("the secret has another length than it should: {0}")]
    Length(&'static str),
    /// The public key is none.
    #[error("`whpk_` holds no key of Ed25519")]
    Point,
    /// It begins with none of the prefixes.
    #[error("a secret of Standard Webhooks begins with `whsec_`, `whsk_` or `whpk_`")]
    Prefix,
    /// A private key where a public one is due.
    #[error(
        "verifying takes the public key, `whpk_`; `whsk_` is the sender's private one and belongs to nobody else"
    )]
    PrivateForVerifying,
    /// A public key where a private one is due.
    #[error("signing takes the private key, `whsk_`; `whpk_` is the public one")]
    PublicForSigning,
    /// The version was pasted along.
    #[error(
        "the secret begins with `{0}`, which is no part of it: leave that away, so that it begins with `whsec_`, `whsk_` or `whpk_`"
    )]
    Versioned(&'static str),
}

#[cfg(test)]
mod tests;
