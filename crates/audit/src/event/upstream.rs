//! Identity providers that are not ours, and what comes of them. Nobody's name there is recorded.

use super::decision::{Actor, Verdict};
use crate::text::{Code, Text};
use countersign_base::{SessionId, UserId};
use serde::{Deserialize, Serialize};

/// An identity provider came into being, changed or was disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderChanged {
    /// Who did it.
    pub by: Actor,
    /// What changed (`declared`, `disabled`).
    pub change: Code,
    /// Its name with us.
    pub provider: Text<64>,
}

/// An upstream identity was linked to an account, or its link ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamLink {
    /// What was done (`linked`, `created`, `ended`), or was not.
    pub change: Code,
    /// Whether it was done.
    pub decision: Verdict,
    /// The provider's name with us.
    pub provider: Text<64>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Whose account.
    pub user: UserId,
}

/// A browser came back from another identity provider with a code that is about to be redeemed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamReturned {
    /// The provider's name with us.
    pub provider: Text<64>,
}

/// A person came back from another identity provider, signed in or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSignIn {
    /// Whether they are signed in.
    pub decision: Verdict,
    /// The provider's name with us, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Text<64>>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// The session that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Who, if the identity has an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}
