//! Authentication context classes (OpenID Connect Core §2, `acr`; RFC 9470): how well somebody proved who they are, as one ordered scale.
//!
//! Not here: which methods lead to which class; that is the authorization server's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A class. A stronger one satisfies every demand for a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acr {
    /// One factor: a password, an upstream provider's word, or a passkey that did not check who touched it.
    OneFactor,
    /// Two factors of different kinds: a password and a code.
    TwoFactors,
    /// Two factors, one of them a key that signs only for this server's own name (`phr` of the OpenID EAP classes): a passkey that checked its user, or one
    /// beside a password.
    PhishingResistant,
}

impl Acr {
    /// Every class, weakest first, as metadata lists them.
    pub const ALL: [Self; 3] = [Self::OneFactor, Self::TwoFactors, Self::PhishingResistant];

    /// The value of the claim.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneFactor => "urn:countersign:acr:1",
            Self::TwoFactors => "urn:countersign:acr:2",
            Self::PhishingResistant => "phr",
        }
    }

    /// Its place on the scale, from 1, as policies see it.
    #[must_use]
    pub const fn level(self) -> i64 {
        match self {
            Self::OneFactor => 1,
            Self::TwoFactors => 2,
            Self::PhishingResistant => 3,
        }
    }
}

impl fmt::Display for Acr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no class that exists here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an authentication context class of this server")]
pub struct UnknownAcr;

impl FromStr for Acr {
    type Err = UnknownAcr;

    fn from_str(text: &str) -> Result<Self, UnknownAcr> {
        Self::ALL
            .into_iter()
            .find(|acr| acr.as_str() == text)
            .ok_or(UnknownAcr)
    }
}

impl Serialize for Acr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Acr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a resource demands of the sign-in behind a token (RFC 9470 §3): a class, a greatest age, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationDemand {
    /// The weakest class that will do.
    #[serde(default)]
    pub acr: Option<Acr>,
    /// Seconds since the person last proved who they are, at most.
    #[serde(default)]
    pub max_age: Option<u32>,
}

impl AuthenticationDemand {
    /// No demand.
    pub const NONE: Self = Self {
        acr: None,
        max_age: None,
    };

    /// Whether every token will do.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.acr.is_none() && self.max_age.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_ordered_and_its_names_are_read_back() {
        for (weaker, stronger) in Acr::ALL.iter().zip(&Acr::ALL[1..]) {
            assert!(weaker < stronger && weaker.level() < stronger.level());
        }
        for acr in Acr::ALL {
            assert_eq!(acr.as_str().parse(), Ok(acr));
            let json = serde_json::to_string(&acr).unwrap();
            assert_eq!(serde_json::from_str::<Acr>(&json).unwrap(), acr);
        }
        assert_eq!("urn:countersign:acr:9".parse::<Acr>(), Err(UnknownAcr));
        assert!(serde_json::from_str::<Acr>("2").is_err());
    }
}
