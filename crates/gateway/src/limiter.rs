//! A token bucket a caller and route, one truth a process, in the memory of a number each (GCRA), and the fields that tell callers about it
//! (draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy`, `RateLimit`).
//!
//! Authenticated callers and anonymous ones have separate tables, so that strangers can't crowd out clients. A full table refuses.

use crate::routes::RateLimitSpec;
use http::HeaderValue;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 64;
/// Callers with a bucket that is not full, of each table.
pub const CALLERS_MAX: usize = 262_144;

/// A checked limit with its constant field.
#[derive(Debug, Clone)]
pub struct Limit {
    window_nanos: u64,
    /// Nanoseconds that one request costs.
    cost_nanos: u64,
    policy: HeaderValue,
}

impl Limit {
    /// A limit; absent when it is of no request, of less than a second, or of more than a day.
    pub(crate) fn new(spec: RateLimitSpec) -> Option<Self> {
        let seconds = spec.per.as_secs();
        if spec.requests == 0 || seconds == 0 || seconds > 86_400 {
            return None;
        }
        let window_nanos = seconds.checked_mul(1_000_000_000)?;
        let cost_nanos = window_nanos
            .checked_div(u64::from(spec.requests))
            .filter(|cost| *cost > 0)?;
        let policy =
            HeaderValue::from_str(&format!("\"default\";q={};w={seconds}", spec.requests)).ok()?;
        Some(Self {
            window_nanos,
            cost_nanos,
            policy,
        })
    }

    /// The field `RateLimit-Policy`.
    #[must_use]
    pub fn policy_field(&self) -> HeaderValue {
        self.policy.clone()
    }
}

/// Who is counted.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// Nobody known: the address, of IPv6 the first 64 bits.
    Anonymous(IpAddr),
    /// A client of a tenant.
    Client {
        /// The tenant.
        tenant: &'a str,
        /// The client.
        client: &'a str,
    },
}

/// What is left for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests that would be allowed now.
    pub remaining: u64,
    /// Seconds until the whole quota is there again.
    pub reset_seconds: u64,
}

impl Quota {
    /// The field `RateLimit`.
    #[must_use]
    pub fn field(self) -> HeaderValue {
        let text = format!("\"default\";r={};t={}", self.remaining, self.reset_seconds);
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"default\";r=0"))
    }
}

/// The answer of the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let through, and this is left.
    Allowed(Quota),
    /// Not now.
    Exceeded {
        /// What is left: nothing.
        quota: Quota,
        /// Seconds after which one request would be allowed.
        retry_after_seconds: u64,
    },
    /// The table of this kind of caller is full; nothing is forgotten to make room.
    Full,
}

/// When a full table is looked through for buckets that are full again: a flood pays for one look a second, not for one a request.
const SWEEP_INTERVAL_NANOS: u64 = 1_000_000_000;

#[derive(Default)]
struct Shard {
    buckets: HashMap<u128, u64>,
    swept: Option<u64>,
}

/// The limiter of a process.
pub struct Limiter {
    // The keys of these two make a caller's 128-bit name unpredictable, so that nobody can aim for another's bucket.
    high: RandomState,
    low: RandomState,
    clients: Vec<Mutex<Shard>>,
    anonymous: Vec<Mutex<Shard>>,
}

impl Default for Limiter {
    fn default() -> Self {
        let table = || (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            high: RandomState::new(),
            low: RandomState::new(),
            clients: table(),
            anonymous: table(),
        }
    }
}

impl Limiter {
    /// Takes one request from the bucket of `caller` at `route`. `now` is a steady time in nanoseconds.
    pub fn take(&self, route: u32, caller: Caller<'_>, limit: &Limit, now: u64) -> Verdict {
        let (table, name) = match caller {
            Caller::Anonymous(address) => (&self.anonymous, self.name(&(route, network(address)))),
            Caller::Client { tenant, client } => {
                (&self.clients, self.name(&(route, tenant, client)))
            }
        };
        let shard = usize::try_from(name % (SHARDS as u128)).unwrap_or(0);
        let Some(shard) = table.get(shard) else {
            return Verdict::Full;
        };
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(name, limit, now)
    }

    fn name<K: std::hash::Hash>(&self, key: &K) -> u128 {
        (u128::from(self.high.hash_one(key)) << 64) | u128::from(self.low.hash_one(key))
    }
}

impl Shard {
    /// The generic cell rate algorithm: the number is the time at which the bucket will be full again.
    fn take(&mut self, name: u128, limit: &Limit, now: u64) -> Verdict {
        let full_at = match self.buckets.get(&name).copied() {
            Some(full_at) => full_at.max(now),
            None if self.has_room(now) => now,
            None => return Verdict::Full,
        };
        let after = full_at.saturating_add(limit.cost_nanos);
        let debt = after.saturating_sub(now);
        if debt > limit.window_nanos {
            let quota = Quota {
                remaining: 0,
                reset_seconds: seconds_up(full_at.saturating_sub(now)),
            };
            return Verdict::Exceeded {
                quota,
                retry_after_seconds: seconds_up(debt - limit.window_nanos),
            };
        }
        self.buckets.insert(name, after);
        let remaining = (limit.window_nanos - debt)
            .checked_div(limit.cost_nanos)
            .unwrap_or(0);
        Verdict::Allowed(Quota {
            remaining,
            reset_seconds: seconds_up(debt),
        })
    }

    fn has_room(&mut self, now: u64) -> bool {
        let room = |buckets: &HashMap<u128, u64>| buckets.len() < CALLERS_MAX / SHARDS;
        let due = self
            .swept
            .is_none_or(|swept| now.saturating_sub(swept) >= SWEEP_INTERVAL_NANOS);
        if !room(&self.buckets) && due {
            self.swept = Some(now);
            self.buckets.retain(|_, full_at| *full_at > now);
        }
        room(&self.buckets)
    }
}

const fn seconds_up(nanos: u64) -> u64 {
    Duration::from_nanos(nanos.saturating_add(999_999_999)).as_secs()
}

fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
