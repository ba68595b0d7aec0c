//! Limits whose counts several processes share over Redis or Valkey, and what is done while that is away.
//!
//! The script there checks and charges; what callers are told is reckoned here from the states that it answers with, by the same arithmetic as
//! that of the process's own limits. Time is the server's alone. A route's limits are all shared or none is, so that all are charged or none is.
//!
//! While the counts are away a route does what its configuration says ([`WhenAway`]): it refuses, or each process lets its share through, or it
//! lets everything through. Counts of a share begin anew with each absence; those at the server go on where they stood when it comes back.

use super::algorithm::{Algorithm, Moment, counted, seconds_up, slid};
use super::{
    CalendarWindow, Caller, Dimension, Limit, LimitError, LimitSpec, Limiter, RouteLimits,
    Strangers, Verdict, WAIT_MAX, network,
};
use countersign_base::UnixTime;
use countersign_store::redis::{
    Away, Charged, Counted, CounterAsk, CounterClock, CounterRule, CounterState, SharedCounters,
};
use std::num::NonZeroU32;
use std::time::Duration;

/// Who keeps the counts of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process alone.
    Process,
    /// All processes that use the same server.
    Processes(SharedSpec),
}

/// What a shared limit says of the time when its counts are away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSpec {
    /// What is done then.
    pub away: WhenAway,
    /// Of how many processes each takes its share then.
    pub nodes: NonZeroU32,
}

/// What a route does while the shared counts are away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAway {
    /// It refuses.
    Closed,
    /// It lets everything through.
    Open,
    /// Each process lets its share through, of each number at least one.
    Share,
}

/// Who counted a request, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// Nobody: it was refused.
    Closed,
    /// Nobody: it was let through.
    Open,
    /// All processes together.
    Processes,
    /// This process, its share.
    Share,
}

impl LimitedBy {
    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Processes => "processes",
            Self::Share => "share",
        }
    }
}

/// What became of a request at shared limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountedBy<V> {
    /// The counts are away and the route is closed.
    Closed,
    /// The counts are away and the route is open.
    Nobody,
    /// All processes together.
    Processes(Verdict),
    /// The counts are away and this process counted its share.
    Share(V, Verdict),
}

impl<V> CountedBy<V> {
    /// As metrics name it.
    #[must_use]
    pub const fn how(&self) -> LimitedBy {
        match self {
            Self::Closed => LimitedBy::Closed,
            Self::Nobody => LimitedBy::Open,
            Self::Processes(_) => LimitedBy::Processes,
            Self::Share(..) => LimitedBy::Share,
        }
    }
}

/// What a route with shared limits has beside them.
#[derive(Debug, Clone)]
pub struct SharedLimits {
    away: WhenAway,
    /// In the order of the limits.
    asked: Vec<Asked>,
    /// This process's share of each.
    share: RouteLimits,
}

#[derive(Debug, Clone)]
struct Asked {
    rule: CounterRule,
    /// Name and numbers in one: a limit whose numbers change begins anew, in every process alike.
    identity: Vec<u8>,
}

impl SharedLimits {
    /// Absent if none of the limits is shared.
    pub(super) fn of(specs: &[LimitSpec]) -> Result<Option<Self>, (String, LimitError)> {
        let Some(first) = specs.first() else {
            return Ok(None);
        };
        if let Some(other) = specs.iter().find(|spec| spec.sharing != first.sharing) {
            return Err((other.name.clone(), LimitError::Mixed));
        }
        let shared = match first.sharing {
            Sharing::Process => return Ok(None),
            Sharing::Processes(shared) => shared,
        };
        let asked = specs.iter().map(|spec| {
            let rule = rule(spec).ok_or_else(|| (spec.name.clone(), LimitError::Shared))?;
            let identity = identity(spec);
            Ok(Asked { rule, identity })
        });
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        let shares = specs.iter().map(|spec| share(spec, shared.nodes)).collect();
        Ok(RouteLimits::new(shares)?.map(|share| Self {
            away: shared.away,
            asked,
            share,
        }))
    }

    fn asks(
        &self,
        limits: &[Limit],
        counters: &SharedCounters,
        caller: &Caller<'_>,
    ) -> Vec<CounterAsk> {
        let asks = self.asked.iter().zip(limits).map(|(asked, limit)| {
            let caller = caller_of(limit, caller);
            CounterAsk {
                name: counters.name(&[&asked.identity, &caller]),
                rule: asked.rule,
            }
        });
        asks.collect()
    }
}

