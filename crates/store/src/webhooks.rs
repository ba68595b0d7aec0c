//! Webhooks, durable: what is published or received is written with its event in one transaction, taken by the dispatcher with a lease, and settled; each step one unit, so that
//! a crash at any instant loses nothing and at worst delivers again, with the same id.
//!
//! Not here: who may publish (`policy`), how bodies and secrets are sealed (`control`), and sending (`channels`).

mod changes;
mod leases;
mod receiving;
mod room;
mod settling;
mod single;

pub(crate) use changes::apply;
pub use changes::{NewEndpoint, WebhookWrite};
pub use receiving::{Before, NewReceipt, ReceiptRecords, Received, Receives, TakenIn};
pub(crate) use room::Rooms;
pub use settling::{WebhookKept, WebhookOutcome, WebhookSettlement};
pub use single::AcceptedFor;

use crate::deliver::Lease;
use crate::record::{Recordable, Recorded, Recorder};
use crate::tables::webhook_deliveries::{self as deliveries, Nodes};
use crate::tables::webhook_messages::{self as messages, Added};
use crate::tables::{webhook_endpoints, webhook_messages};
use crate::write::record_event;
use crate::{Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{EndpointId, MessageId, SourceName, Tenant, UnixTime};
use countersign_policy::Permitted;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::tables::webhook_deliveries::{
    DeliveryState, FAN_OUT_MAX, Lane, ListedWebhook, LoggedAttempt, REPLAY_MAX, Replayed,
    WAITING_MAX, WebhookDeliveryId,
};
pub use crate::tables::webhook_messages::{Addressee, WebhookMessage};
pub use crate::tables::webhook_receipts::Receipt;

/// Bytes of a payload that is published or received.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes that receivers take gladly (Standard Webhooks).
pub const PAYLOAD_BYTES_ADVISED: usize = 20 * 1024;
/// Rows that one unit of a replay brings back.
const REPLAY_STEP: u16 = 500;

/// A message that is to be accepted.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message. Its id is random, or derived from the publisher's key: the same key is the same message.
    pub message: WebhookMessage,
    /// What ordered endpoints keep in order: a digest of the publisher's word for it.
    pub order_key: Option<[u8; 16]>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Accepted {
    /// It was there already, the same; nothing more happens.
    Again,
    /// The id is that of another message: the key was used for something else. Nothing happens.
    KeyReused,
    /// It goes to so many endpoints.
    New(u32),
}

/// What is published, by a target that policy decides about.
pub trait Publishes: Recordable {
    /// The message.
    fn message(&self) -> NewMessage;
}

/// Which endpoints have something due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookLanes {
    /// Those.
    pub due: Vec<Lane>,
    /// The last endpoint that was looked at, if there may be more after it.
    pub after: Option<Lane>,
    /// When the next of the others that were looked at has something due.
    pub next_due: Option<UnixTime>,
}

/// The right to settle one delivery, while the lease lasts it was taken with.
#[derive(Debug)]
#[must_use = "a delivery that is not settled is tried again when its lease ends"]
pub struct WebhookTicket {
    pub(crate) sequence: i64,
    pub(crate) lease: [u8; 16],
    pub(crate) is_ordered: bool,
}

/// A delivery that was taken.
#[derive(Debug)]
pub struct TakenWebhook {
    /// What it is settled with.
    pub ticket: WebhookTicket,
    /// The endpoint it goes to.
    pub lane: Lane,
    /// What goes there; other deliveries of the same message share it.
    pub message: Arc<WebhookMessage>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When the delivery was accepted.
    pub created: UnixTime,
}

/// What became of a request to deliver again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Redelivered {
    /// There is no such endpoint or delivery.
    Absent,
    /// The endpoint is disabled.
    Disabled,
    /// It is due.
    Due,
    /// It waits anyway.
    Waits,
}

