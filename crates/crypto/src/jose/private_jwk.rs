//! Private keys as JSON (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2): what a partner keeps in a file.
//!
//! Each key says by `use` what it is for: a key that signs never opens a message, nor the other way round. The public members have to be those of the private
//! ones, so that nobody publishes a key that he does not have.
//!
//! Not here: symmetric keys, encrypted key files, RSA of more than two primes.

mod der;

use super::jwe::{DecryptionKey, EncryptionKeyType, KeyManagement};
use super::{Algorithm, JoseError, KeyAlgorithm, VerifyingKey, json};
use crate::signing::{self, MessageReceipt, Purpose, SigningKey};
use countersign_base::{Kid, Secret};
use serde_json::{Map, Value};
use std::fmt;
use zeroize::Zeroize as _;

/// A private key with its name and the one thing it is for.
pub struct PrivateJwk {
    algorithm: KeyAlgorithm,
    kid: Kid,
    /// The one `alg` of a key for encryption, if the file says one.
    management: Option<KeyManagement>,
    /// As [`SigningKey::from_pkcs8`] and [`DecryptionKey::from_private`] take it.
    private: Secret<Vec<u8>>,
    public: Value,
}

/// The name under which a key is tried before its own is known.
const UNNAMED: &str = "unnamed";

impl PrivateJwk {
    /// A new key. Its name is its thumbprint (RFC 7638) unless one is given. RSA keys have 2048 bits.
    ///
    /// # Errors
    /// When aws-lc cannot make one (no memory, no randomness).
    pub fn generate(algorithm: KeyAlgorithm, kid: Option<Kid>) -> Result<Self, JoseError> {
        let private = match algorithm {
            KeyAlgorithm::Encryption(key_type) => key_type.generate()?,
            KeyAlgorithm::Signature(algorithm) => signing::generate_pkcs8(algorithm)?,
        };
        Self::new(algorithm, kid, None, private)
    }

    /// Reads one key.
    ///
    /// # Errors
    /// When it is no strict JSON object, its `use` is neither `sig` nor `enc`, its kind is unknown, it has no private member, or its public members are not those
    /// of the private ones.
    pub fn parse(bytes: &[u8]) -> Result<Self, JoseError> {
        Self::from_members(&json::object(bytes)?)
    }

    /// Reads every key of a JWK set that holds private ones; or the one key that stands alone.
    ///
    /// # Errors
    /// As [`PrivateJwk::parse`], for each of them, and when there are more than [`super::JWKS_KEYS_MAX`].
    pub fn parse_set(bytes: &[u8]) -> Result<Vec<Self>, JoseError> {
        if bytes.len() > super::JWKS_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let members = json::object(bytes)?;
        let Some(keys) = members.get("keys") else {
            return Ok(vec![Self::from_members(&members)?]);
        };
        let keys = keys
            .as_array()
            .ok_or(JoseError::Json("`keys` is not an array"))?;
        if keys.len() > super::JWKS_KEYS_MAX {
            return Err(JoseError::TooLong);
        }
        keys.iter()
            .map(|key| {
                key.as_object()
                    .ok_or(JoseError::Key("it is not a JSON object"))
                    .and_then(Self::from_members)
            })
            .collect()
    }

    fn from_members(members: &Map<String, Value>) -> Result<Self, JoseError> {
        let text = |name: &str| members.get(name).map(Value::as_str);
        let named = match text("alg") {
            None => None,
            Some(alg) => Some(alg.ok_or(JoseError::AlgorithmUnknown)?),
        };
        let curve = text("crv").flatten();
        let (algorithm, management) = match text("use").flatten() {
            Some("sig") => (signature(text("kty").flatten(), curve, named)?, None),
            Some("enc") => {
                let management = match named {
                    None => None,
                    Some(name) => {
                        Some(KeyManagement::from_name(name).ok_or(JoseError::AlgorithmUnknown)?)
                    }
                };
                (encryption(text("kty").flatten(), curve)?, management)
            }
            Some(_) | None => {
                return Err(JoseError::Key("its `use` is neither `sig` nor `enc`"));
            }
        };
        let kid = match text("kid") {
            None => None,
            Some(kid) => Some(kid.and_then(|kid| kid.parse().ok()).ok_or(JoseError::Key(
                "its `kid` is longer or of other characters than accepted",
            ))?),
        };
        let key = Self::new(
            algorithm,
            kid,
            management,
            der::private_of(algorithm, members)?,
        )?;
        key.owns_public_members(members)?;
        Ok(key)
    }

