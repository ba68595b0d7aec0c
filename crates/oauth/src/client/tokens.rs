//! What kind of tokens a client gets, as its registration says (RFC 7591 §2 names in parentheses where there is one).

use crate::client::ClientRecord;
use crate::subject_identifier::{Sector, SubjectType};
use countersign_authn::access_token::DetailType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The rules. The default is what most clients want: signed access tokens, the public subject, refresh tokens with every grant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenRules {
    /// What an access token looks like.
    pub access_token_format: AccessTokenFormat,
    /// The types of authorization details that it may ask for (`authorization_details_types`, RFC 9396 §10).
    pub detail_types: BTreeSet<DetailType>,
    /// When it gets a refresh token.
    pub refresh: RefreshRule,
    /// Whose subject identifiers it shares, if it does not follow from its redirect URIs (the host of `sector_identifier_uri`).
    pub sector: Option<Sector>,
    /// What it learns as `sub` (`subject_type`).
    pub subject_type: SubjectType,
}

/// What an access token looks like to whoever holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    /// A signed JWT (RFC 9068): whoever serves its audience checks it alone.
    #[default]
    Jwt,
    /// A random name: whoever serves its audience asks (RFC 7662).
    Opaque,
}

/// When a client that is registered for refresh tokens gets one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRule {
    /// With every grant.
    #[default]
    Always,
    /// Only if the person allowed the scope `offline_access` (OpenID Connect Core §11).
    OfflineAccess,
}

impl ClientRecord {
    /// What its access tokens look like. Pairwise subjects need opaque ones: a client could read the public subject in a JWT, and compare it with others'.
    #[must_use]
    pub fn access_token_format(&self) -> AccessTokenFormat {
        match self.token_rules.subject_type {
            SubjectType::Pairwise => AccessTokenFormat::Opaque,
            SubjectType::Public => self.token_rules.access_token_format,
        }
    }

    /// Whether it gets a refresh token with a grant of these scopes.
    #[must_use]
    pub fn refreshes(&self, scopes: &countersign_base::Scopes) -> bool {
        let offline = || {
            scopes
                .iter()
                .any(|scope| scope.as_str() == "offline_access")
        };
        self.grants.contains(&crate::GrantType::RefreshToken)
            && match self.token_rules.refresh {
                RefreshRule::Always => true,
                RefreshRule::OfflineAccess => offline(),
            }
    }
}
