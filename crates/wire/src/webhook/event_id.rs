//! What the id of an event is, and what of it can be trusted to tell a new event from an old one.
//!
//! An id that the signature does not cover can be changed by whoever recorded a message: it names the event in records, and what is remembered against replays
//! is then what was signed.

use super::WebhookRefusal;
use super::claim::{self, Claim};
use crate::head::{FieldName, HeadView};
use countersign_base::JsonPointer;
use serde_json::Value;

/// What the id of an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventIdRule {
    /// The value of a field that the signature does not cover. It names the event; what was signed decides whether it came before.
    Field(FieldName),
    /// The value of a field that the signature does not cover, believed: who can repeat a message can give it another id, and then it is another event.
    FieldTrusted(FieldName),
    /// The string or the number at a place in the body.
    Pointer(JsonPointer),
    /// The id that the scheme covers, if it has one; otherwise the digest of what was signed, the timestamp included.
    Signed,
}

/// The id of an event.
#[derive(Debug)]
pub(super) struct EventId {
    /// As it is shown and passed on; nothing stands for the digest of what was signed.
    pub(super) text: Option<String>,
    pub(super) identity: Identity,
}

/// What tells a new event from an old one.
#[derive(Debug)]
pub(super) enum Identity {
    Id,
    Signed,
}

impl EventIdRule {
    /// The id that a field of the head has, if the rule names one.
    pub(super) fn of_head(&self, head: &HeadView<'_>) -> Result<Option<String>, WebhookRefusal> {
        match self {
            Self::Field(name) | Self::FieldTrusted(name) => {
                claim::id_field(head, name.as_str()).map(|id| Some(id.to_owned()))
            }
            Self::Pointer(_) | Self::Signed => Ok(None),
        }
    }

    /// The id, once signature and body are there.
    pub(super) fn resolve(
        &self,
        of_head: Option<String>,
        claim: &Claim,
        body: &[u8],
    ) -> Result<EventId, WebhookRefusal> {
        match self {
            Self::Field(_) => Ok(EventId {
                text: of_head,
                identity: Identity::Signed,
            }),
            Self::FieldTrusted(_) => Ok(EventId {
                text: of_head,
                identity: Identity::Id,
            }),
            Self::Pointer(pointer) => Ok(EventId {
                text: Some(at(pointer, body)?),
                identity: Identity::Id,
            }),
            Self::Signed => Ok(EventId {
                text: claim.id.clone(),
                identity: if claim.id.is_some() {
                    Identity::Id
                } else {
                    Identity::Signed
                },
            }),
        }
    }
}

fn at(pointer: &JsonPointer, body: &[u8]) -> Result<String, WebhookRefusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| WebhookRefusal::IdMissing)?;
    match body.pointer(pointer.as_str()) {
        None | Some(Value::Null) => Err(WebhookRefusal::IdMissing),
        Some(Value::String(text)) => claim::id(text).map(str::to_owned),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Array(_) | Value::Bool(_) | Value::Object(_)) => {
            Err(WebhookRefusal::IdMalformed)
        }
    }
}