impl Limiter {
    /// Takes one request from every shared limit, or from none; what happens while their counts are away says the route.
    pub async fn take_shared<'l>(
        &self,
        (limits, shared): (&'l RouteLimits, &'l SharedLimits),
        counters: Option<&SharedCounters>,
        caller: &Caller<'_>,
        now: Moment,
    ) -> CountedBy<&'l RouteLimits> {
        let verdict = match counters {
            Some(counters) => {
                let clock = CounterClock::Server;
                counted_there((limits, shared), counters, caller, clock).await
            }
            None => There::Away,
        };
        match (verdict, shared.away) {
            (There::Verdict(verdict), _) => CountedBy::Processes(verdict),
            (There::Busy, _) | (There::Away, WhenAway::Closed) => CountedBy::Closed,
            (There::Away, WhenAway::Open) => CountedBy::Nobody,
            (There::Away, WhenAway::Share) => {
                let verdict = self.take(&shared.share, caller, now);
                CountedBy::Share(&shared.share, verdict)
            }
        }
    }
}

/// What all processes together say.
enum There {
    /// Their counts are away.
    Away,
    /// More is asked of this process than it may ask.
    Busy,
    Verdict(Verdict),
}

/// The verdict of all processes together.
async fn counted_there(
    (limits, shared): (&RouteLimits, &SharedLimits),
    counters: &SharedCounters,
    caller: &Caller<'_>,
    clock: CounterClock,
) -> There {
    let asks = shared.asks(&limits.limits, counters, caller);
    let counted = match counters.take(asks, clock).await {
        Ok(counted) => counted,
        // The counts are there, and it is callers who are too many: that must not take the limit away.
        Err(Away::Busy) => return There::Busy,
        Err(_) => return There::Away,
    };
    verdict(&limits.limits, &counted).map_or(There::Away, There::Verdict)
}

/// What callers are told. Absent if the script let through what the arithmetic here would not: whoever disagrees with itself is not to be believed.
fn verdict(limits: &[Limit], counted: &Counted) -> Option<Verdict> {
    let now = Moment {
        steady: counted.at_micros.checked_mul(1_000)?,
        wall: UnixTime(i64::try_from(counted.at_micros / 1_000_000).ok()?),
    };
    let (mut quotas, mut delay_nanos, mut retry_nanos) = (Vec::with_capacity(limits.len()), 0, 0);
    for (limit, state) in limits.iter().zip(&counted.states) {
        let state = state_of(limit, *state);
        match (limit.rule.take(state, now), counted.charged) {
            (Ok(taken), Charged::All) => {
                delay_nanos = taken.delay_nanos.max(delay_nanos);
                quotas.push(limit.rule.quota(taken.state, now));
            }
            (Err(_), Charged::All) => return None,
            (Ok(_), Charged::None) => quotas.push(limit.rule.quota(state, now)),
            (Err(refused), Charged::None) => {
                retry_nanos = refused.retry_nanos.max(retry_nanos);
                quotas.push(limit.rule.quota(state, now));
            }
        }
    }
    Some(match counted.charged {
        Charged::All => Verdict::Admitted {
            quotas,
            delay: Duration::from_nanos(delay_nanos),
        },
        Charged::None => Verdict::Exceeded {
            quotas,
            retry_after_seconds: seconds_up(retry_nanos),
        },
    })
}

fn state_of(limit: &Limit, state: CounterState) -> u128 {
    match state {
        CounterState::Bucket { micros, part } => limit.rule.filled_at(micros, part),
        CounterState::Sliding {
            index,
            before,
            count,
        } => slid(index, before, count),
        CounterState::Window { index, count } => counted(index, count),
    }
}

fn rule(spec: &LimitSpec) -> Option<CounterRule> {
    let requests = NonZeroU32::new(spec.requests)?;
    match spec.algorithm {
        Algorithm::Calendar(CalendarWindow::Day) => Some(CounterRule::day(requests)),
        Algorithm::Calendar(CalendarWindow::Month) => Some(CounterRule::month(requests)),
        Algorithm::FixedWindow => CounterRule::fixed(requests, spec.per),
        // Whoever finds `queue` before them may still come: with the one that need not wait that is one more.
        Algorithm::LeakyBucket { queue } => {
            CounterRule::bucket(requests, spec.per, u64::from(queue) + 1)
        }
        Algorithm::SlidingWindow => CounterRule::sliding(requests, spec.per),
        Algorithm::TokenBucket { burst } => {
            CounterRule::bucket(requests, spec.per, u64::from(burst))
        }
    }
}