/// What a replay brings back.
#[derive(Debug, Clone, Copy)]
pub struct Replay {
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// What was accepted from then on,
    pub since: UnixTime,
    /// and before then.
    pub until: UnixTime,
    /// Which of it.
    pub which: Replayed,
    /// How many deliveries at the most: [`REPLAY_MAX`].
    pub most: u32,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaying {
    /// There is no such endpoint, or it is disabled.
    Absent,
    /// So many deliveries are due again.
    Done(u32),
    /// So many, and there are more than one replay brings back: ask again, from this time on.
    More(u32, UnixTime),
}

impl Store {
    /// Accepts a message that somebody was permitted to publish: the message, a delivery for each endpoint that wants it, and the event, in one transaction. When this
    /// returns, all of it is durable.
    ///
    /// The limit of what waits is counted from time to time and not each time: several nodes may exceed it by what they accept within a minute.
    ///
    /// # Errors
    /// [`StoreError::Full`] of `webhook_deliveries` when too much waits already, of `webhook_subscriptions` when more endpoints want it than one message goes to; nothing was
    /// accepted.
    pub async fn accept_message(
        &self,
        new: NewMessage,
        event: Record,
        now: UnixTime,
    ) -> Result<Accepted, StoreError> {
        self.webhook_room(&new.message.tenant, now).await?;
        let (nodes, tenant) = (self.nodes(), new.message.tenant.clone());
        let accepted = self
            .write(move |tx| Box::pin(async move { accept(tx, &new, &event, nodes).await }))
            .await?;
        if let Accepted::New(rows) = accepted {
            self.webhook_rooms().take(&tenant, rows);
            if rows > 0 {
                self.webhooks_changed();
            }
        }
        self.outbox_changed();
        Ok(accepted)
    }

    /// As [`Store::accept_message`], with the permit: what is committed is what was decided about, and the event is the decision.
    ///
    /// # Errors
    /// As [`Store::accept_message`].
    pub async fn accept_permitted<T: Publishes>(
        &self,
        recorder: &Recorder,
        permitted: Permitted<T>,
        now: UnixTime,
    ) -> Result<(Recorded<Permitted<T>>, Accepted), StoreError> {
        let record = recorder.permit(&permitted);
        let (receipt, message) = (record.id, permitted.target().message());
        let accepted = self.accept_message(message, record, now).await?;
        Ok((Recorded::new(permitted, receipt), accepted))
    }

    /// Puts the endpoint that stands for the service of a source, so that what comes in of it is delivered. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn put_webhook_service(
        &self,
        tenant: &Tenant,
        source: &SourceName,
        now: UnixTime,
    ) -> Result<EndpointId, StoreError> {
        let id = webhook_endpoints::service_of(tenant, source);
        let (tenant, source) = (tenant.clone(), source.clone());
        self.write(move |tx| {
            Box::pin(async move { webhook_endpoints::put_service(tx, &tenant, &source, now).await })
        })
        .await?;
        Ok(id)
    }

