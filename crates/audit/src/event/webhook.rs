//! Webhooks that go out: what somebody changed about them, published, or wanted delivered again.

use super::decision::Actor;
use crate::text::{Code, Count};
use countersign_base::{EndpointId, EventTypeName, MessageId, PartnerName, WebhookSecretId};
use serde::{Deserialize, Serialize};

/// An endpoint was changed by somebody's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointChanged {
    /// Who did it.
    pub by: Actor,
    /// `added`, `changed`, `disabled`, `enabled` or `removed`.
    pub change: Code,
    /// Which.
    pub endpoint: EndpointId,
    /// Whose it is, if it is not the tenant's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerName>,
}

/// An event type was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEventTypeChanged {
    /// Who did it.
    pub by: Actor,
    /// `added` or `retired`.
    pub change: Code,
    /// Its name.
    pub name: EventTypeName,
    /// Which version of it; all that there were, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Count>,
}

/// An administrator published a message. What a client publishes is recorded as the decision that permits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPublished {
    /// Who did it.
    pub by: Actor,
    /// What it reports.
    pub event_type: EventTypeName,
    /// The message.
    pub message: MessageId,
    /// To whom, if not to everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerName>,
}

/// Somebody wanted deliveries to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookReplayAsked {
    /// Who did it.
    pub by: Actor,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Which message, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// What was accepted from then on, in seconds since the epoch.
    pub since: Count,
    /// And before then.
    pub until: Count,
    /// `all`, `dead` or `one`.
    pub which: Code,
}

/// An endpoint got a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSecretRotated {
    /// Who did it.
    pub by: Actor,
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// When those before it end, in seconds since the epoch.
    pub others_end: Count,
    /// The new one's id.
    pub secret: WebhookSecretId,
}
