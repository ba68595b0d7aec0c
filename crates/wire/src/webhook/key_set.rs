//! The public keys of a source out of its JWK set (RFC 7517 §5), as it is published at an address.
//!
//! A key that cannot be used is passed over, as the RFC has it: of another type, for encryption, for another algorithm than the scheme's, a shared secret, a private key. A
//! set gives nothing to schemes whose keys are secrets, whatever is in it: what everybody can read must never become one.

use super::{KeyText, Scheme};
use crate::signature_key::SignatureAlgorithm;
use countersign_base::Secret;
use countersign_crypto::jose::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JoseError, strict_object};
use serde_json::Value;

impl Scheme {
    /// Whether its keys are public, so that a set of them may be.
    #[must_use]
    pub const fn takes_key_sets(&self) -> bool {
        match self {
            Self::HttpSignature(_) | Self::JwsDetached(_) | Self::PublicKey(_) => true,
            Self::GitHub
            | Self::Hmac(_)
            | Self::Shopify
            | Self::Slack
            | Self::StandardWebhooks
            | Self::Stripe
            | Self::Svix => false,
        }
    }

    /// The keys of a set that this scheme verifies with, each under its `kid`; the others are passed over.
    ///
    /// # Errors
    /// When it is no JWK set, has a member twice, or is larger than [`JWKS_BYTES_MAX`] or [`JWKS_KEYS_MAX`].
    pub fn keys_of_set(&self, bytes: &[u8]) -> Result<Vec<KeyText>, JoseError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let members = strict_object(bytes)?;
        let keys = members.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(JoseError::Json("it has no array `keys`"))?;
        if keys.len() > JWKS_KEYS_MAX {
            return Err(JoseError::TooLong);
        }
        if !self.takes_key_sets() {
            return Ok(Vec::new());
        }
        Ok(keys.iter().filter_map(|key| self.usable(key)).collect())
    }

    fn usable(&self, key: &Value) -> Option<KeyText> {
        let id = match key.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return None,
        };
        let text = KeyText {
            id,
            text: Secret::new(key.to_string()),
        };
        let made = self.key(&text).ok()?;
        let said = key.get("alg");
        let agrees = said.is_none_or(|said| {
            let names = names(made.algorithm());
            said.as_str().is_some_and(|said| names.contains(&said))
        });
        agrees.then_some(text)
    }
}

/// What a JWK calls the algorithm (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).
const fn names(algorithm: SignatureAlgorithm) -> &'static [&'static str] {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::EcdsaP256Sha256Asn1 => &["ES256"],
        SignatureAlgorithm::Ed25519 => &["EdDSA", "Ed25519"],
        SignatureAlgorithm::HmacSha256 | SignatureAlgorithm::HmacSha512 => &[],
        SignatureAlgorithm::RsaPssSha256 => &["PS256"],
        SignatureAlgorithm::RsaPssSha512 => &["PS512"],
    }
}

#[cfg(test)]
mod tests;