    fn new(
        algorithm: KeyAlgorithm,
        kid: Option<Kid>,
        management: Option<KeyManagement>,
        private: Secret<Vec<u8>>,
    ) -> Result<Self, JoseError> {
        let unnamed: Kid = UNNAMED
            .parse()
            .map_err(|_| JoseError::Key("it has no name"))?;
        let (thumbprint, public) = match algorithm {
            KeyAlgorithm::Encryption(key_type) => {
                let key = DecryptionKey::for_management(key_type, unnamed, management, &private)?;
                (key.public().thumbprint(), key.public().to_published_json())
            }
            KeyAlgorithm::Signature(algorithm) => {
                // Any purpose does: only the public half is asked for.
                let key =
                    SigningKey::<MessageReceipt>::from_pkcs8(algorithm, unnamed.clone(), &private)?;
                let public = key.public_jwk();
                (
                    public.thumbprint(),
                    public.to_published_json(&unnamed, algorithm),
                )
            }
        };
        let kid = match kid {
            Some(kid) => kid,
            None => thumbprint
                .to_string()
                .parse()
                .map_err(|_| JoseError::Key("it has no name"))?,
        };
        let mut key = Self {
            algorithm,
            kid,
            management,
            private,
            public,
        };
        if let Value::Object(members) = &mut key.public {
            members.insert("kid".to_owned(), key.kid.as_str().into());
        }
        Ok(key)
    }

    /// Every public member that the file names has to be the one that the private members give.
    fn owns_public_members(&self, members: &Map<String, Value>) -> Result<(), JoseError> {
        let differs = ["crv", "e", "n", "x", "y"]
            .into_iter()
            .any(|name| members.get(name) != self.public.get(name));
        if differs {
            return Err(JoseError::Key("its public members are another key's"));
        }
        Ok(())
    }

    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Its name.
    #[must_use]
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The key for signatures of one purpose.
    ///
    /// # Errors
    /// When it is for encryption.
    pub fn signing_key<P: Purpose>(&self) -> Result<SigningKey<P>, JoseError> {
        match self.algorithm {
            KeyAlgorithm::Signature(algorithm) => {
                SigningKey::from_pkcs8(algorithm, self.kid.clone(), &self.private)
            }
            KeyAlgorithm::Encryption(_) => {
                Err(JoseError::Key("it is for encryption, not for signatures"))
            }
        }
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// When it is for encryption.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JoseError> {
        self.signing_key::<MessageReceipt>()?.verifying_key()
    }

    /// The key that opens messages.
    ///
    /// # Errors
    /// When it is for signatures.
    pub fn decryption_key(&self) -> Result<DecryptionKey, JoseError> {
        match self.algorithm {
            KeyAlgorithm::Encryption(key_type) => DecryptionKey::for_management(
                key_type,
                self.kid.clone(),
                self.management,
                &self.private,
            ),
            KeyAlgorithm::Signature(_) => {
                Err(JoseError::Key("it is for signatures, not for encryption"))
            }
        }
    }

    /// The public half, as a JWK set publishes it.
    #[must_use]
    pub const fn public(&self) -> &Value {
        &self.public
    }

    /// The whole key as JSON. Whoever calls this answers for where it goes.
    ///
    /// # Errors
    /// Never for a key that was made or read here; the type keeps the caller from assuming it.
    pub fn to_private_json(&self) -> Result<Secret<String>, JoseError> {
        let mut members = match &self.public {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        for (name, mut value) in der::private_members(self.algorithm, &self.private)? {
            members.insert(name.to_owned(), Value::from(value.as_str()));
            value.zeroize();
        }
        let text = Value::Object(members.clone()).to_string();
        for value in members.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
        Ok(Secret::new(text))
    }
}

/// The algorithm of a key for signatures. An RSA key that names none signs with PSS: PKCS#1 v1.5 has to be asked for.
fn signature(
    kty: Option<&str>,
    curve: Option<&str>,
    named: Option<&str>,
) -> Result<KeyAlgorithm, JoseError> {
    let own = match (kty, curve) {
        (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
        (Some("EC"), Some("P-256")) => Algorithm::Es256,
        (Some("RSA"), _) => Algorithm::Ps256,
        (_, _) => {
            return Err(JoseError::Key(
                "its type or curve is not Ed25519, P-256 or RSA",
            ));
        }
    };
    let algorithm = match named {
        None => own,
        Some(name) => Algorithm::from_name(name).ok_or(JoseError::AlgorithmUnknown)?,
    };
    let fits = algorithm == own || (own, algorithm) == (Algorithm::Ps256, Algorithm::Rs256);
    if fits {
        Ok(KeyAlgorithm::Signature(algorithm))
    } else {
        Err(JoseError::AlgorithmDiffers)
    }
}

fn encryption(kty: Option<&str>, curve: Option<&str>) -> Result<KeyAlgorithm, JoseError> {
    let key_type = match (kty, curve) {
        (Some("OKP"), Some("X25519")) => EncryptionKeyType::X25519,
        (Some("EC"), Some("P-256")) => EncryptionKeyType::P256,
        (Some("RSA"), _) => EncryptionKeyType::Rsa,
        (_, _) => {
            return Err(JoseError::Key(
                "its type or curve is not P-256, X25519 or RSA",
            ));
        }
    };
    Ok(KeyAlgorithm::Encryption(key_type))
}

impl fmt::Debug for PrivateJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateJwk({}, {})", self.algorithm.name(), self.kid)
    }
}

#[cfg(test)]
pub(in crate::jose) mod tests;
