//! Sets of public keys (RFC 7517 §5), as issuers publish and clients register them.
//!
//! A key that cannot be used is left out and named in the answer, so that one key of an unknown kind does not take the others along (§5).
//! Keys with `use` `enc` are [`super::EncryptionKeySet`]'s and passed over.

use super::jwk::is_for_encryption;
use super::{Algorithm, JoseError, PublicJwk, VerifyingKey, json};
use countersign_base::Kid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Bytes of a JWK set that is looked at at all.
pub const JWKS_BYTES_MAX: usize = 64 * 1024;
/// Keys in one set.
pub const JWKS_KEYS_MAX: usize = 32;

/// Keys that may be used, each parsed once. An RSA key that names no algorithm stands in it twice, for PS256 and for RS256.
#[derive(Debug, Clone, Default)]
pub struct JwkSet(Vec<VerifyingKey>);

/// A key of a set that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub position: usize,
    /// Why it cannot be used.
    pub reason: JoseError,
}

impl JwkSet {
    /// Reads a set.
    ///
    /// # Errors
    /// When it is no JSON object with an array `keys`, has a member twice, or is larger than [`JWKS_BYTES_MAX`] or [`JWKS_KEYS_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<SkippedKey>), JoseError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JoseError::TooLong);
        }
        let members = json::object(bytes)?;
        let keys = members
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JoseError::Json("it has no array `keys`"))?;
        if keys.len() > JWKS_KEYS_MAX {
            return Err(JoseError::TooLong);
        }
        let (mut set, mut skipped) = (Self::default(), Vec::new());
        let for_signatures = |(_, value): &(usize, &Value)| !is_for_encryption(value);
        for (position, value) in keys.iter().enumerate().filter(for_signatures) {
            if let Err(reason) = set.add(value) {
                skipped.push(SkippedKey { position, reason });
            }
        }
        Ok((set, skipped))
    }

    /// The set of these keys.
    #[must_use]
    pub const fn from_keys(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// The set of one key.
    #[must_use]
    pub fn single(key: VerifyingKey) -> Self {
        Self(vec![key])
    }

    /// The key of that name for that algorithm.
    #[must_use]
    pub fn find(&self, kid: &Kid, algorithm: Algorithm) -> Option<&VerifyingKey> {
        self.0
            .iter()
            .find(|key| key.kid() == Some(kid) && key.algorithm() == algorithm)
    }

    /// The keys that a token with this header may have been signed with: the named one, or every one of the algorithm if it names none.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&'a Kid>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a VerifyingKey> {
        self.0
            .iter()
            .filter(move |key| key.algorithm() == algorithm && (kid.is_none() || key.kid() == kid))
    }

    /// Every key.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set as it is published or stored: `{"keys": [...]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let published = |key: &VerifyingKey| match key.kid() {
            Some(kid) => key.jwk().to_published_json(kid, key.algorithm()),
            None => with_algorithm(key.jwk().to_json(), key.algorithm()),
        };
        json!({ "keys": self.0.iter().map(published).collect::<Vec<_>>() })
    }

    fn add(&mut self, value: &Value) -> Result<(), JoseError> {
        let jwk = PublicJwk::parse(value)?;
        let kid = match value.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.parse().map_err(|_| {
                JoseError::Key("its `kid` is longer or of other characters than accepted")
            })?),
            Some(_) => return Err(JoseError::Key("its `kid` is not a string")),
        };
        let algorithms = match value.get("alg") {
            None => Algorithm::ALL
                .into_iter()
                .filter(|algorithm| jwk.fits(*algorithm))
                .collect(),
            Some(name) => vec![
                name.as_str()
                    .and_then(Algorithm::from_name)
                    .ok_or(JoseError::AlgorithmUnknown)?,
            ],
        };
        let taken = |key: &VerifyingKey| {
            kid.is_some() && key.kid() == kid.as_ref() && algorithms.contains(&key.algorithm())
        };
        if self.0.iter().any(taken) {
            return Err(JoseError::Key("another key before it has the same `kid`"));
        }
        let keys: Vec<_> = algorithms
            .iter()
            .map(|algorithm| VerifyingKey::new(&jwk, *algorithm, kid.clone()))
            .collect::<Result<_, _>>()?;
        self.0.extend(keys);
        Ok(())
    }
}

fn with_algorithm(mut value: Value, algorithm: Algorithm) -> Value {
    if let Value::Object(members) = &mut value {
        members.insert("alg".to_owned(), Value::from(algorithm.name()));
    }
    value
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// Reads what was stored: here every key has to be usable, because it was when it was registered.
impl<'de> Deserialize<'de> for JwkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (set, skipped) =
            Self::parse(value.to_string().as_bytes()).map_err(serde::de::Error::custom)?;
        match skipped.into_iter().next() {
            None => Ok(set),
            Some(key) => Err(serde::de::Error::custom(key.reason)),
        }
    }
}

#[cfg(test)]
mod tests;
