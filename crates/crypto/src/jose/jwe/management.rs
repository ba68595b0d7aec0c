//! How the content's key gets to the recipient (RFC 7518 §4).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value of `alg`. There are no others: unknown means no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyManagement {
    /// Agreement on the content's key itself, by an ephemeral key (§4.6).
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    /// Agreement on a key that wraps the content's key (§4.6).
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
    /// The content's key under RSA-OAEP with SHA-256 (§4.3).
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
}

impl KeyManagement {
    /// Every one, in the order of their names.
    pub const ALL: [Self; 3] = [Self::EcdhEs, Self::EcdhEsA256Kw, Self::RsaOaep256];

    /// The name in the registry of JOSE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether an ephemeral key is part of it.
    pub(super) const fn agrees(self) -> bool {
        match self {
            Self::EcdhEs | Self::EcdhEsA256Kw => true,
            Self::RsaOaep256 => false,
        }
    }
}

impl fmt::Display for KeyManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
