//! What an installation says of its webhooks, for whoever needs it: who adds endpoints, who takes publications, who delivers. It is replaced when the configuration is.

use super::schedule::Schedules;
use countersign_base::Duration;
use countersign_store::webhooks::WebhookKept;

/// What an installation says of its webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookRules {
    /// The schedules of retries.
    pub schedules: Schedules,
    /// How long what ended is kept.
    pub kept: WebhookKept,
    /// How much a client may publish.
    pub publishing: PublishingRate,
}

/// How much a client may publish: so many messages in one moment, and as many again over each such span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishingRate {
    /// Messages, at least one.
    pub requests: u32,
    /// The span, at least a second.
    pub per: Duration,
}

impl Default for PublishingRate {
    /// A thousand a second: one client cannot fill the outbox of a tenant within minutes, and a run of ten thousand goes through at once.
    fn default() -> Self {
        Self {
            requests: 10_000,
            per: Duration::from_secs(10),
        }
    }
}