    /// The endpoints in the order of their ids, beginning after `after`, of up to `limit` that something waits for: those that are served and have something due. However much
    /// waits for an endpoint, it costs one look.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn webhook_lanes(
        &self,
        after: Option<Lane>,
        limit: u16,
        now: UnixTime,
    ) -> Result<WebhookLanes, StoreError> {
        let mut connection = self.read().await?;
        let looked_at = deliveries::lanes(&mut connection, after.as_ref(), limit).await?;
        drop(connection);
        let after = match looked_at.last() {
            Some((last, _)) if looked_at.len() >= usize::from(limit) => Some(last.clone()),
            Some(_) | None => None,
        };
        let mut lanes = WebhookLanes {
            due: Vec::new(),
            after,
            next_due: None,
        };
        for (lane, due) in looked_at {
            match due {
                Some(due) if due <= now => lanes.due.push(lane),
                Some(due) => {
                    let earliest = lanes.next_due.map_or(due, |next| next.min(due));
                    lanes.next_due = Some(earliest);
                }
                None => {}
            }
        }
        Ok(lanes)
    }

    /// Takes deliveries that are due, of each endpoint up to as many as it has room for. Of an order key at most one is out at a time.
    ///
    /// # Errors
    /// When the database failed. What was taken all the same is due again when the lease ends.
    pub async fn claim_webhooks(
        &self,
        lanes: Vec<(Lane, u16)>,
        lease: Lease,
        now: UnixTime,
    ) -> Result<Vec<TakenWebhook>, StoreError> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self
            .write(move |tx| {
                Box::pin(async move {
                    deliveries::claim(tx, &lanes, (&lease.token, lease.until), now).await
                })
            })
            .await?;
        let wanted: BTreeSet<(&Tenant, MessageId)> = claimed
            .iter()
            .map(|row| (&row.lane.tenant, row.message))
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // The bodies do not go through the writer: a message stays as it was accepted.
        let wanted: Vec<_> = wanted.into_iter().collect();
        let mut connection = self.read().await?;
        let found = webhook_messages::find_all(&mut connection, &wanted).await?;
        drop(connection);
        let found: BTreeMap<(Tenant, MessageId), Arc<WebhookMessage>> = found
            .into_iter()
            .map(|message| ((message.tenant.clone(), message.id), Arc::new(message)))
            .collect();
        let (mut taken, mut missing) = (Vec::with_capacity(claimed.len()), Vec::new());
        for row in claimed {
            let key = (row.lane.tenant.clone(), row.message);
            let ticket = WebhookTicket {
                sequence: row.sequence,
                lease: lease.token,
                is_ordered: row.is_ordered,
            };
            let Some(message) = found.get(&key) else {
                tracing::error!(event = "webhook_message_missing", message = %row.message);
                missing.push(gone(ticket));
                continue;
            };
            taken.push(TakenWebhook {
                ticket,
                lane: row.lane,
                message: Arc::clone(message),
                attempt: row.attempt,
                created: row.created,
            });
        }
        self.settle_webhooks(missing, WebhookKept::default(), now)
            .await?;
        Ok(taken)
    }

    /// Lets one delivery that ended be tried again, with the event of whoever asked for it.
    ///
    /// # Errors
    /// When the database failed; nothing happened.
    pub async fn redeliver_webhook(
        &self,
        tenant: &Tenant,
        id: WebhookDeliveryId,
        event: Record,
        now: UnixTime,
    ) -> Result<Redelivered, StoreError> {
        let (tenant, nodes) = (tenant.clone(), self.nodes());
        let redelivered = self
            .write(move |tx| {
                Box::pin(async move {
                    let done = redeliver(tx, &tenant, id, nodes, now).await?;
                    if done == Redelivered::Due {
                        record_event(tx, &tenant, &event);
                    }
                    Ok(done)
                })
            })
            .await?;
        self.outbox_changed();
        self.webhooks_changed();
        Ok(redelivered)
    }

    /// Lets the deliveries to an endpoint that ended be tried again, in steps of their own: a crash in between leaves the rest, and asking again brings that back.
    ///
    /// # Errors
    /// When the database failed; what was brought back before is.
    pub async fn replay_webhooks(
        &self,
        tenant: &Tenant,
        replay: Replay,
        event: Record,
        now: UnixTime,
    ) -> Result<Replaying, StoreError> {
        let mut event = Some(event);
        let mut place = deliveries::Place {
            created: replay.since.0,
            // The dead are walked by their sequence, the others by time and then sequence.
            sequence: 0,
        };
        let mut brought = 0_u32;
        while brought < replay.most {
            let limit = u16::try_from(replay.most - brought).unwrap_or(u16::MAX);
            let step = ReplayStep {
                tenant: tenant.clone(),
                replay,
                place,
                limit: limit.min(REPLAY_STEP),
                nodes: self.nodes(),
                event: event.take(),
            };
            let stepped = self
                .write(move |tx| Box::pin(async move { step.take(tx, now).await }))
                .await?;
            self.outbox_changed();
            let Some((rows, next)) = stepped else {
                return Ok(Replaying::Absent);
            };
            brought = brought.saturating_add(rows);
            self.webhooks_changed();
            match next {
                Some(next) => place = next,
                None => return Ok(Replaying::Done(brought)),
            }
        }
        Ok(Replaying::More(brought, UnixTime(place.created)))
    }

    pub(crate) fn nodes(&self) -> Nodes {
        if self.is_shared() {
            Nodes::Several
        } else {
            Nodes::One
        }
    }
}

