//! Sessions of browsers at the gateway.

use crate::text::{Code, Text};
use countersign_base::{ClientId, UserId};
use serde::{Deserialize, Serialize};

/// A browser signed in at the gateway, which keeps its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserSessionBegan {
    /// The client that the gateway is at the issuer.
    pub client: ClientId,
    /// What the configuration calls such sessions.
    pub session: Text<32>,
    /// Who, if it is somebody of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// A browser's session at the gateway ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserSessionEnded {
    /// Why (`sign_out`, `back_channel_logout`, `refresh_refused`, `token_refused`).
    pub reason: Code,
    /// What the configuration calls such sessions.
    pub session: Text<32>,
}
