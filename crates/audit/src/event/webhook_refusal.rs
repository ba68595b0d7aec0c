//! Webhooks that were not taken in, or not a second time.

use crate::text::{Code, Text};
use countersign_base::RouteId;
use serde::{Deserialize, Serialize};

/// A webhook was refused before anything was decided about it, or because it came before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookRefused {
    /// What else is to be seen at once; nothing that its sender wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<256>>,
    /// Why (`signature_wrong`, `timestamp_old`, `replayed`, `rate_limited`).
    pub reason: Code,
    /// Where it came in.
    pub route: RouteId,
    /// Who it says sent it, as the configuration names them.
    pub source: Text<128>,
}

/// A webhook came that is kept already, and was answered as kept: nothing happened a second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookRepeated {
    /// What it is: `duplicate`, another signed attempt of its sender, or `replayed` where the scheme signs no time and nobody can tell.
    pub reason: Code,
    /// Where it came in.
    pub route: RouteId,
    /// Who sent it.
    pub source: Text<128>,
}
