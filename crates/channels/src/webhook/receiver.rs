//! Takes in what providers send: verified, decided about, remembered, and on its way to its service, durably, before anybody is told that it came.
//!
//! A webhook goes through two steps. [`Receiver::look`] has the head alone, and refuses what no body could mend; of a source whose keys are fetched it may wait for them. [`Looked::receive`] has the body: its signature is checked
//! in constant time over all secrets in rotation, policy decides, and one transaction holds what is remembered against replays, the message, its delivery to the service of
//! the source, and the record ([`countersign_store::Store::receive_permitted`]). Whoever is told [`Taken`] may forget the webhook, and nobody else is.
//! A challenge, by which a source finds out whose address this is, goes the same way up to the decision and is then answered; nothing of it is kept.
//!
//! Not here: what costs nothing (media type, length, addresses, rates: `gateway`), the schemes (`wire`), and the delivery (`dispatcher`).

mod arrival;

use arrival::{Arrival, What};
use bytes::Bytes;
use countersign_base::{
    Duration, EventId, EventTypeName, MessageId, ParseError, RequestId, RouteId, SourceName,
    Tenant, UnixTime,
};
use countersign_control::{Fabric, FollowedKeys};
use countersign_keys::{Aad, envelope};
use countersign_policy::{Permitted, decide};
use countersign_store::webhooks::{Addressee, NewReceipt, Receipt, TakenIn, WebhookMessage};
use countersign_store::{Durability, StoreError};
use countersign_wire::HeadView;
use countersign_wire::webhook::{self, UrlChallenge, Verified, WebhookRefusal};
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
    /// What came before; the record of it stands where the permit would.
    #[error("{refusal}")]
    Before {
        /// What is wrong with it.
        refusal: WebhookRefusal,
        /// The record.
        recorded: EventId,
    },
    /// Policy says no; the record of it.
    #[error("policy does not let it in")]
    Denied(EventId),
    /// The keys of the source cannot be had at the moment. Its sender tries again.
    #[error("the keys of the source cannot be had")]
    KeysAway,
    /// Its signature, its time or its id.
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

/// What a webhook is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Its source wants to hear its own word before it sends anything; nothing is kept.
    Challenge {
        /// The word.
        text: String,
        /// The record of it.
        recorded: EventId,
    },
    /// It is kept.
    Taken(Taken),
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
    /// Judges the body, and keeps it. When this returns [`Heard::Taken`], message, delivery, what is remembered of it, and the record are durable, also if the caller is gone
    /// by then. Of a challenge nothing is kept but its record.
    ///
    /// # Errors
    /// What is wrong with it, or that it cannot be kept. Of a webhook that came before, what came then stays as it is.
    pub async fn receive(self, body: Bytes) -> Result<Heard, NotTaken> {
        let Self {
            fabric,
            from,
            source,
            looked,
            arriving,
        } = self;
        // The body may have been slow: what counts is when all of it was here.
        let now = fabric.now();
        let arrival = |scheme, signed_at| Arrival {
            tenant: from.tenant.clone(),
            source: from.name.clone(),
            scheme,
            signed_at,
            bytes: body.len(),
            what: (),
            arriving,
            now,
        };
        match source.hear(looked, &body, now)? {
            Verified::Challenge(challenge) => {
                let scheme = source.scheme().name();
                let arrival = arrival(scheme, challenge.timestamp()).of(challenge);
                challenged(&fabric, arrival).await
            }
            Verified::Receipt(receipt) => {
                let arrival = arrival(receipt.scheme(), receipt.timestamp());
                let new = kept(&fabric, &from, &receipt, &body, now)?;
                drop(body);
                taken(&fabric, arrival.of(new)).await.map(Heard::Taken)
            }
        }
    }
}

/// Has policy decide.
fn permitted<W: What>(
    fabric: &Fabric,
    arrival: Arrival<W>,
) -> Result<Permitted<Arrival<W>>, NotTaken> {
    decide(&fabric.policies(), arrival).map_err(|denied| {
        match fabric.recorder().record_denied(denied) {
            Ok(recorded) => NotTaken::Denied(recorded.receipt()),
            Err(_) => NotTaken::Unavailable(Unavailable::Record),
        }
    })
}

/// Tells whoever may send webhooks their own word, after that they may is on record. Doing it again does nothing again: only they could have signed it.
async fn challenged(fabric: &Fabric, arrival: Arrival<UrlChallenge>) -> Result<Heard, NotTaken> {
    let permitted = permitted(fabric, arrival)?;
    let recorded = fabric.recorder().record(permitted, Durability::Durable);
    let recorded = recorded
        .await
        .map_err(|_| NotTaken::Unavailable(Unavailable::Record))?;
    Ok(Heard::Challenge {
        recorded: recorded.receipt(),
        text: recorded.into_target().what.into_text(),
    })
}

async fn taken(fabric: &Fabric, arrival: Arrival<NewReceipt>) -> Result<Taken, NotTaken> {
    let now = arrival.now;
    let permitted = permitted(fabric, arrival)?;
    let taken = fabric
        .store()
        .receive_permitted(fabric.recorder(), permitted, now);
    let refused = |refusal, recorded| Err(NotTaken::Before { refusal, recorded });
    match taken.await.map_err(|error| unavailable(&error))? {
        TakenIn::Duplicate(recorded) => Ok(Taken {
            when: TakenWhen::Before,
            recorded: recorded.receipt(),
        }),
        TakenIn::First(recorded) => Ok(Taken {
            when: TakenWhen::Now,
            recorded: recorded.receipt(),
        }),
        TakenIn::Replayed(event) => refused(WebhookRefusal::Replayed, event),
        TakenIn::Reused(event) => refused(WebhookRefusal::IdReused, event),
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
