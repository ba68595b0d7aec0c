//! What left the durable outbox.

use crate::text::{Code, Count, Text};
use serde::{Deserialize, Serialize};

/// A delivery was made, or given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryEnded {
    /// How often it was tried.
    pub attempts: Count,
    /// Which delivery.
    pub delivery: Text<32>,
    /// To whom, as this program names them: a client's id.
    pub destination: Text<255>,
    /// What (`backchannel_logout`).
    pub kind: Code,
    /// `delivered` or `dead`.
    pub outcome: Code,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
}

/// An endpoint of webhooks was disabled because of what it answered, by nobody's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointDisabled {
    /// Which.
    pub endpoint: Text<32>,
    /// `gone` (it answered 410) or `failing` (for days nothing was taken).
    pub reason: Code,
}