/// The end of a delivery of which there is no message: a sweep never leaves one, but whoever changes the database by hand may.
const fn gone(ticket: WebhookTicket) -> WebhookSettlement {
    WebhookSettlement {
        ticket,
        outcome: WebhookOutcome::Dead {
            reason: "message_missing",
            status: None,
            took_ms: 0,
        },
        event: None,
    }
}

async fn accept(
    tx: &mut Transaction,
    new: &NewMessage,
    event: &Record,
    nodes: Nodes,
) -> Result<Accepted, StoreError> {
    let message = &new.message;
    let accepted = match messages::add(tx, message).await? {
        Added::New => {
            let rows = deliveries::fan_out(tx, message, new.order_key.as_ref(), nodes).await?;
            Accepted::New(rows)
        }
        Added::There => {
            let there = messages::find(tx, &message.tenant, message.id).await?;
            match there {
                Some(there) if there.digest == message.digest => Accepted::Again,
                Some(_) => Accepted::KeyReused,
                // On PostgreSQL a sweep took it in between: the publisher tries again.
                None => return Err(StoreError::Superseded("webhook_messages")),
            }
        }
    };
    record_event(tx, &message.tenant, event);
    Ok(accepted)
}

async fn redeliver(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: WebhookDeliveryId,
    nodes: Nodes,
    now: UnixTime,
) -> Result<Redelivered, StoreError> {
    use webhook_endpoints::EndpointState;
    let endpoint = webhook_endpoints::lock(tx, tenant, id.endpoint).await?;
    match endpoint.map(|endpoint| endpoint.state) {
        None => return Ok(Redelivered::Absent),
        Some(EndpointState::Disabled) => return Ok(Redelivered::Disabled),
        Some(EndpointState::Enabled | EndpointState::Service) => {}
    }
    let Some(row) = deliveries::find(tx, tenant, id).await? else {
        return Ok(Redelivered::Absent);
    };
    if row.state == DeliveryState::Waiting {
        return Ok(Redelivered::Waits);
    }
    let rows = [row.sequence];
    Ok(
        match deliveries::bring_back(tx, tenant, &rows, nodes, now).await? {
            // A sweep took it in between.
            0 => Redelivered::Absent,
            _ => Redelivered::Due,
        },
    )
}

/// One step of a replay.
struct ReplayStep {
    tenant: Tenant,
    replay: Replay,
    place: deliveries::Place,
    limit: u16,
    nodes: Nodes,
    /// With the first step.
    event: Option<Record>,
}

impl ReplayStep {
    /// How many rows it brought back, and where the next step begins, if there is one. Nothing, if the endpoint is not served.
    async fn take(
        self,
        tx: &mut Transaction,
        now: UnixTime,
    ) -> Result<Option<(u32, Option<deliveries::Place>)>, StoreError> {
        use webhook_endpoints::EndpointState;
        let (tenant, replay) = (&self.tenant, self.replay);
        let endpoint = webhook_endpoints::lock(tx, tenant, replay.endpoint).await?;
        match endpoint.map(|endpoint| endpoint.state) {
            Some(EndpointState::Enabled | EndpointState::Service) => {}
            Some(EndpointState::Disabled) | None => return Ok(None),
        }
        if let Some(event) = &self.event {
            record_event(tx, tenant, event);
        }
        let at = (self.place, replay.until);
        let of = (tenant, replay.endpoint);
        let (rows, next) = deliveries::ended(tx, of, replay.which, at, self.limit).await?;
        if rows.is_empty() {
            return Ok(Some((0, None)));
        }
        let brought = deliveries::bring_back(tx, tenant, &rows, self.nodes, now).await?;
        let more = rows.len() >= usize::from(self.limit);
        let brought = u32::try_from(brought).unwrap_or(u32::MAX);
        Ok(Some((brought, more.then_some(next))))
    }
}
