//! Settles what ended, as many together as ended meanwhile, and then gives the endpoints their turns back.
//!
//! Until an attempt is settled it counts as under way: so what waits to be settled is bounded, and of an ordered endpoint the next is taken when the one before it is durable.
//!
//! What was sent must not be sent again because the store was away for a moment: where it fails, the same attempts are settled again after a pause, until the last of their leases
//! ends or the dispatcher has to. Others wait for their turn meanwhile. What contradicts the store would contradict it again, and is left.
//!
//! Not here: what is settled how (`attempt`), and what a store does with an attempt that somebody else has taken since (`store`).

use super::attempt::Done;
use super::turns::Ended;
use super::verdict::Verdict;
use super::{Context, Running};
use countersign_audit::event::WebhookEndpointDisabled;
use countersign_audit::{Code, Text};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::random::Random;
use countersign_store::StoreError;
use countersign_store::Write;
use countersign_store::tables::webhook_deliveries::{Taking, taking};
use countersign_store::tables::webhook_endpoints::{self, DisabledBecause, EndpointSwitch};
use countersign_store::webhooks::{Lane, WebhookOutcome, WebhookSettlement, WebhookWrite};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Attempts that are settled in one unit.
const TOGETHER_MAX: usize = 512;

/// The first pause after the store failed. Each is up to a half shorter, so that processes that lost one database do not come back to it together.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest; each before it is twice the one before.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the taker hears.
pub(super) type Settled = Vec<(Lane, Ended)>;

/// An endpoint that took nothing for so long is disabled. Where what was delivered is not kept for longer, nobody knows whether it did, and none is.
const FAILS_FOR: Duration = Duration::from_secs(5 * 86_400);
/// How often it is looked whether one does.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// Endpoints of which it is remembered that it was looked.
const LOOKED_MAX: usize = 4_096;

/// Endpoints at which something died, and when it was looked last whether they take anything.
#[derive(Default)]
struct Failing(HashMap<Lane, UnixTime>);

impl Failing {
    /// Whether it is time to look.
    fn is_due(&mut self, lane: &Lane, now: UnixTime) -> bool {
        if self
            .0
            .get(lane)
            .is_some_and(|looked| now.since(*looked) < LOOK_EVERY)
        {
            return false;
        }
        if self.0.len() >= LOOKED_MAX {
            self.0.clear();
        }
        self.0.insert(lane.clone(), now);
        true
    }
}

/// Settles until nobody sends any more.
pub(super) async fn settle(
    cx: Arc<Context>,
    mut done: mpsc::Receiver<Done>,
    settled: mpsc::UnboundedSender<Settled>,
    mut stopping: watch::Receiver<Running>,
) {
    let mut together = Vec::new();
    let mut failing = Failing::default();
    while done.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        let mut settlements = Vec::with_capacity(together.len());
        let mut ended = Vec::with_capacity(together.len());
        let (mut gone, mut died) = (BTreeMap::new(), BTreeSet::new());
        let mut held_until = cx.fabric.now();
        for done in together.drain(..) {
            held_until = held_until.max(done.held_until);
            if done.verdict == Verdict::Gone {
                gone.insert(
                    done.lane.clone(),
                    (DisabledBecause::Gone, done.endpoint_changed),
                );
            }
            if let WebhookOutcome::Dead { .. } = done.settlement.outcome {
                died.insert(done.lane.clone());
            }
            settlements.push(done.settlement);
            ended.push((done.lane, done.ended));
        }
        settle_together(&cx, settlements.into(), held_until, &mut stopping).await;
        let now = cx.fabric.now();
        for lane in died {
            if failing.is_due(&lane, now)
                && let Some(changed) = fails_for_days(&cx, &lane, now).await
            {
                gone.insert(lane, (DisabledBecause::Failing, changed));
            }
        }
        for (lane, (because, changed)) in gone {
            if let Err(error) = disable(&cx, &lane, because, changed).await {
                tracing::warn!(event = "webhook_endpoint_not_disabled", %error);
            }
        }
        // Nobody hears it when the dispatcher has stopped.
        let _ = settled.send(ended);
    }
}

