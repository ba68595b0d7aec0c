//! The lines of keys that a tenant has: one for each algorithm of signatures, one for messages that are encrypted to it.
//!
//! Each line rotates by itself, by the same machine ([`countersign_keys::rotation`]).

use countersign_base::{Kid, Secret};
use countersign_crypto::jose::{
    Algorithm, DecryptionKey, EncryptionKeyType, JoseError, KeyAlgorithm,
};
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use countersign_crypto::{base64url, digest};
use countersign_store::tables::signing_keys::SigningKeyRecord;
use serde_json::Value;

/// What the keys of encryption are: ECDH on P-256, which every client can do.
const ENCRYPTION: EncryptionKeyType = EncryptionKeyType::P256;

/// One line of keys.
#[derive(Clone, Copy)]
pub(super) enum Line {
    /// Opens messages to the tenant: request objects.
    Encryption,
    /// Signs tokens with this algorithm.
    Signature(Algorithm),
}

/// A key that was just made.
pub(super) struct NewKey {
    pub(super) kid: Kid,
    pub(super) private: Secret<Vec<u8>>,
    pub(super) public: Value,
}

impl Line {
    /// What its rows are for, in the store's words.
    pub(super) const fn purpose(self) -> &'static str {
        match self {
            Self::Encryption => "encryption",
            Self::Signature(_) => "token",
        }
    }

    pub(super) const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Encryption => KeyAlgorithm::Encryption(ENCRYPTION),
            Self::Signature(algorithm) => KeyAlgorithm::Signature(algorithm),
        }
    }

    pub(super) fn owns(self, row: &SigningKeyRecord) -> bool {
        row.purpose == self.purpose() && row.algorithm == self.algorithm()
    }

    /// A new key. Its name comes of the key itself: two nodes never give one name to two keys.
    pub(super) fn generate(self) -> Result<NewKey, JoseError> {
        match self {
            Self::Encryption => {
                let private = ENCRYPTION.generate()?;
                let unnamed = decryption_key(&placeholder(), &private)?;
                let mut public = unnamed.public().to_published_json();
                if let Value::Object(members) = &mut public {
                    members.remove("kid");
                }
                let name = base64url::encode(&digest::sha256(public.to_string().as_bytes()));
                Ok(NewKey {
                    kid: name.parse().unwrap_or_else(|_| placeholder()),
                    private,
                    public,
                })
            }
            Self::Signature(algorithm) => {
                let private = generate_pkcs8(algorithm)?;
                let unnamed: SigningKey<AccessToken> =
                    SigningKey::from_pkcs8(algorithm, placeholder(), &private)?;
                let jwk = unnamed.public_jwk();
                let name = jwk.thumbprint().to_string();
                Ok(NewKey {
                    kid: name.parse().unwrap_or_else(|_| placeholder()),
                    public: jwk.to_json(),
                    private,
                })
            }
        }
    }
}

/// The algorithm of a row that signs tokens.
pub(super) fn signs(row: &SigningKeyRecord) -> Option<Algorithm> {
    match row.algorithm {
        KeyAlgorithm::Signature(algorithm) if Line::Signature(algorithm).owns(row) => {
            Some(algorithm)
        }
        KeyAlgorithm::Signature(_) | KeyAlgorithm::Encryption(_) => None,
    }
}

pub(super) fn decryption_key(
    kid: &Kid,
    private: &Secret<Vec<u8>>,
) -> Result<DecryptionKey, JoseError> {
    DecryptionKey::from_private(ENCRYPTION, kid.clone(), private)
}

#[expect(
    clippy::expect_used,
    reason = "a constant that has the grammar of a key id"
)]
fn placeholder() -> Kid {
    "unnamed".parse().expect("a key id")
}
