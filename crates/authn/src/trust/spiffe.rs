//! SPIFFE ids (SPIFFE-ID §2): `spiffe://trust-domain/path`, in the one form that the standard has.

use countersign_base::ParseError;
use countersign_crypto::jose::{JWKS_BYTES_MAX, JoseError, JwkSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Bytes of an id.
const ID_BYTES_MAX: usize = 2048;
/// Bytes of a trust domain.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// The name of a trust domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if (1..=TRUST_DOMAIN_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::expected(
                "a trust domain: 1 to 255 lower-case letters, digits, `.`, `-` or `_`",
            ))
        }
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a workload: a trust domain and a path that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    path: String,
}

impl SpiffeId {
    /// The trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path, with its leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for SpiffeId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = ParseError::expected("a SPIFFE id: `spiffe://trust-domain/path`");
        let rest = text
            .strip_prefix("spiffe://")
            .filter(|_| text.len() <= ID_BYTES_MAX);
        let Some((trust_domain, path)) = rest.and_then(|rest| rest.split_once('/')) else {
            return Err(error);
        };
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if !path.split('/').all(segment) {
            return Err(error);
        }
        Ok(Self {
            trust_domain: trust_domain.parse()?,
            path: format!("/{path}"),
        })
    }
}

/// The keys of a trust bundle that verify JWT-SVIDs (SPIFFE Trust Domain and Bundle §4): those for `jwt-svid`, each of which has a name. What another
/// provider publishes as an ordinary set (`sig`, or no use) is taken too; keys for X.509-SVIDs and for anything unknown are left out.
///
/// # Errors
/// When it is no JWK set, or over the limits of one.
pub fn bundle_keys(bytes: &[u8]) -> Result<JwkSet, JoseError> {
    if bytes.len() > JWKS_BYTES_MAX {
        return Err(JoseError::TooLong);
    }
    let mut bundle: Value =
        serde_json::from_slice(bytes).map_err(|_| JoseError::Json("it is not JSON"))?;
    let keys = bundle
        .get_mut("keys")
        .and_then(Value::as_array_mut)
        .ok_or(JoseError::Json("it has no array `keys`"))?;
    keys.retain_mut(|key| {
        let Some(members) = key.as_object_mut() else {
            return false;
        };
        match members.get("use").and_then(Value::as_str) {
            Some("jwt-svid") if members.contains_key("kid") => {
                members.insert("use".to_owned(), "sig".into());
                true
            }
            Some("sig") => true,
            None => !members.contains_key("use"),
            Some(_) => false,
        }
    });
    JwkSet::parse(bundle.to_string().as_bytes()).map(|(set, _skipped)| set)
}
