//! Empties the durable outbox: workers take what is due with a lease, deliver it through the egress guard, and settle it.
//!
//! Destinations have their turns: of one there is one small batch under way, tried in order and given back at the first failure, and of one tenant a share of what is
//! under way at all. So whoever does not answer keeps nobody else waiting. What was not tried for want of a turn does not count as an attempt.
//! What fails is tried again after a pause that grows, with jitter, until its deadline or the last attempt; then it is dead, which the log says. One file a kind.
//! A crash between delivering and settling delivers again: receivers tell by the id.

pub mod backchannel_logout;
mod ciba_ping;
mod round;

use crate::fabric::Fabric;
use countersign_audit::event::DeliveryEnded;
use countersign_audit::{Code, Count, Record, Text};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::random::Random;
use countersign_net::FetchError;
use countersign_store::{Delivery, Destination, Settlement, StoreError, Told};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use round::{Batch, Ended, Round};

/// How long a lease holds: longer than the slowest batch can take.
const LEASE: Duration = Duration::from_secs(120);
/// Attempts of one delivery.
const ATTEMPTS_MAX: u32 = 10;
/// The pause after the first failed attempt; it grows fourfold.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Steps in which one round tells clients of sessions that ended.
const LOGOUT_STEPS_MAX: u32 = 1000;

