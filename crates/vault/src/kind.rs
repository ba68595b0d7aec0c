//! What can stand at a path: one list of the engines, by the names of the API. What each does is [`crate::engine`]'s to know.

use serde::{Deserialize, Serialize};

/// What can stand at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// `auth/approle/`.
    AppRole,
    /// `auth/cert/`.
    Cert,
    /// `cubbyhole/`.
    Cubbyhole,
    /// Databases.
    Database,
    /// `auth/jwt/`.
    Jwt,
    /// `auth/kubernetes/`.
    Kubernetes,
    /// Key-value secrets, version 2.
    Kv,
    /// Certificates.
    Pki,
    /// `sys/`.
    System,
    /// `auth/token/`.
    Token,
    /// Encryption as a service.
    Transit,
}

impl EngineKind {
    /// `type` of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AppRole => "approle",
            Self::Cert => "cert",
            Self::Cubbyhole => "cubbyhole",
            Self::Database => "database",
            Self::Jwt => "jwt",
            Self::Kubernetes => "kubernetes",
            Self::Kv => "kv",
            Self::Pki => "pki",
            Self::System => "system",
            Self::Token => "token",
            Self::Transit => "transit",
        }
    }

    /// Whether it signs in, and so stands below `auth/`.
    #[must_use]
    pub const fn is_auth(self) -> bool {
        match self {
            Self::AppRole | Self::Cert | Self::Jwt | Self::Kubernetes | Self::Token => true,
            Self::Cubbyhole
            | Self::Database
            | Self::Kv
            | Self::Pki
            | Self::System
            | Self::Transit => false,
        }
    }
}
