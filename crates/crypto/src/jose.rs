//! JSON Object Signing: keys (RFC 7517, 8037), compact signatures (RFC 7515) and tokens (RFC 7519), read as RFC 8725 advises.
//!
//! Four algorithms, each bound to its key type; nothing is negotiated. The key says which algorithm it verifies, and the token's
//! protected header has to agree. What could bring a key or an address along (`jku`, `x5u`, `x5c`, and `jwk` outside DPoP) is never used.
//!
//! Encryption (RFC 7516) is [`Jwe`], [`encrypt_jwt`] and [`encrypt_content`]; a token is never read as encrypted where a signed one is due. Any content, also
//! one that travels beside its signature, is signed and verified as [`SignedContent`].
//!
//! The flattened JSON serialization is read for ACME ([`FlattenedJws`]). Not here: the general one, unprotected headers, `b64` and other critical extensions: they are refused,
//! but for statements about a content that its reader says to understand.

mod claims;
mod critical;
mod flattened;
mod json;
mod jwe;
mod jwk;
mod jwk_set;
mod jws;
mod private_jwk;
mod sign;
mod signed_content;
mod verifying_key;

pub use claims::{ClaimError, Claims};
pub use flattened::FlattenedJws;
pub use jwe::{
    ContentEncryption, DecryptionKey, EncryptionKey, EncryptionKeySet, EncryptionKeyType, Jwe,
    JweRules, KeyManagement, Labels, encrypt_content, encrypt_jwt, is_jwe,
};
pub use jwk::{JwkThumbprint, PublicJwk};
pub use jwk_set::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JwkSet, SkippedKey};
pub use jws::{Header, Jws};
pub use private_jwk::PrivateJwk;
pub use sign::sign_jwt;
pub use signed_content::{ContentForm, SignedContent, sign_content};
pub use verifying_key::{SignatureHolds, VerifyingKey};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of the encoded header of a message that may itself be longer than a token. It is taken apart before any key is known; a chain of certificates has room.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There are no others: unknown means no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Ps256, Self::Rs256];

    /// The name in the registry of JOSE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name. Names are compared as they stand: `es256` is unknown.
    ///
    /// `Ed25519` (RFC 9864 §2.2) is what newer libraries call `EdDSA` with the one curve that is known here.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDsa),
            other => Self::ALL
                .into_iter()
                .find(|algorithm| algorithm.name() == other),
        }
    }
}

/// What a stored key is for: signatures of one algorithm, or messages of one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyAlgorithm {
    /// Opening messages.
    Encryption(EncryptionKeyType),
    /// Signing.
    Signature(Algorithm),
}

impl KeyAlgorithm {
    /// What records call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encryption(key_type) => key_type.name(),
            Self::Signature(algorithm) => algorithm.name(),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a token, a key or a key set was refused. The texts are for the log; what the caller may know is decided at the edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// The header names another algorithm than the key verifies.
    #[error("the token's algorithm is not the one of the key")]
    AlgorithmDiffers,
    /// The header names no algorithm that is known here; `none` and the HMAC ones are among the unknown.
    #[error("the token's algorithm is not one of EdDSA, ES256, PS256 and RS256")]
    AlgorithmUnknown,
    /// A part is not base64url without padding.
    #[error("a part of the token is not base64url without padding")]
    Base64Url,
    /// A claim has the wrong JSON type.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// An encrypted message that does not open: for whatever reason, so that nobody learns which.
    #[error("the message does not open")]
    Decryption,
    /// The header of an encrypted message names an algorithm that is not accepted here.
    #[error("the message's `{0}` is not accepted here")]
    Encryption(&'static str),
    /// The header demands an extension, or uses one that would change what is signed.
    #[error("the token's header uses `{0}`, which is not supported")]
    Extension(&'static str),
    /// A member of the header has the wrong type or form.
    #[error("the token's header has a bad `{0}`")]
    Header(&'static str),
    /// A part is not a JSON object, is nested too deep, or has one member twice.
    #[error("expected a JSON object: {0}")]
    Json(&'static str),
    /// A key cannot be used.
    #[error("the key is refused: {0}")]
    Key(&'static str),
    /// Not the three parts of the compact form.
    #[error("expected a compact JWS of three parts")]
    Parts,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// The claims cannot be written as a JSON object, or signing failed.
    #[error("cannot sign: {0}")]
    Signing(&'static str),
    /// Longer than is looked at.
    #[error("longer than is accepted")]
    TooLong,
}

/// Reads one JSON object as tokens are read: no member twice, bounded depth, nothing behind it. For other documents of strangers.
///
/// # Errors
/// When `bytes` hold anything else.
pub fn strict_object(
    bytes: &[u8],
) -> Result<serde_json::Map<String, serde_json::Value>, JoseError> {
    json::object(bytes)
}

#[cfg(test)]
mod tests;
