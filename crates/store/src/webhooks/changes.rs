//! Changes of endpoints, their secrets and event types, as data: [`crate::Write::Webhook`] carries one, with the event of whoever was permitted to make it.

use crate::tables::webhook_endpoints::{self as endpoints, EndpointRecord, EndpointSwitch};
use crate::tables::webhook_event_types::{self as event_types, EventTypeRow};
use crate::tables::webhook_secrets::{self as secrets, NewWebhookSecret};
use crate::{StoreError, Transaction};
use countersign_base::{EndpointId, EventPattern, EventTypeName, PartnerName, Tenant, UnixTime};
use std::collections::BTreeSet;

/// A receiver that is to be added, with its first secret.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Which.
    pub id: EndpointId,
    /// Whose; absent where it is the tenant's own.
    pub partner: Option<PartnerName>,
    /// What it is.
    pub record: EndpointRecord,
    /// Which event types it wants.
    pub patterns: BTreeSet<EventPattern>,
    /// What its webhooks are signed with.
    pub secret: NewWebhookSecret,
}

/// One change.
#[derive(Debug, Clone)]
pub enum WebhookWrite {
    /// A new receiver.
    AddEndpoint(Box<NewEndpoint>),
    /// A new version of an event type; there must be none of its number.
    AddEventType(Box<EventTypeRow>),
    /// A receiver as it is from now on, with all that it wants.
    PutEndpoint {
        /// Which.
        id: EndpointId,
        /// What it is.
        record: Box<EndpointRecord>,
        /// Which event types it wants.
        patterns: BTreeSet<EventPattern>,
    },
    /// The end of a receiver, with its secrets. What waits for it is never sent.
    RemoveEndpoint(EndpointId),
    /// The end of publishing an event type; what was published goes on. One version must be there that is not retired.
    RetireEventType {
        /// Which.
        name: EventTypeName,
        /// Which version of it; all that there are, if none is named.
        version: Option<u32>,
    },
    /// A new secret; those before it end then, if they would live longer.
    RotateSecret {
        /// Of which endpoint.
        endpoint: EndpointId,
        /// The new one.
        secret: NewWebhookSecret,
        /// When the others end.
        others_end: UnixTime,
    },
    /// A receiver is enabled or disabled; it must be in the other state.
    SwitchEndpoint(EndpointId, EndpointSwitch),
}

pub(crate) async fn apply(
    tx: &mut Transaction,
    tenant: &Tenant,
    write: &WebhookWrite,
    now: UnixTime,
) -> Result<(), StoreError> {
    match write {
        WebhookWrite::AddEndpoint(new) => {
            let whose = (new.id, new.partner.as_ref());
            endpoints::add(tx, tenant, whose, &new.record, &new.patterns, now).await?;
            secrets::add(tx, tenant, new.id, &new.secret, (now, now)).await
        }
        WebhookWrite::AddEventType(row) => event_types::add(tx, tenant, row).await,
        WebhookWrite::PutEndpoint {
            id,
            record,
            patterns,
        } => endpoints::put(tx, tenant, *id, record, patterns, now).await,
        WebhookWrite::RemoveEndpoint(id) => {
            endpoints::remove(tx, tenant, *id, now).await?;
            secrets::clear(tx, tenant, *id).await
        }
        WebhookWrite::RetireEventType { name, version } => {
            event_types::retire(tx, tenant, name, *version).await
        }
        WebhookWrite::RotateSecret {
            endpoint,
            secret,
            others_end,
        } => {
            if endpoints::lock(tx, tenant, *endpoint).await?.is_none() {
                return Err(StoreError::Superseded("webhook_endpoints"));
            }
            secrets::add(tx, tenant, *endpoint, secret, (*others_end, now)).await
        }
        WebhookWrite::SwitchEndpoint(id, to) => endpoints::switch(tx, tenant, *id, *to, now).await,
    }
}
