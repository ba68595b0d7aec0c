//! The flattened JSON form of a JWS with any payload (RFC 7515 §7.2.2), as ACME sends its requests (RFC 8555 §6.2).
//!
//! The payload is given out by the check of the signature alone. Everything is in the protected header; there is no unprotected one.

use super::{Algorithm, JoseError, PublicJwk, VerifyingKey, json};
use crate::base64url;
use crate::digest::HashAlgorithm;
use crate::hmac::{HmacKey, TagJudged};
use serde_json::{Map, Value};

/// Bytes of the three parts together.
const BYTES_MAX: usize = 64 * 1024;

/// A message that was read and not believed yet.
pub struct FlattenedJws {
    /// Header and payload as they were sent, with the dot between them: what is signed.
    signed: String,
    header: Map<String, Value>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl FlattenedJws {
    /// Reads the three members.
    ///
    /// # Errors
    /// When they are too long, not base64url, the header is no strict JSON object, or it uses `crit`, `b64` or `zip`.
    pub fn parse(protected: &str, payload: &str, signature: &str) -> Result<Self, JoseError> {
        let length = [protected, payload, signature]
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        if length > BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let part = |text: &str| base64url::decode(text).map_err(|_| JoseError::Base64Url);
        let header = json::object(&part(protected)?)?;
        for extension in ["crit", "b64", "zip"] {
            if header.contains_key(extension) {
                return Err(JoseError::Extension(extension));
            }
        }
        Ok(Self {
            signed: format!("{protected}.{payload}"),
            header,
            payload: part(payload)?,
            signature: part(signature)?,
        })
    }

    /// `alg` as it was sent.
    #[must_use]
    pub fn algorithm_name(&self) -> &str {
        self.text("alg").unwrap_or_default()
    }

    /// A member of the header that is text: `kid`, `nonce`, `url`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// Whether the header has a member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.header.contains_key(name)
    }

    /// `jwk`: the key that the message brought along.
    ///
    /// # Errors
    /// When it is no public key that is accepted here, or not there.
    pub fn jwk(&self) -> Result<PublicJwk, JoseError> {
        PublicJwk::parse(self.header.get("jwk").unwrap_or(&Value::Null))
    }

    /// The payload, after its signature was checked with the key.
    ///
    /// # Errors
    /// When `alg` is none of the key's, or the signature does not hold.
    pub fn verify(&self, key: &PublicJwk) -> Result<&[u8], JoseError> {
        let algorithm =
            Algorithm::from_name(self.algorithm_name()).ok_or(JoseError::AlgorithmUnknown)?;
        let key = VerifyingKey::new(key, algorithm, None)?;
        let _holds = key.verify(self.signed.as_bytes(), &self.signature)?;
        Ok(&self.payload)
    }

    /// The payload, after its tag was checked with a key that both sides know: `HS256` (RFC 8555 §7.3.4).
    ///
    /// # Errors
    /// When `alg` is another, or the tag does not hold.
    pub fn verify_hs256(&self, key: &[u8]) -> Result<&[u8], JoseError> {
        if self.algorithm_name() != "HS256" {
            return Err(JoseError::AlgorithmDiffers);
        }
        let key = HmacKey::new(HashAlgorithm::Sha2_256, key);
        match key.verify(&[self.signed.as_bytes()], &self.signature) {
            TagJudged::Holds => Ok(&self.payload),
            TagJudged::Differs => Err(JoseError::Signature),
        }
    }
}
