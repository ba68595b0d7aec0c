//! How often a network may show opaque tokens that nobody knows: each costs a look-up in the tables of every tenant. A bucket a network: it holds
//! [`MISSES_MAX`] and gains one a second. Tokens that are found cost nothing, so that a busy service never meets it.
//!
//! Buckets are a fixed number, shared by networks whose keyed hash falls on one: a flood of addresses takes no memory, and nobody can aim at another's.
//!
//! Not here: signed tokens, which cost no look-up.

use countersign_base::{Duration, UnixTime};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Unknown tokens that a network may show at once.
pub(super) const MISSES_MAX: u32 = 60;
/// The longest wait, in seconds of what was shown at the same time beyond that.
const DEBT_MAX: i64 = 60;
const BUCKETS: usize = 16_384;

/// The buckets of a decision point.
pub(crate) struct LookUps {
    hasher: RandomState,
    /// When each is full again.
    full_at: Mutex<Vec<UnixTime>>,
}

impl Default for LookUps {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            full_at: Mutex::new(vec![UnixTime(0); BUCKETS]),
        }
    }
}

impl LookUps {
    /// Whether the network may have a token looked up.
    ///
    /// # Errors
    /// After how long it may.
    pub(crate) fn begin(&self, from: IpAddr, now: UnixTime) -> Result<(), Duration> {
        let most = i64::from(MISSES_MAX);
        let missed = self.with(from, |full_at| missed(*full_at, now));
        match u64::try_from(missed.saturating_sub(most).saturating_add(1)) {
            Ok(after) if after > 0 => Err(Duration::from_secs(after)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Nobody knew the token.
    pub(crate) fn missed(&self, from: IpAddr, now: UnixTime) {
        let most = i64::from(MISSES_MAX).saturating_add(DEBT_MAX);
        self.with(from, |full_at| {
            let missed = missed(*full_at, now).saturating_add(1).min(most);
            *full_at = UnixTime(now.0.saturating_add(missed));
        });
    }

    fn with<T: Default>(&self, from: IpAddr, change: impl FnOnce(&mut UnixTime) -> T) -> T {
        let hash = self.hasher.hash_one(network(from));
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(hash % BUCKETS as u64).unwrap_or(0);
        buckets.get_mut(index).map(change).unwrap_or_default()
    }
}

/// What is missing in a bucket. More than it can lack only comes of a clock that was set back.
fn missed(full_at: UnixTime, now: UnixTime) -> i64 {
    let missed = full_at.0.saturating_sub(now.0).max(0);
    if missed > i64::from(MISSES_MAX).saturating_add(DEBT_MAX) {
        0
    } else {
        missed
    }
}

/// What one customer of a network usually has whole: an address of IPv4, 64 bits of IPv6.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
