//! Whose tokens a gateway by others takes, and how its keys are told to it.

use crate::Failed;
use serde_json::Value;

/// An issuer with its published keys, and what tokens have to be.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `alg`.
    pub algorithm: &'static str,
    /// `kid` of the key that signs now; others are published ahead.
    pub kid: String,
    /// The JWK set.
    pub jwks: Value,
}

impl Trusted {
    /// The key that signs now.
    ///
    /// # Errors
    /// When there is none.
    pub fn key(&self) -> Result<&Value, Failed> {
        let keys = self.jwks.get("keys").and_then(Value::as_array);
        let mut keys = keys.into_iter().flatten();
        keys.find(|key| key.get("kid").and_then(Value::as_str) == Some(&self.kid))
            .ok_or_else(|| format!("no key `{}`", self.kid).into())
    }
}