/// How one attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// It was not tried: there was no turn for it.
    Busy,
    /// It arrived.
    Delivered,
    /// It did not arrive; it may the next time.
    Failed(&'static str),
    /// It can never arrive.
    Hopeless(&'static str),
}

impl Attempted {
    /// How an attempt went that got no answer.
    fn unanswered(error: &FetchError) -> Self {
        match error {
            FetchError::Busy => Self::Busy,
            FetchError::Client(_)
            | FetchError::MediaType
            | FetchError::Redirect
            | FetchError::Status(_)
            | FetchError::Url => Self::Failed(error.reason()),
        }
    }
}

type Attempt = for<'a> fn(&'a Fabric, &'a Delivery) -> BoxFuture<'a, Attempted>;

/// Every kind of delivery and who makes it. A kind that is not here is hopeless.
const KINDS: &[(&str, Attempt)] = &[
    (
        countersign_oauth::logout::BACKCHANNEL_LOGOUT,
        |fabric, delivery| Box::pin(backchannel_logout::attempt(fabric, delivery)),
    ),
    (
        countersign_oauth::decoupled::CIBA_PING,
        |fabric, delivery| Box::pin(ciba_ping::attempt(fabric, delivery)),
    ),
];

/// Delivers what is due now; gives how many rows were taken.
///
/// # Errors
/// When the store failed. What was taken and not settled is due again when its lease ends.
pub async fn deliver_due(fabric: &Fabric) -> Result<usize, StoreError> {
    // What cannot be told of keeps nothing waiting that was queued before.
    let told = tell_logouts(fabric).await;
    let taken = deliver(fabric).await;
    told.and(taken)
}

async fn tell_logouts(fabric: &Fabric) -> Result<(), StoreError> {
    for _ in 0..LOGOUT_STEPS_MAX {
        match fabric.store().tell_logouts().await? {
            Told::All => break,
            Told::More => {}
        }
    }
    Ok(())
}

async fn deliver(fabric: &Fabric) -> Result<usize, StoreError> {
    let mut round = Round::new(fabric);
    let mut under_way = FuturesUnordered::new();
    let mut failed = None;
    loop {
        if failed.is_none() {
            match round.take().await {
                Ok(batches) => under_way.extend(batches.into_iter().map(|b| batch(fabric, b))),
                Err(error) => failed = Some(error),
            }
        }
        let Some((destination, ended, settled)) = under_way.next().await else {
            return failed.map_or(Ok(round.taken()), Err);
        };
        round.ended(destination, ended);
        failed = settled.err().or(failed);
    }
}

/// Tries what was taken for one destination in its order, and gives the rest back after a failure.
async fn batch(fabric: &Fabric, batch: Batch) -> (Destination, Ended, Result<(), StoreError>) {
    let mut outcome = Ok(());
    let mut given_back = None;
    for delivery in batch.deliveries {
        let settlement = match given_back {
            Some(due) => Settlement::Released(due),
            None => {
                let settlement = one(fabric, &delivery).await;
                given_back = match &settlement {
                    Settlement::Dead(..) | Settlement::Delivered(_) => None,
                    Settlement::Later(..) => Some(fabric.now().plus(pause(1, fabric.random()))),
                    Settlement::Released(due) => Some(*due),
                };
                settlement
            }
        };
        let settled = fabric
            .store()
            .settle_delivery(delivery, batch.lease, settlement);
        outcome = settled.await.and(outcome);
    }
    let ended = given_back.map_or(Ended::Answering, |_| Ended::Failing);
    (batch.destination, ended, outcome)
}

async fn one(fabric: &Fabric, delivery: &Delivery) -> Settlement {
    let attempted = if fabric.now() >= delivery.deadline {
        Attempted::Hopeless("too_late")
    } else {
        match KINDS.iter().find(|(kind, _)| *kind == delivery.kind) {
            Some((_, attempt)) => attempt(fabric, delivery).await,
            None => Attempted::Hopeless("kind_unknown"),
        }
    };
    settlement(fabric, delivery, attempted)
}

fn settlement(fabric: &Fabric, delivery: &Delivery, attempted: Attempted) -> Settlement {
    let now = fabric.now();
    match attempted {
        Attempted::Busy => Settlement::Released(now.plus(pause(1, fabric.random()))),
        Attempted::Delivered => Settlement::Delivered(ended(fabric, delivery, "delivered", None)),
        Attempted::Hopeless(reason) => {
            Settlement::Dead(reason, ended(fabric, delivery, "dead", Some(reason)))
        }
        Attempted::Failed(reason) => match next(delivery, fabric.random(), now) {
            Some(due) => Settlement::Later(reason, due),
            None => Settlement::Dead(reason, ended(fabric, delivery, "dead", Some(reason))),
        },
    }
}

/// When a delivery is tried again after an attempt that failed now; nothing if that was the last.
fn next(delivery: &Delivery, random: &Random, now: UnixTime) -> Option<UnixTime> {
    if delivery.attempt >= ATTEMPTS_MAX {
        return None;
    }
    let due = now.plus(pause(delivery.attempt, random));
    (due < delivery.deadline).then_some(due)
}

/// The pause after this attempt: between half of it and all of it, so that what failed together does not come back together.
fn pause(attempt: u32, random: &Random) -> Duration {
    let growth = 4_u64.saturating_pow(attempt.saturating_sub(1).min(16));
    let whole = FIRST_PAUSE
        .as_secs()
        .saturating_mul(growth)
        .min(PAUSE_MAX.as_secs());
    let half = whole.div_ceil(2);
    let spread = u64::from_be_bytes(random.bytes()) % (whole - half + 1);
    Duration::from_secs(half + spread)
}

fn ended(
    fabric: &Fabric,
    delivery: &Delivery,
    outcome: &'static str,
    reason: Option<&'static str>,
) -> Record {
    let event = DeliveryEnded {
        attempts: Count::of(u64::from(delivery.attempt)),
        delivery: Text::of(&delivery.id.to_string()),
        destination: Text::of(&delivery.destination),
        kind: Code::of(
            KINDS
                .iter()
                .find(|(kind, _)| *kind == delivery.kind)
                .map_or("unknown", |(kind, _)| *kind),
        ),
        outcome: Code::of(outcome),
        reason: reason.map(Code::of),
    };
    fabric.recorder().about_event(&delivery.tenant, None, event)
}

#[cfg(test)]
mod tests;
