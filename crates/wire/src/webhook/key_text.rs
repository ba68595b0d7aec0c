//! Keys of a source as they are configured: a secret as it stands, a secret in base64 or hexadecimal digits, or a public key.

use super::standard::{self, SecretError};
use crate::signature_key::{SignatureAlgorithm, VerificationKey};
use countersign_base::Secret;
use countersign_crypto::base64;
use countersign_crypto::jose::{PublicJwk, strict_object};
use countersign_crypto::keypair::{KeyPairAlgorithm, PublicKey};
use serde_json::Value;
use std::fmt;

/// A key as it is configured.
pub struct KeyText {
    /// The name by which the sender calls it, in the schemes where keys have names.
    pub id: Option<String>,
    /// The key in the scheme's form. Of Stripe, GitHub, Slack and Shopify the secret as they show it; of HMAC by rules the secret as it stands, or `base64:…`
    /// or `hex:…`; of public keys PEM or a JWK; of RFC 9421 `base64:…`, `hex:…`, PEM, a JWK or `whpk_…`; of Standard Webhooks `whsec_…` or `whpk_…`.
    pub text: Secret<String>,
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The bytes of the text itself.
pub(super) fn as_it_stands(text: &KeyText) -> Result<Secret<Vec<u8>>, KeyError> {
    let text = text.text.expose();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.trim().len() < text.len() {
        return Err(KeyError::Space);
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// The bytes of the text, or those that it writes behind `base64:` or `hex:`.
pub(super) fn secret(text: &KeyText) -> Result<Secret<Vec<u8>>, KeyError> {
    let bytes = as_it_stands(text)?;
    let text = text.text.expose();
    let decoded = if let Some(encoded) = text.strip_prefix("base64:") {
        base64::decode(encoded).map_err(|_| KeyError::Encoding)?
    } else if let Some(digits) = text.strip_prefix("hex:") {
        super::claim::hex(digits).map_err(|_| KeyError::Encoding)?
    } else {
        return Ok(bytes);
    };
    if decoded.is_empty() {
        return Err(KeyError::Empty);
    }
    Ok(Secret::new(decoded))
}

/// A secret as `base64:…` or `hex:…`, or else a public key: never text that could be either, so that nobody's public key becomes a secret. A public key may be written as those
/// who sign by Standard Webhooks write theirs, `whpk_…`.
pub(super) fn secret_or_public(text: &KeyText) -> Result<VerificationKey, KeyError> {
    let is_secret = ["base64:", "hex:"]
        .iter()
        .any(|prefix| text.text.expose().strip_prefix(prefix).is_some());
    if is_secret {
        return Ok(VerificationKey::hmac_sha256(&secret(text)?));
    }
    if text.text.expose().strip_prefix("whpk_").is_some() {
        return Ok(standard::verification_key(&text.text)?);
    }
    public(text, |algorithm| match algorithm {
        KeyPairAlgorithm::EcdsaP256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
        KeyPairAlgorithm::Ed25519 => Some(SignatureAlgorithm::Ed25519),
        KeyPairAlgorithm::Rsa2048 | KeyPairAlgorithm::Rsa3072 | KeyPairAlgorithm::Rsa4096 => {
            Some(SignatureAlgorithm::RsaPssSha512)
        }
        KeyPairAlgorithm::EcdsaP384 | KeyPairAlgorithm::EcdsaP521 => None,
    })
}

/// A public key in PEM or as a JWK, for the algorithm that `choose` gives for its type.
pub(super) fn public(
    text: &KeyText,
    choose: impl Fn(KeyPairAlgorithm) -> Option<SignatureAlgorithm>,
) -> Result<VerificationKey, KeyError> {
    let text = text.text.expose().trim();
    let key = if text.strip_prefix('{').is_some() {
        strict_object(text.as_bytes())
            .and_then(|members| PublicJwk::parse(&Value::Object(members)))
            .map_err(|_| KeyError::Public)
            .and_then(|jwk| PublicKey::from_jwk(&jwk).map_err(|_| KeyError::Public))?
    } else {
        PublicKey::from_pem(text.as_bytes()).map_err(|_| KeyError::Public)?
    };
    choose(key.algorithm())
        .and_then(|algorithm| VerificationKey::public(algorithm, key))
        .ok_or(KeyError::Type)
}

/// Why a text is no key of a scheme. None of the texts quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing.
    #[error("the secret is empty")]
    Empty,
    /// Not base64, or not digits.
    #[error("what follows `base64:` or `hex:` is not that")]
    Encoding,
    /// No public key.
    #[error("the key is no public key in PEM (`-----BEGIN PUBLIC KEY-----`) or as a JWK")]
    Public,
    /// White space around it, which would be part of the key.
    #[error("the secret begins or ends with white space: take the line end away")]
    Space,
    /// Not a secret of Standard Webhooks.
    #[error(transparent)]
    Standard(#[from] SecretError),
    /// A public key of another type.
    #[error("the scheme has no signatures by keys of that type")]
    Type,
}
