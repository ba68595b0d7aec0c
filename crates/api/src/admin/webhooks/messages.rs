//! The messages that were published or came in, without what they say: type, time, digest and size, and of one message its deliveries.
//!
//! A digest says whether two messages are the same, and of one that came in whether a copy is the message; whoever may see what a message says, masked, asks for its deliveries
//! ([`super::deliveries`]).

use super::deliveries;
use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer, is_cut};
use crate::admin::described::Described;
use crate::admin::request::Called;
use axum::extract::State;
use countersign_base::{EventTypeName, MessageId, PartnerName, UnixTime};
use countersign_keys::envelope;
use countersign_store::tables::webhook_messages::{self, MessageHead, MessagePlace, MessagesOf};
use countersign_store::tables::{PAGE_MAX, webhook_deliveries};
use countersign_store::webhooks::Addressee;
use serde::{Deserialize, Serialize};

/// The body of `POST .../webhooks/messages/list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Those of this type; of what came in, that is the name of its source.
    r#type: Option<EventTypeName>,
    /// What was accepted from then on.
    since: Option<i64>,
    /// And before then.
    until: Option<i64>,
    /// `next` of the page before.
    after: Option<Place>,
}

impl Described for Of {
    const SCHEMA: &'static str = "WebhookMessagesOf";
}

/// Where a page ended.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    created: i64,
    message: MessageId,
}

/// A page of messages, the newest first.
#[derive(Serialize)]
pub(crate) struct Listed {
    messages: Vec<Known>,
    /// Where to go on, if there may be more. There may be although a page shows nothing: one page looks at so many messages and no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Place>,
}

/// A message, without what it says.
#[derive(Serialize)]
pub(crate) struct Known {
    message: MessageId,
    r#type: EventTypeName,
    /// Absent where it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// Where it comes from.
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerName>,
    /// Hexadecimal: of what came in the SHA-256 of its body, of what was published a keyed hash of all that the publisher said.
    digest: String,
    /// Bytes of the body.
    bytes: u64,
    created: UnixTime,
}

impl From<MessageHead> for Known {
    fn from(head: MessageHead) -> Self {
        let overhead = u64::try_from(envelope::OVERHEAD_BYTES).unwrap_or(u64::MAX);
        let (version, origin) = match head.version {
            0 => (None, "received"),
            version => (Some(version), "published"),
        };
        Self {
            message: head.id,
            r#type: head.event_type,
            version,
            origin,
            partner: match head.to {
                Addressee::Everyone => None,
                Addressee::Partner(partner) => Some(partner),
            },
            digest: head
                .digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            bytes: head.sealed_bytes.saturating_sub(overhead),
            created: head.created,
        }
    }
}

pub(crate) async fn list_messages(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_message", "list").await?;
    let body: Of = body.json().await?;
    let of = MessagesOf {
        event_type: body.r#type,
        since: body.since.map(UnixTime),
        until: body.until.map(UnixTime),
        after: body.after.map(|place| MessagePlace {
            created: UnixTime(place.created),
            id: place.message,
        }),
    };
    let mut connection = admin.read().await?;
    let found = webhook_messages::heads(&mut connection, permit.tenant(), &of, PAGE_MAX).await?;
    Ok(Listed {
        messages: found.rows.into_iter().map(Known::from).collect(),
        next: found.next.map(|place| Place {
            created: place.created.0,
            message: place.id,
        }),
    })
}

/// A message with its deliveries.
#[derive(Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    known: Known,
    deliveries: Vec<deliveries::Known>,
    /// Whether there are more deliveries than these.
    more: bool,
}

pub(crate) async fn show_message(State(admin): State<Admin>, called: Called) -> Answer<Whole> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<Whole, AdminError> {
    let named = called.named::<MessageId>("message");
    let (permit, _body) = called.permit(admin, "webhook_message", "show").await?;
    let unknown = AdminError::Unknown("message");
    let Some(message) = named else {
        return Err(unknown);
    };
    let tenant = permit.tenant();
    let mut connection = admin.read().await?;
    let head = webhook_messages::head(&mut connection, tenant, message).await?;
    let found =
        webhook_deliveries::of_message(&mut connection, tenant, message, None, PAGE_MAX).await?;
    Ok(Whole {
        known: head.ok_or(unknown)?.into(),
        more: is_cut(&found),
        deliveries: found.into_iter().map(deliveries::Known::from).collect(),
    })
}
