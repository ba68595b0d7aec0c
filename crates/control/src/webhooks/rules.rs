//! What an installation says of its webhooks, for whoever needs it: who adds endpoints, who takes publications, who delivers. It is replaced when the configuration is.

use super::schedule::Schedules;
use countersign_store::webhooks::WebhookKept;

/// What an installation says of its webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookRules {
    /// The schedules of retries.
    pub schedules: Schedules,
    /// How long what ended is kept.
    pub kept: WebhookKept,
}
