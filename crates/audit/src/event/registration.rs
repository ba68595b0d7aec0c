//! Clients that register themselves.

use super::decision::Actor;
use crate::text::{Code, Count};
use countersign_base::ClientId;
use serde::{Deserialize, Serialize};

/// A registration, or a change of one, was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationRefused {
    /// The client, if it is registered: what a stranger typed never stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The protocol's error code (`invalid_client_metadata`).
    pub error: Code,
    /// The reason that the caller does not learn.
    pub reason: Code,
}

/// Somebody may register one client with a token that was made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationTokenMade {
    /// Who made it.
    pub by: Actor,
    /// For how many seconds it is good.
    pub lifetime: Count,
}
