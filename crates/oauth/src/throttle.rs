//! How often somebody may try to sign in (A56, A62, V6.3): a fixed number of counters that no flood can flush.
//!
//! Attempts are counted when they begin and forgiven when they succeed, so that parallel guesses count like serial ones. Counters are shared by all names whose
//! keyed hash falls on them: a stranger to the key cannot aim at one, and a collision only makes somebody wait.

use countersign_base::{Duration, UnixTime};

/// Failures that cost nothing.
const FREE_ATTEMPTS: u32 = 5;
/// Failures of one source address that cost nothing.
const FREE_ATTEMPTS_OF_MANY: u32 = 50;
/// The longest wait.
const DELAY_MAX: Duration = Duration::from_secs(300);
/// A counter that was quiet for this long starts again.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The counters.
#[derive(Debug)]
pub struct SignInThrottle {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    failures: u32,
    last: UnixTime,
}

/// One attempt that may go on.
#[must_use]
#[derive(Debug)]
pub struct Attempt {
    slot: usize,
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts: try again in {} seconds", .after.as_secs())]
pub struct TooManyAttempts {
    /// When to try again.
    pub after: Duration,
}

impl SignInThrottle {
    /// `slots` counters; 16 bytes each.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots: vec![
                Slot {
                    failures: 0,
                    last: UnixTime(i64::MIN)
                };
                slots.max(1)
            ],
        }
    }

    /// Counts an attempt. `key` is a keyed hash of what is guarded: a tenant's username, or a source address.
    ///
    /// # Errors
    /// Too many before it.
    pub fn begin(&mut self, key: &[u8; 32], now: UnixTime) -> Result<Attempt, TooManyAttempts> {
        self.begin_after(FREE_ATTEMPTS, key, now)
    }

    fn begin_after(
        &mut self,
        free: u32,
        key: &[u8; 32],
        now: UnixTime,
    ) -> Result<Attempt, TooManyAttempts> {
        let index = self.index(key);
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(TooManyAttempts { after: DELAY_MAX });
        };
        if now >= slot.last.plus(FORGET_AFTER) {
            slot.failures = 0;
        }
        let ready = slot.last.plus(delay(slot.failures, free));
        if slot.failures >= free && now < ready {
            return Err(TooManyAttempts {
                after: ready.since(now),
            });
        }
        slot.failures = slot.failures.saturating_add(1);
        slot.last = now;
        Ok(Attempt { slot: index })
    }

    /// Counts an attempt of a source that many people may share: it may fail ten times as often before it has to wait.
    ///
    /// # Errors
    /// Too many before it.
    pub fn begin_of_many(
        &mut self,
        key: &[u8; 32],
        now: UnixTime,
    ) -> Result<Attempt, TooManyAttempts> {
        self.begin_after(FREE_ATTEMPTS_OF_MANY, key, now)
    }

    /// Failures that are not forgotten yet.
    #[must_use]
    pub fn failures(&self, key: &[u8; 32], now: UnixTime) -> u32 {
        self.slots
            .get(self.index(key))
            .filter(|slot| now < slot.last.plus(FORGET_AFTER))
            .map_or(0, |slot| slot.failures)
    }

    /// The attempt was right: the counter starts again.
    pub fn succeeded(&mut self, attempt: Attempt) {
        if let Some(slot) = self.slots.get_mut(attempt.slot) {
            slot.failures = 0;
        }
    }

    /// The attempt does not count: it was never judged, or was right where others are counted too. Those that began meanwhile stay counted.
    pub fn abandoned(&mut self, attempt: Attempt) {
        if let Some(slot) = self.slots.get_mut(attempt.slot) {
            slot.failures = slot.failures.saturating_sub(1);
        }
    }

    /// Whoever is guarded proved who they are in another way: the counter starts again.
    pub fn forgive(&mut self, key: &[u8; 32]) {
        let index = self.index(key);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.failures = 0;
        }
    }

    fn index(&self, key: &[u8; 32]) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = *key;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let slots = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        usize::try_from(number % slots).unwrap_or(0)
    }
}

/// One second after the free attempts, doubled by each failure, up to the longest.
fn delay(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(excess) => Duration::from_secs(1 << excess.min(16)).min(DELAY_MAX),
    }
}

#[cfg(test)]
mod tests;
