//! What a token is bound to: nothing, a DPoP key (RFC 9449 §6) or a client certificate (RFC 8705 §3).
//!
//! Not here: checking a proof of possession; that is `authn`'s. A [`Binding`] only says whose key was proven.

use countersign_authn::access_token::Confirmation;
use countersign_crypto::jose::JwkThumbprint;
use countersign_crypto::x509::CertificateThumbprint;
use serde::{Deserialize, Serialize};

/// The key a token is bound to, if any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "thumbprint")]
pub enum Binding {
    /// No key: whoever holds the token may use it (RFC 6750).
    Bearer,
    /// The client certificate with this SHA-256 thumbprint (RFC 8705 §3.1).
    Certificate(CertificateThumbprint),
    /// The DPoP key with this RFC 7638 thumbprint (RFC 9449 §6.1).
    Dpop(JwkThumbprint),
}

impl Binding {
    /// Whether a key is bound at all.
    #[must_use]
    pub const fn is_sender_constrained(&self) -> bool {
        match self {
            Self::Bearer => false,
            Self::Certificate(_) | Self::Dpop(_) => true,
        }
    }

    /// The value of the `cnf` claim (RFC 7800 §3.1), if a key is bound.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation> {
        match self {
            Self::Bearer => None,
            Self::Certificate(thumbprint) => Some(Confirmation::Certificate(*thumbprint)),
            Self::Dpop(thumbprint) => Some(Confirmation::Dpop(*thumbprint)),
        }
    }

    /// The `token_type` of a response that carries such a token (RFC 9449 §5).
    #[must_use]
    pub const fn token_type(&self) -> &'static str {
        match self {
            Self::Bearer | Self::Certificate(_) => "Bearer",
            Self::Dpop(_) => "DPoP",
        }
    }
}

impl From<Option<&Confirmation>> for Binding {
    fn from(confirmation: Option<&Confirmation>) -> Self {
        match confirmation {
            None => Self::Bearer,
            Some(Confirmation::Certificate(thumbprint)) => Self::Certificate(*thumbprint),
            Some(Confirmation::Dpop(thumbprint)) => Self::Dpop(*thumbprint),
        }
    }
}
