//! Whether the server is there: a breaker that the one task at the connection closes and opens, and everybody reads.
//!
//! It opens at the first broken connection, or when so many calls in a row went unanswered. Only the task tries again, one attempt at a time
//! after a random wait that doubles, so that neither requests nor other processes all come at once; requests come back when an attempt held.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Calls in a row without an answer in time, after which the server counts as away.
const FAILURES_MAX: u8 = 3;
/// The first wait before another attempt.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Whether the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Not yet, not any more, or too slowly.
    Away,
    /// In time.
    There,
}

/// See the module. It begins open: nothing is known of the server yet.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// 0: away. 1: there.
    there: AtomicU8,
    failures: AtomicU8,
    /// How often the server went away, for whoever counts.
    losses: AtomicU64,
}

impl Breaker {
    pub(super) fn presence(&self) -> Presence {
        match self.there.load(Ordering::Relaxed) {
            0 => Presence::Away,
            _ => Presence::There,
        }
    }

    pub(super) fn found(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.there.store(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        if self.there.swap(0, Ordering::Relaxed) == 1 {
            self.losses.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// One call more without an answer. Says whether that was one too many.
    pub(super) fn missed(&self) -> Presence {
        let before = self.failures.load(Ordering::Relaxed);
        let after = before.saturating_add(1);
        self.failures.store(after, Ordering::Relaxed);
        if after >= FAILURES_MAX {
            Presence::Away
        } else {
            Presence::There
        }
    }
}

/// The waits between attempts: a random part of a time that doubles (full jitter).
#[derive(Debug)]
pub(super) struct Retry {
    next: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { next: RETRY_MIN }
    }
}

impl Retry {
    /// `random` decides how much of it is waited.
    pub(super) fn wait(&mut self, random: u32) -> Duration {
        let whole = self.next;
        self.next = (self.next * 2).min(RETRY_MAX);
        let micros = u128::from(random) * whole.as_micros() / u128::from(u32::MAX);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_calls_in_a_row_without_an_answer_are_too_many_and_one_answer_forgives() {
        let breaker = Breaker::default();
        assert_eq!(breaker.presence(), Presence::Away);
        breaker.found();
        assert_eq!(breaker.missed(), Presence::There);
        assert_eq!(breaker.missed(), Presence::There);
        breaker.answered();
        assert_eq!(breaker.missed(), Presence::There);
        assert_eq!(breaker.missed(), Presence::There);
        assert_eq!(breaker.missed(), Presence::Away);
        breaker.lost();
        breaker.lost();
        assert_eq!((breaker.presence(), breaker.losses()), (Presence::Away, 1));
        breaker.found();
        assert_eq!(breaker.missed(), Presence::There);
    }

    #[test]
    fn waits_double_to_a_bound_and_are_spread_over_all_of_it() {
        let mut retry = Retry::default();
        let waits: Vec<u128> = (0..8).map(|_| retry.wait(u32::MAX).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        let mut retry = Retry::default();
        assert_eq!(retry.wait(0), Duration::ZERO);
        let half = retry.wait(u32::MAX / 2);
        assert!((49..=50).contains(&half.as_millis()), "{half:?}");
    }
}
