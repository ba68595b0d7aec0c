//! What one request asks of the shared counts, and the answer: the script's arguments and result as types.
//!
//! The script decides and charges; quotas and times to come back are reckoned from the states that it answers with, by whoever asked.

use redis::{RedisError, Script, ScriptInvocation};
use std::num::NonZeroU32;
use std::time::Duration;

/// Limits of one request.
pub const KEYS_MAX: usize = 8;
/// How long a bucket may take to fill up again: what is longer would leave the numbers that the script holds exactly.
const DEPTH_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The longest window.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Numbers of one limit before and after the call.
const NUMBERS: usize = 5;
/// All keys of a request lie in one slot of a cluster.
const HASH_TAG: &str = "{countersign-limits}:";

/// The script. Its hash is its name at the server.
pub(super) fn script() -> Script {
    Script::new(include_str!("take.lua"))
}

/// The name of a state: a keyed hash, of which nobody can tell whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CounterName(pub(super) [u8; 16]);

impl CounterName {
    fn key(self) -> String {
        let name = countersign_crypto::base64url::encode(&self.0);
        format!("{HASH_TAG}{name}")
    }
}

/// Whole microseconds and a part of one, in pace-ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Micros {
    whole: u64,
    part: u64,
}

/// A limit's numbers as the script takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterRule(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bucket {
        cost: Micros,
        depth: Micros,
        pace: NonZeroU32,
    },
    Day(u32),
    Fixed(u64, u32),
    Month(u32),
    Sliding(u64, u32),
}

impl CounterRule {
    /// A bucket that is refilled with `requests` in `per` and holds `depth` of them. Absent if it would take longer than 366 days to fill, or
    /// a window is not of whole microseconds.
    #[must_use]
    pub fn bucket(requests: NonZeroU32, per: Duration, depth: u64) -> Option<Self> {
        let per = micros(per)?;
        let of = |count: u64| {
            let (all, pace) = (
                u128::from(per) * u128::from(count),
                u128::from(requests.get()),
            );
            Some(Micros {
                whole: u64::try_from(all / pace).ok()?,
                part: u64::try_from(all % pace).ok()?,
            })
        };
        let (cost, depth) = (of(1)?, of(depth)?);
        (u128::from(depth.whole) <= DEPTH_MAX.as_micros()).then_some(Self(Kind::Bucket {
            cost,
            depth,
            pace: requests,
        }))
    }

    /// So many in each day, UTC.
    #[must_use]
    pub const fn day(requests: NonZeroU32) -> Self {
        Self(Kind::Day(requests.get()))
    }

    /// So many in each window. Absent if the window is too long, or not of whole microseconds.
    #[must_use]
    pub fn fixed(requests: NonZeroU32, per: Duration) -> Option<Self> {
        Some(Self(Kind::Fixed(micros(per)?, requests.get())))
    }

    /// So many in each month, UTC.
    #[must_use]
    pub const fn month(requests: NonZeroU32) -> Self {
        Self(Kind::Month(requests.get()))
    }

    /// So many in any window, of the one before as much as still reaches into it. Absent as [`CounterRule::fixed`].
    #[must_use]
    pub fn sliding(requests: NonZeroU32, per: Duration) -> Option<Self> {
        Some(Self(Kind::Sliding(micros(per)?, requests.get())))
    }

    fn arguments(self) -> (&'static str, [u64; NUMBERS]) {
        match self.0 {
            Kind::Bucket { cost, depth, pace } => (
                "b",
                [
                    cost.whole,
                    cost.part,
                    depth.whole,
                    depth.part,
                    u64::from(pace.get()),
                ],
            ),
            Kind::Day(requests) => ("d", [u64::from(requests), 0, 0, 0, 0]),
            Kind::Fixed(per, requests) => ("f", [per, u64::from(requests), 0, 0, 0]),
            Kind::Month(requests) => ("m", [u64::from(requests), 0, 0, 0, 0]),
            Kind::Sliding(per, requests) => ("s", [per, u64::from(requests), 0, 0, 0]),
        }
    }
}

fn micros(per: Duration) -> Option<u64> {
    let whole = per.subsec_nanos().is_multiple_of(1_000);
    let fits = whole && !per.is_zero() && per <= WINDOW_MAX;
    fits.then(|| u64::try_from(per.as_micros()).ok()).flatten()
}

/// One limit of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterAsk {
    /// Whose count.
    pub name: CounterName,
    /// What it may come to.
    pub rule: CounterRule,
}

/// What a count said before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterState {
    /// When the bucket is full again (for one that leaks: when the next may leave): microseconds since 1970, and pace-ths of one.
    Bucket {
        /// Whole microseconds.
        micros: u64,
        /// Pace-ths of a microsecond.
        part: u64,
    },
    /// The number of a window, the count of the one before, and its own.
    Sliding {
        /// Counted from 1970.
        index: u64,
        /// The count of the window before.
        before: u32,
        /// Its own.
        count: u32,
    },
    /// The number of a window or of a calendar's, and its count.
    Window {
        /// Counted from 1970.
        index: u64,
        /// How many came.
        count: u32,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// What was charged.
    pub charged: Charged,
    /// The server's time: microseconds since 1970.
    pub at_micros: u64,
    /// The states before, in the order that they were asked for.
    pub states: Vec<CounterState>,
}

/// All or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// One request to each count.
    All,
    /// Nothing to any.
    None,
}

/// The call of the script.
pub(super) fn invocation<'s>(
    script: &'s Script,
    asks: &[CounterAsk],
    at_micros: Option<u64>,
) -> ScriptInvocation<'s> {
    let mut call = script.prepare_invoke();
    call.arg(at_micros.map_or_else(String::new, |at| at.to_string()));
    for ask in asks {
        let (kind, numbers) = ask.rule.arguments();
        call.key(ask.name.key()).arg(kind);
        for number in numbers {
            call.arg(number);
        }
    }
    call
}

/// Reads what the script answered; absent when that is no answer to `asks`.
pub(super) fn read(asks: &[CounterAsk], numbers: &[u64]) -> Option<Counted> {
    let (head, rest) = numbers.split_at_checked(3)?;
    let [charged, seconds, micros] = head else {
        return None;
    };
    let (states, &[]) = rest.as_chunks::<3>() else {
        return None;
    };
    if states.len() != asks.len() {
        return None;
    }
    let states = asks
        .iter()
        .zip(states)
        .map(|(ask, &[first, second, third])| {
            Some(match ask.rule.0 {
                Kind::Bucket { .. } => CounterState::Bucket {
                    micros: first,
                    part: second,
                },
                Kind::Sliding(..) => CounterState::Sliding {
                    index: first,
                    before: u32::try_from(second).ok()?,
                    count: u32::try_from(third).ok()?,
                },
                Kind::Day(_) | Kind::Fixed(..) | Kind::Month(_) => CounterState::Window {
                    index: first,
                    count: u32::try_from(second).ok()?,
                },
            })
        });
    Some(Counted {
        charged: match charged {
            0 => Charged::None,
            1 => Charged::All,
            _ => return None,
        },
        at_micros: seconds.checked_mul(1_000_000)?.checked_add(*micros)?,
        states: states.collect::<Option<Vec<_>>>()?,
    })
}

/// Calls the script: one round trip, two when the server does not know it yet.
pub(super) async fn take(
    script: &Script,
    connection: &mut redis::aio::MultiplexedConnection,
    asks: &[CounterAsk],
    at_micros: Option<u64>,
) -> Result<Vec<u64>, RedisError> {
    invocation(script, asks, at_micros)
        .invoke_async(connection)
        .await
}

#[cfg(test)]
mod tests;