/// The part of a limit that one of so many processes has.
fn share(spec: &LimitSpec, nodes: NonZeroU32) -> LimitSpec {
    let part = |number: u32| (number / nodes).max(1);
    LimitSpec {
        algorithm: match spec.algorithm {
            Algorithm::TokenBucket { burst } => Algorithm::TokenBucket { burst: part(burst) },
            // Fewer may wait, so that nobody waits longer than a limit may make them.
            Algorithm::LeakyBucket { queue } => {
                let pace = u128::from(part(spec.requests));
                let longest = WAIT_MAX.as_nanos() * pace / spec.per.as_nanos().max(1);
                let queue = u128::from(queue / nodes).min(longest);
                Algorithm::LeakyBucket {
                    queue: u32::try_from(queue).unwrap_or(u32::MAX),
                }
            }
            same @ (Algorithm::Calendar(_) | Algorithm::FixedWindow | Algorithm::SlidingWindow) => {
                same
            }
        },
        requests: part(spec.requests),
        sharing: Sharing::Process,
        ..spec.clone()
    }
}

/// A limit's name and numbers, in bytes that are the same in every process and every build.
fn identity(spec: &LimitSpec) -> Vec<u8> {
    let (algorithm, number) = match spec.algorithm {
        Algorithm::Calendar(CalendarWindow::Day) => (b'd', 0),
        Algorithm::Calendar(CalendarWindow::Month) => (b'm', 0),
        Algorithm::FixedWindow => (b'f', 0),
        Algorithm::LeakyBucket { queue } => (b'l', queue),
        Algorithm::SlidingWindow => (b's', 0),
        Algorithm::TokenBucket { burst } => (b't', burst),
    };
    let per = match spec.algorithm {
        Algorithm::Calendar(_) => 0,
        Algorithm::FixedWindow
        | Algorithm::LeakyBucket { .. }
        | Algorithm::SlidingWindow
        | Algorithm::TokenBucket { .. } => spec.per.as_micros(),
    };
    let mut bytes = vec![1, algorithm];
    bytes.extend(number.to_be_bytes());
    bytes.extend(spec.requests.to_be_bytes());
    bytes.extend(per.to_be_bytes());
    bytes.push(match spec.strangers {
        Strangers::ByNetwork => b'n',
        Strangers::Together => b't',
    });
    put(&mut bytes, spec.name.as_bytes());
    bytes.extend(spec.by.iter().map(|dimension| letter(*dimension)));
    bytes
}

/// What tells one caller from another at one limit, in bytes that are the same in every process and every build.
fn caller_of(limit: &Limit, caller: &Caller<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for dimension in &limit.by {
        bytes.push(letter(*dimension));
        match (dimension, caller.known) {
            (Dimension::Certificate, Some(known)) => {
                put(&mut bytes, caller.tenant.as_bytes());
                match caller.certificate {
                    Some(thumbprint) => {
                        bytes.push(b'c');
                        put(&mut bytes, &thumbprint);
                    }
                    None => {
                        bytes.push(b'k');
                        put(&mut bytes, known.client.as_bytes());
                    }
                }
            }
            (Dimension::Client, Some(known)) => {
                bytes.push(b'k');
                put(&mut bytes, caller.tenant.as_bytes());
                put(&mut bytes, known.client.as_bytes());
            }
            (Dimension::Subject, Some(known)) => {
                bytes.push(b'k');
                put(&mut bytes, caller.tenant.as_bytes());
                put(&mut bytes, known.issuer.as_bytes());
                put(&mut bytes, known.subject.as_bytes());
            }
            (Dimension::Network, _) => bytes.extend(network(caller.address).to_be_bytes()),
            (Dimension::Route, _) => put(&mut bytes, caller.route.as_bytes()),
            (Dimension::Tenant, _) => put(&mut bytes, caller.tenant.as_bytes()),
            // Nobody in particular, of this tenant.
            (Dimension::Certificate | Dimension::Client | Dimension::Subject, None) => {
                bytes.push(b's');
                put(&mut bytes, caller.tenant.as_bytes());
            }
        }
    }
    let by_identity = limit.by.iter().any(|dimension| dimension.is_identity());
    if by_identity && caller.known.is_none() && limit.strangers == Strangers::ByNetwork {
        bytes.push(b'n');
        bytes.extend(network(caller.address).to_be_bytes());
    }
    bytes
}

const fn letter(dimension: Dimension) -> u8 {
    match dimension {
        Dimension::Certificate => b'x',
        Dimension::Client => b'c',
        Dimension::Network => b'n',
        Dimension::Route => b'r',
        Dimension::Subject => b's',
        Dimension::Tenant => b't',
    }
}

/// A part with its length before it, so that none runs into the next.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
}

#[cfg(test)]
mod tests;
