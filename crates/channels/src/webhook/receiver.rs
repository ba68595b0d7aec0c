//! Takes in what providers send: verified, decided about, remembered, and on its way to its service, durably, before anybody is told that it came.
//!
//! A webhook goes through two steps. [`Receiver::look`] has the head alone, and refuses what no body could mend; of a source whose keys are fetched it may wait for them. [`Looked::receive`] has the body: its signature is checked
//! in constant time over all secrets in rotation, policy decides, and one transaction holds what is remembered against replays, the message, its delivery to the service of
//! the source, and the record ([`countersign_store::Store::receive_permitted`]). Whoever is told [`Taken`] may forget the webhook, and nobody else is.
//!
//! Not here: what costs nothing (media type, length, addresses, rates: `gateway`), the schemes (`wire`), and the delivery (`dispatcher`).

mod arrival;

use arrival::Arrival;
use bytes::Bytes;
use countersign_audit::event::WebhookRepeated;
use countersign_audit::{Code, Text};
use countersign_base::{
    Duration, EventId, EventTypeName, MessageId, ParseError, RequestId, RouteId, SourceName,
    Tenant, UnixTime,
};
use countersign_control::{Fabric, FollowedKeys};
use countersign_keys::{Aad, envelope};
use countersign_policy::decide;
use countersign_store::webhooks::{Addressee, NewReceipt, Receipt, Received, WebhookMessage};
use countersign_store::{Durability, StoreError};
use countersign_wire::HeadView;
use countersign_wire::webhook::{self, WebhookRefusal};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How long an event is remembered unless the configuration says otherwise: longer than providers try, so that what comes again after days is known.
pub const REMEMBER_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// The longest that it may be.
pub const REMEMBER_MAX: Duration = Duration::from_secs(90 * 86_400);

/// Somebody who sends webhooks to us.
pub struct ReceivedSource {
    name: SourceName,
    tenant: Tenant,
    keys: SourceKeys,
    remember: Duration,
    event_type: EventTypeName,
}

/// How a source is known, and where its keys come from.
pub enum SourceKeys {
    /// The JWK set at the source's address. What is made of a set is the whole source, so that what was looked at is verified with the same keys.
    Followed(Box<FollowedKeys<webhook::Source>>),
    /// The configuration holds them.
    Pinned(Arc<webhook::Source>),
}

impl ReceivedSource {
    /// The source `name` of `tenant`, which signs as `keys` say, within `tolerance`. Its events are remembered for `remember`, and for twice the tolerance at least: so long a replay can
    /// pass the check of its time.
    ///
    /// # Errors
    /// When the name is none that a type of events can have: it is the type of what the source sends.
    pub fn new(
        name: SourceName,
        tenant: Tenant,
        keys: SourceKeys,
        (tolerance, remember): (Duration, Duration),
    ) -> Result<Self, ParseError> {
        Ok(Self {
            event_type: name.as_str().parse()?,
            remember: remember.max(tolerance.saturating_mul(2)),
            name,
            tenant,
            keys,
        })
    }
}

impl SourceKeys {
    /// The source with the keys that count now, and what the head says to it. A head that names a key that is not there may wait for a newer set.
    async fn look(
        &self,
        head: &HeadView<'_>,
        now: UnixTime,
    ) -> Result<(Arc<webhook::Source>, webhook::Looked), NotTaken> {
        let followed = match self {
            Self::Followed(keys) => keys,
            Self::Pinned(source) => return Ok((Arc::clone(source), source.look(head, now)?)),
        };
        let source = followed.current().await.ok_or(NotTaken::KeysAway)?;
        match source.look(head, now) {
            Ok(looked) => Ok((source, looked)),
            // A new key may also be of another algorithm than all before it.
            Err(refusal @ (WebhookRefusal::AlgorithmUnknown | WebhookRefusal::KeyUnknown)) => {
                let newer = followed.newer(&source).await.ok_or(refusal)?;
                let looked = newer.look(head, now)?;
                Ok((newer, looked))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Takes in the webhooks of some sources.
pub struct Receiver {
    fabric: Arc<Fabric>,
    sources: BTreeMap<SourceName, Arc<ReceivedSource>>,
}

/// Where and when a webhook came in.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// The request.
    pub request: RequestId,
    /// The route.
    pub route: RouteId,
    /// Where it came from.
    pub from: IpAddr,
    /// Now.
    pub at: UnixTime,
}

/// Why a webhook is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Policy says no; the record of it.
    #[error("policy does not let it in")]
    Denied(EventId),
    /// The keys of the source cannot be had at the moment. Its sender tries again.
    #[error("the keys of the source cannot be had")]
    KeysAway,
    /// Its signature, its time, its id, or what came before.
    #[error("{0}")]
    Refused(#[from] WebhookRefusal),
    /// It cannot be kept at the moment. Its sender tries again.
    #[error("it cannot be kept: {0}")]
    Unavailable(Unavailable),
    /// Nobody of this name sends webhooks.
    #[error("no such source")]
    UnknownSource,
}

/// Why a webhook cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too much waits already.
    #[error("too much waits")]
    Full,
    /// The log takes nothing.
    #[error("the log takes nothing")]
    Record,
    /// Its body cannot be sealed.
    #[error("the body cannot be sealed")]
    Seal,
    /// The database.
    #[error("the database failed")]
    Store,
}

impl Unavailable {
    /// As records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "webhooks_full",
            Self::Record => "record_unavailable",
            Self::Seal => "seal_failed",
            Self::Store => "store_unavailable",
        }
    }
}

/// A webhook that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether it came before.
    pub when: TakenWhen,
    /// The record of it.
    pub recorded: EventId,
}