/// Settles these, again and again where the store fails. What is not settled in the end is delivered again when its lease ends; receivers tell by the id.
async fn settle_together(
    cx: &Context,
    settlements: Arc<[WebhookSettlement]>,
    held_until: UnixTime,
    stopping: &mut watch::Receiver<Running>,
) {
    let mut pause = PAUSE;
    loop {
        let (now, kept) = (cx.fabric.now(), cx.fabric.webhook_rules().kept);
        let settled = cx
            .fabric
            .store()
            .settle_webhooks(settlements.clone(), kept, now);
        let Err(error) = settled.await else {
            return;
        };
        cx.fabric.metrics().webhooks.not_settled();
        let may_be_settled = passes(&error) && cx.fabric.now() < held_until;
        if !may_be_settled
            || wait(jittered(pause, cx.fabric.random()), stopping).await == Waited::Stopped
        {
            let attempts = settlements.len();
            tracing::warn!(event = "webhooks_not_settled", attempts, %error);
            return;
        }
        tracing::warn!(event = "webhooks_to_be_settled_again", %error);
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// Whether the same may be settled later though it failed so.
const fn passes(error: &StoreError) -> bool {
    match error {
        StoreError::Contended(_)
        | StoreError::Database(_)
        | StoreError::NoReader
        | StoreError::NotCommitted(_)
        | StoreError::Overloaded(_)
        | StoreError::Unrecorded(_) => true,
        StoreError::Address(_)
        | StoreError::ChangedMigration { .. }
        | StoreError::Closed
        | StoreError::Conflict(..)
        | StoreError::Corrupt { .. }
        | StoreError::Directory { .. }
        | StoreError::Full(_)
        | StoreError::NewerSchema { .. }
        | StoreError::Open { .. }
        | StoreError::Panicked
        | StoreError::Superseded(_)
        | StoreError::Thread(_) => false,
    }
}

fn jittered(pause: Duration, random: &Random) -> Duration {
    let half = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 2;
    let more = u64::from_be_bytes(random.bytes()) % half.saturating_add(1);
    Duration::from_millis(half.saturating_add(more))
}

/// How a pause ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// There is time for another try.
    Over,
    /// The dispatcher has no time left.
    Stopped,
}

/// Pauses, no longer than a dispatcher that stops has time.
async fn wait(pause: Duration, stopping: &mut watch::Receiver<Running>) -> Waited {
    let over = Instant::now() + pause;
    loop {
        let until = match *stopping.borrow_and_update() {
            Running::Until(until) if until <= Instant::now() => return Waited::Stopped,
            Running::Until(until) => until.min(over),
            Running::Yes => over,
        };
        tokio::select! {
            stopped = stopping.changed() => {
                // Nobody can stop a dispatcher that was dropped: it ends.
                if stopped.is_err() {
                    return Waited::Stopped;
                }
            }
            () = tokio::time::sleep_until(until) => return Waited::Over,
        }
    }
}

/// When an endpoint was changed last, if it has taken nothing for days. One that was changed or enabled since gets as many days anew. Where the store does not say, it is asked again at
/// the next death.
async fn fails_for_days(cx: &Context, lane: &Lane, now: UnixTime) -> Option<UnixTime> {
    let since = now.minus(FAILS_FOR);
    let known = now.minus(cx.fabric.webhook_rules().kept.delivered);
    let asked = async {
        let mut connection = cx.fabric.store().read().await?;
        let (tenant, id) = (&lane.tenant, lane.endpoint);
        let found = webhook_endpoints::find(&mut connection, tenant, id).await?;
        let Some(changed) = found.map(|row| row.changed).filter(|time| *time <= since) else {
            return Ok(None);
        };
        let taking = taking(&mut connection, tenant, id, (known, since)).await?;
        Ok::<_, StoreError>((taking == Taking::Nothing).then_some(changed))
    };
    asked.await.unwrap_or_default()
}

/// Disables an endpoint, with the event; one that is disabled already stays so, and so does one that was changed since: what its old address said, the new one did not.
async fn disable(
    cx: &Context,
    lane: &Lane,
    because: DisabledBecause,
    changed: UnixTime,
) -> Result<(), StoreError> {
    let mut connection = cx.fabric.store().read().await?;
    let found = webhook_endpoints::find(&mut connection, &lane.tenant, lane.endpoint).await?;
    drop(connection);
    if found.is_none_or(|row| row.changed != changed) {
        return Ok(());
    }
    let event = WebhookEndpointDisabled {
        endpoint: Text::of(&lane.endpoint.to_string()),
        reason: Code::of(because.as_str()),
    };
    let record = cx.fabric.recorder().about_event(&lane.tenant, None, event);
    let switch = WebhookWrite::SwitchEndpoint(lane.endpoint, EndpointSwitch::Disabled(because));
    let writes = vec![Write::Webhook(Box::new(switch))];
    let now = cx.fabric.now();
    let changed = cx.fabric.store().change(&lane.tenant, writes, record, now);
    match changed.await {
        Ok(_) | Err(StoreError::Superseded(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
