//! Webhooks that were not taken in.

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
