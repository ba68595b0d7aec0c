//! Which clients may register themselves with a tenant, and what they may ask for at most.
//!
//! Beyond these limits policy decides (`Action::"register"`); nothing registers itself unless a tenant says so.

use countersign_base::{Audience, Bounded, Scopes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many clients may have registered themselves with a tenant that says nothing else.
pub const CLIENTS_MAX_DEFAULT: u32 = 1000;

/// A tenant's rules of registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistrationRules {
    /// Who may register.
    pub mode: RegistrationMode,
    /// How many clients that registered themselves there may be at once (RFC 7591 §5: whoever may register could otherwise fill the store).
    pub clients_max: u32,
    /// Whether a client may be the address of its own metadata document.
    pub documents: MetadataDocuments,
    /// The scopes that a self-registered client may have.
    pub scopes: Scopes,
    /// The audiences that a self-registered client may ask tokens for.
    pub audiences: BTreeSet<Audience>,
    /// Where redirect URIs, pages and keys of self-registered clients may lie: whole host names. Empty is everywhere.
    pub hosts: BTreeSet<Bounded<253>>,
    /// Who may vouch for software.
    pub software_issuers: Vec<SoftwareIssuer>,
}

impl Default for RegistrationRules {
    fn default() -> Self {
        Self {
            mode: RegistrationMode::default(),
            clients_max: CLIENTS_MAX_DEFAULT,
            documents: MetadataDocuments::default(),
            scopes: Scopes::default(),
            audiences: BTreeSet::new(),
            hosts: BTreeSet::new(),
            software_issuers: Vec::new(),
        }
    }
}

/// Who may register a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationMode {
    /// Nobody.
    #[default]
    Closed,
    /// Whoever holds a token that an administrator made, once.
    InitialAccessToken,
    /// Anybody.
    Open,
    /// Whoever shows a software statement of a trusted issuer.
    SoftwareStatement,
}

impl RegistrationMode {
    /// The name, as records and policies use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::InitialAccessToken => "initial_access_token",
            Self::Open => "open",
            Self::SoftwareStatement => "software_statement",
        }
    }
}

/// Whether client ids may be addresses of metadata documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataDocuments {
    /// They may.
    Accepted,
    /// They are unknown clients.
    #[default]
    Refused,
}

/// Somebody whose software statements are believed (RFC 7591 §2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftwareIssuer {
    /// The `iss` of its statements.
    pub issuer: Bounded<256>,
    /// Its public keys (RFC 7517 §5).
    pub jwks: serde_json::Value,
}

impl RegistrationRules {
    /// Whether addresses of self-registered clients may lie on this host. Names are compared whole: what looks alike is another (REG-8).
    #[must_use]
    pub fn admits_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|allowed| allowed.as_str() == host)
    }
}
