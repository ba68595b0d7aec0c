//! Empties the durable outbox: workers take what is due with a lease, deliver it through the egress guard, and settle it.
//!
//! What fails is tried again after a pause that grows, with jitter, until its deadline or the last attempt; then it is dead, which the log says. One file a kind.
//! A crash between delivering and settling delivers again: receivers tell by the id.

pub mod backchannel_logout;
mod ciba_ping;

use crate::fabric::Fabric;
use countersign_audit::event::DeliveryEnded;
use countersign_audit::{Code, Count, Record, Text};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::random::Random;
use countersign_store::{Delivery, Lease, Settlement, StoreError};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;

/// Rows that one round takes.
const BATCH: u16 = 64;
/// Deliveries of one round that are under way at once: all of them, so that a destination that does not answer holds up nobody else's for longer than one answer may
/// take.
const AT_ONCE: usize = 64;
/// How long a lease holds: longer than the slowest round can take.
const LEASE: Duration = Duration::from_secs(120);
/// Attempts of one delivery.
const ATTEMPTS_MAX: u32 = 10;
/// The pause after the first failed attempt; it grows fourfold.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// How one attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// It arrived.
    Delivered,
    /// It did not arrive; it may the next time.
    Failed(&'static str),
    /// It can never arrive.
    Hopeless(&'static str),
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
    let now = fabric.now();
    let lease = Lease {
        token: fabric.random().bytes(),
        until: now.plus(LEASE),
    };
    let taken = fabric.store().claim_deliveries(lease, BATCH, now).await?;
    let count = taken.len();
    let mut settling = futures_util::stream::iter(taken)
        .map(|delivery| one(fabric, delivery, lease))
        .buffer_unordered(AT_ONCE);
    let mut failed = None;
    while let Some(settled) = settling.next().await {
        failed = settled.err().or(failed);
    }
    failed.map_or(Ok(count), Err)
}

async fn one(fabric: &Fabric, delivery: Delivery, lease: Lease) -> Result<(), StoreError> {
    let attempted = if fabric.now() >= delivery.deadline {
        Attempted::Hopeless("too_late")
    } else {
        match KINDS.iter().find(|(kind, _)| *kind == delivery.kind) {
            Some((_, attempt)) => attempt(fabric, &delivery).await,
            None => Attempted::Hopeless("kind_unknown"),
        }
    };
    let settlement = settlement(fabric, &delivery, attempted);
    fabric
        .store()
        .settle_delivery(delivery, lease, settlement)
        .await
}

fn settlement(fabric: &Fabric, delivery: &Delivery, attempted: Attempted) -> Settlement {
    let now = fabric.now();
    match attempted {
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
