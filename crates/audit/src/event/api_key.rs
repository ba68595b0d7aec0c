//! API keys.

use super::decision::Actor;
use crate::text::{Code, Count};
use countersign_base::{ClientId, GrantId};
use serde::{Deserialize, Serialize};

/// An API key was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyAdded {
    /// Who did it.
    pub by: Actor,
    /// Whose key it is.
    pub client: ClientId,
    /// When it ends, in seconds since the epoch.
    pub expires: Count,
    /// The key's id, which decisions about its requests name as their grant.
    pub key: GrantId,
    /// How many networks it may come from; none means all.
    pub networks: Count,
    /// The key that it takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<GrantId>,
}

/// An API key was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEnded {
    /// Who did it.
    pub by: Actor,
    /// Whose key it was.
    pub client: ClientId,
    /// The key's id.
    pub key: GrantId,
    /// Why.
    pub reason: Code,
}
