//! A credential's public key: from COSE (RFC 9053 §7, RFC 8230) to the key that verifies, for the three algorithms that are offered.

use super::WebauthnError;
use super::cbor::Value;
use countersign_crypto::base64url;
use countersign_crypto::jose::{Algorithm, PublicJwk, SignatureHolds, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use std::fmt;

const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;

/// The public key of a credential, bound to its algorithm.
#[derive(Clone)]
pub struct CredentialKey {
    key: VerifyingKey,
}

/// The algorithms that are offered, by their COSE number, the best first.
pub(super) const OFFERED: [(i64, Algorithm); 3] = [
    (-8, Algorithm::EdDsa),
    (-7, Algorithm::Es256),
    (-257, Algorithm::Rs256),
];

impl CredentialKey {
    /// The COSE numbers of the algorithms that are offered, the best first.
    pub const ALGORITHMS: [i64; 3] = [OFFERED[0].0, OFFERED[1].0, OFFERED[2].0];

    pub(super) fn from_cose(map: &Value<'_>) -> Result<Self, WebauthnError> {
        let bytes = |label: i64| {
            let value = map.member(&Value::Int(label)).and_then(Value::as_bytes);
            value.map(base64url::encode)
        };
        let int = |label: i64| map.member(&Value::Int(label)).and_then(Value::as_int);
        let algorithm = int(ALGORITHM).and_then(offered);
        let jwk = match (int(KEY_TYPE), algorithm, int(-1)) {
            (Some(1), Some(Algorithm::EdDsa), Some(6)) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": bytes(-2)})
            }
            (Some(2), Some(Algorithm::Es256), Some(1)) => {
                json!({"kty": "EC", "crv": "P-256", "x": bytes(-2), "y": bytes(-3)})
            }
            (Some(3), Some(Algorithm::Rs256), None) => {
                json!({"kty": "RSA", "n": bytes(-1), "e": bytes(-2)})
            }
            (_, _, _) => return Err(WebauthnError::Algorithm),
        };
        let algorithm = algorithm.ok_or(WebauthnError::Algorithm)?;
        let jwk = PublicJwk::parse(&jwk).map_err(|_| WebauthnError::Algorithm)?;
        Self::new(&jwk, algorithm)
    }

    fn new(jwk: &PublicJwk, algorithm: Algorithm) -> Result<Self, WebauthnError> {
        VerifyingKey::new(jwk, algorithm, None)
            .map(|key| Self { key })
            .map_err(|_| WebauthnError::Algorithm)
    }

    /// Checks a signature; ECDSA's is in DER here (WebAuthn §6.5.5), unlike in JOSE.
    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<SignatureHolds, WebauthnError> {
        let invalid = WebauthnError::Signature;
        let fixed;
        let signature = if self.key.algorithm() == Algorithm::Es256 {
            fixed = fixed_length(signature).ok_or(invalid)?;
            fixed.as_slice()
        } else {
            signature
        };
        self.key.verify(message, signature).map_err(|_| invalid)
    }
}

fn offered(number: i64) -> Option<Algorithm> {
    OFFERED
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, algorithm)| *algorithm)
}

/// `SEQUENCE { INTEGER r, INTEGER s }` as 64 bytes. Only the one DER form is read.
fn fixed_length(der: &[u8]) -> Option<[u8; 64]> {
    let (body, rest) = element(der, 0x30)?;
    let (r, body) = element(body, 0x02)?;
    let (s, body) = element(body, 0x02)?;
    if !(rest.is_empty() && body.is_empty()) {
        return None;
    }
    let mut fixed = [0; 64];
    let (left, right) = fixed.split_at_mut(32);
    place(r, left)?;
    place(s, right)?;
    Some(fixed)
}

/// An element of less than 128 bytes: no signature of P-256 has longer ones.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = input else {
        return None;
    };
    if *found != tag || *length >= 0x80 {
        return None;
    }
    rest.split_at_checked(usize::from(*length))
}

/// An unsigned integer, right-aligned.
fn place(integer: &[u8], target: &mut [u8]) -> Option<()> {
    let digits = match integer {
        [] => return None,
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => rest,
        [0, ..] => return None,
        [first, ..] if *first >= 0x80 => return None,
        digits => digits,
    };
    let offset = target.len().checked_sub(digits.len())?;
    target.get_mut(offset..)?.copy_from_slice(digits);
    Some(())
}

#[derive(Serialize, Deserialize)]
struct Stored {
    alg: String,
    jwk: serde_json::Value,
}

impl Serialize for CredentialKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            alg: self.key.algorithm().name().to_owned(),
            jwk: self.key.jwk().to_json(),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CredentialKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let unusable = || serde::de::Error::custom("the stored key cannot be used");
        let algorithm = OFFERED
            .iter()
            .map(|(_, algorithm)| *algorithm)
            .find(|algorithm| algorithm.name() == stored.alg)
            .ok_or_else(unusable)?;
        let jwk = PublicJwk::parse(&stored.jwk).map_err(|_| unusable())?;
        Self::new(&jwk, algorithm).map_err(|_| unusable())
    }
}

impl PartialEq for CredentialKey {
    fn eq(&self, other: &Self) -> bool {
        self.key.algorithm() == other.key.algorithm() && self.key.jwk() == other.key.jwk()
    }
}

impl Eq for CredentialKey {}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialKey({})", self.key.algorithm().name())
    }
}
