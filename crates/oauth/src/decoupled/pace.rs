//! How fast clients may poll (RFC 8628 §3.5, CIBA Core §11): in memory, so that a poll that finds nothing new writes nothing.
//!
//! The memory is one process's and bounded. Where several nodes serve one tenant each counts for itself; what is guarded is this process's work, not a secret.

use super::POLL_INTERVAL;
use countersign_base::{Duration, UnixTime};
use std::collections::HashMap;

/// Requests whose polls are remembered. Past it the expired ones are forgotten, and if that is not enough, polls are slowed down.
const POLLED_MAX: usize = 100_000;
/// What each poll that came too early adds to the interval (RFC 8628 §3.5).
const PENALTY: Duration = Duration::from_secs(5);
/// The longest interval.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Whether a poll came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pace {
    /// It did.
    Kept,
    /// It came too early, and the interval is longer from now on.
    TooFast,
}

/// When each waiting request was polled last.
#[derive(Debug, Default)]
pub struct PollPace {
    polled: HashMap<[u8; 32], Polls>,
}

#[derive(Debug, Clone, Copy)]
struct Polls {
    last: UnixTime,
    interval: Duration,
    expires: UnixTime,
}

impl PollPace {
    /// Counts a poll of the request with this keyed hash, which ends by itself at `expires`.
    pub fn poll(&mut self, handle: &[u8; 32], expires: UnixTime, now: UnixTime) -> Pace {
        if let Some(polls) = self.polled.get_mut(handle) {
            let in_time = now >= polls.last.plus(polls.interval);
            polls.last = now;
            if in_time {
                return Pace::Kept;
            }
            polls.interval = polls.interval.saturating_add(PENALTY).min(INTERVAL_MAX);
            return Pace::TooFast;
        }
        if self.polled.len() >= POLLED_MAX {
            self.polled.retain(|_, polls| now < polls.expires);
        }
        if self.polled.len() >= POLLED_MAX {
            return Pace::TooFast;
        }
        let polls = Polls {
            last: now,
            interval: POLL_INTERVAL,
            expires,
        };
        self.polled.insert(*handle, polls);
        Pace::Kept
    }

    /// Forgets a request that was answered.
    pub fn forget(&mut self, handle: &[u8; 32]) {
        self.polled.remove(handle);
    }
}

#[cfg(test)]
mod tests;
