//! What came in, once: what is remembered of it, the message, its delivery to the service of its source and the record of all that are one transaction.
//!
//! The record says what the transaction found. Policy permits a webhook before anybody knows whether it came before; where it did, and that is a reason to refuse it, the
//! refusal stands in the log in place of the permit, so that nobody reads there that something was let in which was not.

use crate::record::{Recordable, Recorded, Recorder};
use crate::tables::webhook_deliveries::{self as deliveries, WebhookDeliveryId};
use crate::tables::webhook_endpoints;
use crate::tables::webhook_messages::{self as messages, Added, WebhookMessage};
use crate::tables::webhook_receipts::{self as receipts, Known, Receipt};
use crate::write::record_event;
use crate::{Store, StoreError, Transaction};
use countersign_audit::{Event, Record};
use countersign_base::{EventId, MessageId, UnixTime};
use countersign_policy::Permitted;

/// Something that came in and is to be taken.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// What is remembered of it.
    pub receipt: Receipt,
    /// The message that it becomes.
    pub message: WebhookMessage,
}

/// What is received, by a target that policy decides about.
pub trait Receives: Recordable {
    /// What came in.
    fn receipt(&self) -> NewReceipt;

    /// What is recorded where it came before.
    fn before(&self) -> Before<Event>;
}

/// What is recorded of something that came before.
#[derive(Debug, Clone)]
pub struct Before<T> {
    /// Beside the permit: it is kept already, and nothing happens a second time.
    pub duplicate: T,
    /// In place of the permit: the very same signed attempt came before.
    pub replayed: T,
    /// In place of the permit: its id came with another body.
    pub reused: T,
}

/// The records of something that came in; what the transaction finds says which of them are written.
#[derive(Debug, Clone)]
pub struct ReceiptRecords {
    /// That it was let in.
    pub permit: Record,
    /// What else it may be.
    pub before: Before<Record>,
}

/// What became of something that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// It came before, and its sender tries again, or cannot say whether it does: nothing more happens.
    Duplicate(MessageId),
    /// It is new, durable, and on its way to its service.
    First(MessageId),
    /// The very same signed attempt came before.
    Replayed(MessageId),
    /// The same id came before with another body.
    Reused,
}

/// What became of something that policy permitted.
#[derive(Debug)]
#[must_use]
pub enum TakenIn<T> {
    /// It is kept since before.
    Duplicate(Recorded<Permitted<T>>),
    /// It is kept from now on.
    First(Recorded<Permitted<T>>),
    /// It is refused; the record of that.
    Replayed(EventId),
    /// It is refused; the record of that.
    Reused(EventId),
}

impl Store {
    /// Takes something that came in: what is remembered of it, the message, its delivery to the service of its source, and the record, in one transaction. When this returns
    /// [`Received::First`], all of it is durable; with any other answer only the record is.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too much waits already; nothing was taken.
    pub async fn receive_webhook(
        &self,
        new: NewReceipt,
        records: ReceiptRecords,
        now: UnixTime,
    ) -> Result<Received, StoreError> {
        self.webhook_room(&new.message.tenant, now).await?;
        let tenant = new.message.tenant.clone();
        let received = self
            .write(move |tx| Box::pin(async move { receive(tx, &new, &records, now).await }))
            .await?;
        if let Received::First(_) = received {
            self.webhook_rooms().take(&tenant, 1);
            self.webhooks_changed();
        }
        self.outbox_changed();
        Ok(received)
    }

    /// As [`Store::receive_webhook`], with the permit. There is one to go on with only where the record says that it was let in.
    ///
    /// # Errors
    /// As [`Store::receive_webhook`].
    pub async fn receive_permitted<T: Receives>(
        &self,
        recorder: &Recorder,
        permitted: Permitted<T>,
        now: UnixTime,
    ) -> Result<TakenIn<T>, StoreError> {
        let (target, permit) = (permitted.target(), recorder.permit(&permitted));
        let about = target.about();
        let record = |event| recorder.about_event(&about.tenant, about.request, event);
        let before = target.before();
        let before = Before {
            duplicate: record(before.duplicate),
            replayed: record(before.replayed),
            reused: record(before.reused),
        };
        let (replayed, reused) = (before.replayed.id, before.reused.id);
        let (receipt, new) = (permit.id, target.receipt());
        let records = ReceiptRecords { permit, before };
        Ok(match self.receive_webhook(new, records, now).await? {
            Received::Duplicate(_) => TakenIn::Duplicate(Recorded::new(permitted, receipt)),
            Received::First(_) => TakenIn::First(Recorded::new(permitted, receipt)),
            Received::Replayed(_) => TakenIn::Replayed(replayed),
            Received::Reused => TakenIn::Reused(reused),
        })
    }
}

async fn receive(
    tx: &mut Transaction,
    new: &NewReceipt,
    records: &ReceiptRecords,
    now: UnixTime,
) -> Result<Received, StoreError> {
    let message = &new.message;
    let (tenant, receipt) = (&message.tenant, &new.receipt);
    let ReceiptRecords { permit, before } = records;
    Ok(
        match receipts::remember(tx, tenant, receipt, message.id, now).await? {
            Known::Attempt(known) => {
                record_event(tx, tenant, &before.replayed);
                Received::Replayed(known)
            }
            Known::OtherBody => {
                record_event(tx, tenant, &before.reused);
                Received::Reused
            }
            Known::Same(known) => {
                record_event(tx, tenant, permit);
                record_event(tx, tenant, &before.duplicate);
                Received::Duplicate(known)
            }
            Known::New => {
                if messages::add(tx, message).await? == Added::There {
                    return Err(StoreError::Superseded("webhook_messages"));
                }
                let endpoint = webhook_endpoints::service_of(tenant, &receipt.source);
                let id = WebhookDeliveryId {
                    message: message.id,
                    endpoint,
                };
                deliveries::add(tx, tenant, id, now).await?;
                record_event(tx, tenant, permit);
                Received::First(message.id)
            }
        },
    )
}