/// Whether a webhook came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenWhen {
    /// It is kept since an earlier attempt, whose answer its sender did not hear.
    Before,
    /// It is kept from now on.
    Now,
}

impl Receiver {
    /// Takes in the webhooks of `sources`.
    #[must_use]
    pub fn new(fabric: Arc<Fabric>, sources: Vec<ReceivedSource>) -> Self {
        let named = |source: ReceivedSource| (source.name.clone(), Arc::new(source));
        Self {
            fabric,
            sources: sources.into_iter().map(named).collect(),
        }
    }

    /// Judges what the head of a webhook of `source` says; nothing of its body is known yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn look(
        &self,
        source: &SourceName,
        head: &HeadView<'_>,
        arriving: Arriving,
    ) -> Result<Looked, NotTaken> {
        let from = self.sources.get(source).ok_or(NotTaken::UnknownSource)?;
        let (source, looked) = from.keys.look(head, arriving.at).await?;
        Ok(Looked {
            fabric: Arc::clone(&self.fabric),
            from: Arc::clone(from),
            source,
            looked,
            arriving,
        })
    }
}

/// A webhook whose head is in order.
#[must_use]
pub struct Looked {
    fabric: Arc<Fabric>,
    from: Arc<ReceivedSource>,
    source: Arc<webhook::Source>,
    looked: webhook::Looked,
    arriving: Arriving,
}

impl Looked {
    /// Judges the body, and keeps it. When this returns [`Taken`], message, delivery, what is remembered of it, and the record are durable, also if the caller is gone by then.
    ///
    /// # Errors
    /// What is wrong with it, or that it cannot be kept. Of a webhook that came before, what came then stays as it is.
    pub async fn receive(self, body: Bytes) -> Result<Taken, NotTaken> {
        let Self {
            fabric,
            from,
            source,
            looked,
            arriving,
        } = self;
        // The body may have been slow: what counts is when all of it was here.
        let now = fabric.now();
        let receipt = source.verify(looked, &body, now)?;
        let (signed_at, bytes) = (receipt.timestamp(), body.len());
        let new = kept(&fabric, &from, &receipt, &body, now)?;
        drop(body);
        let arrival = Arrival {
            tenant: from.tenant.clone(),
            source: from.name.clone(),
            scheme: receipt.scheme(),
            signed_at,
            bytes,
            new,
            arriving,
            now,
        };
        let (tenant, request) = (from.tenant.clone(), arrival.arriving.request);
        let route = arrival.arriving.route.clone();
        let permitted = match decide(&fabric.policies(), arrival) {
            Ok(permitted) => permitted,
            Err(denied) => {
                let recorded = fabric.recorder().record_denied(denied);
                let recorded = recorded.map_err(|_| NotTaken::Unavailable(Unavailable::Record))?;
                return Err(NotTaken::Denied(recorded.receipt()));
            }
        };
        let taken = fabric
            .store()
            .receive_permitted(fabric.recorder(), permitted, now);
        let (recorded, received) = taken.await.map_err(|error| unavailable(&error))?;
        let recorded = recorded.receipt();
        match received {
            Received::First(_) => Ok(Taken {
                when: TakenWhen::Now,
                recorded,
            }),
            Received::Duplicate(_) => {
                let reason = if signed_at.is_some() {
                    "duplicate"
                } else {
                    // The scheme signs no time: this may be its sender, or whoever recorded it.
                    "replayed"
                };
                let repeated = WebhookRepeated {
                    reason: Code::of(reason),
                    route,
                    source: Text::of(from.name.as_str()),
                };
                let noted =
                    fabric
                        .recorder()
                        .event(&tenant, Some(request), repeated, Durability::Queued);
                if noted.await.is_err() {
                    // It is kept, and the decision is recorded: there is nothing to refuse.
                    tracing::error!(event = "webhook_repeated_not_recorded");
                }
                Ok(Taken {
                    when: TakenWhen::Before,
                    recorded,
                })
            }
            Received::Replayed(_) => Err(WebhookRefusal::Replayed.into()),
            Received::Reused => Err(WebhookRefusal::IdReused.into()),
        }
    }
}

/// What is kept of a webhook.
fn kept(
    fabric: &Fabric,
    from: &ReceivedSource,
    receipt: &webhook::Receipt,
    body: &[u8],
    now: UnixTime,
) -> Result<NewReceipt, NotTaken> {
    let id = MessageId::from_bytes(fabric.random().bytes());
    let sealed = envelope::seal(
        &*fabric.secrets().keks(),
        &Aad::row(&from.tenant, "webhook_messages", "sealed", id.as_bytes()),
        body,
        fabric.random(),
    );
    let sealed = sealed.map_err(|_| NotTaken::Unavailable(Unavailable::Seal))?;
    Ok(NewReceipt {
        receipt: Receipt {
            source: from.name.clone(),
            event_id: *receipt.identity(),
            attempt: receipt.timestamp().map(|_| *receipt.attempt()),
            body: *receipt.body_digest(),
            expires: now.plus(from.remember),
        },
        message: WebhookMessage {
            tenant: from.tenant.clone(),
            id,
            event_type: from.event_type.clone(),
            version: 0,
            to: Addressee::Everyone,
            digest: *receipt.body_digest(),
            sealed: sealed.into_bytes(),
            created: now,
        },
    })
}

fn unavailable(error: &StoreError) -> NotTaken {
    tracing::warn!(event = "webhook_not_kept", %error);
    NotTaken::Unavailable(match error {
        StoreError::Full(_) => Unavailable::Full,
        _ => Unavailable::Store,
    })
}
