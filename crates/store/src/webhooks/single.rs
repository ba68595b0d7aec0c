//! A message for one endpoint alone, whatever that wants: what somebody sends there to see whether it arrives.

use super::{NewMessage, WebhookDeliveryId};
use crate::tables::webhook_deliveries as deliveries;
use crate::tables::webhook_endpoints::{self as endpoints, EndpointState};
use crate::tables::webhook_messages::{self as messages, Added};
use crate::write::record_event;
use crate::{Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{EndpointId, UnixTime};

/// What became of a message for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AcceptedFor {
    /// There is no such receiver.
    Absent,
    /// It was there already; nothing more happens.
    Again,
    /// The endpoint is disabled.
    Disabled,
    /// It is due there.
    New,
}

impl Store {
    /// Accepts a message for one receiver: the message, its delivery, and the event, in one transaction. It waits behind nothing there, also where the endpoint has an order. When
    /// this returns [`AcceptedFor::New`], all of it is durable; with any other answer nothing happened.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too much waits already; nothing was accepted.
    pub async fn accept_message_for(
        &self,
        new: NewMessage,
        endpoint: EndpointId,
        event: Record,
        now: UnixTime,
    ) -> Result<AcceptedFor, StoreError> {
        self.webhook_room(&new.message.tenant, now).await?;
        let tenant = new.message.tenant.clone();
        let accepted = self
            .write(move |tx| Box::pin(async move { accept(tx, &new, endpoint, &event, now).await }))
            .await?;
        if accepted == AcceptedFor::New {
            self.webhook_rooms().take(&tenant, 1);
            self.webhooks_changed();
            self.outbox_changed();
        }
        Ok(accepted)
    }
}

async fn accept(
    tx: &mut Transaction,
    new: &NewMessage,
    endpoint: EndpointId,
    event: &Record,
    now: UnixTime,
) -> Result<AcceptedFor, StoreError> {
    let message = &new.message;
    let tenant = &message.tenant;
    let found = endpoints::lock(tx, tenant, endpoint).await?;
    match found.map(|found| found.state) {
        None | Some(EndpointState::Service) => return Ok(AcceptedFor::Absent),
        Some(EndpointState::Disabled) => return Ok(AcceptedFor::Disabled),
        Some(EndpointState::Enabled) => {}
    }
    if messages::add(tx, message).await? == Added::There {
        return Ok(AcceptedFor::Again);
    }
    let id = WebhookDeliveryId {
        message: message.id,
        endpoint,
    };
    deliveries::add(tx, tenant, id, now).await?;
    record_event(tx, tenant, event);
    Ok(AcceptedFor::New)
}
