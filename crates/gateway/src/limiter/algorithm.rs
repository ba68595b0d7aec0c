//! The arithmetic of each way of counting: integers alone, time as an argument, and a state of 128 bits of which zero says "never seen".
//!
//! Buckets count time in units of a nanosecond times the requests of a window, so that nothing is ever rounded: a request costs the window's
//! nanoseconds, and each nanosecond that passes pays as many units as the window has requests.
//!
//! Not here: who is counted, and where states are kept.

use super::calendar::CalendarWindow;
use countersign_base::UnixTime;
use std::num::NonZeroU128;

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Steady nanoseconds since the process began to count.
    pub steady: u64,
    /// The calendar's time.
    pub wall: UnixTime,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// So many in each day or month, UTC.
    Calendar(CalendarWindow),
    /// So many in each window; windows follow each other without a gap.
    FixedWindow,
    /// Passed on at a constant pace; what comes faster waits.
    LeakyBucket {
        /// How many may wait.
        queue: u32,
    },
    /// So many in any window, of the one before as much as still reaches into it, taken as evenly spread.
    SlidingWindow,
    /// Refilled at a constant pace.
    TokenBucket {
        /// How many may come at once.
        burst: u32,
    },
}

/// A limit's numbers, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) algorithm: Algorithm,
    requests: u32,
    /// `requests` again, to divide by.
    pace: NonZeroU128,
    /// Nanoseconds of a window; one for calendars, which don't look at it.
    per: NonZeroU128,
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests that would be let through now.
    pub remaining: u64,
    /// Seconds until the whole quota is there again.
    pub reset_seconds: u64,
}

/// One request more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) state: u128,
    /// How long it waits before it is passed on.
    pub(super) delay_nanos: u64,
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    /// After how long a request would be let through if none came before.
    pub(super) retry_nanos: u64,
}

impl Rule {
    /// Absent if a number is zero. `per_nanos` is ignored for calendars.
    pub(super) fn new(algorithm: Algorithm, requests: u32, per_nanos: u64) -> Option<Self> {
        let per = match algorithm {
            Algorithm::Calendar(_) => NonZeroU128::MIN,
            Algorithm::FixedWindow
            | Algorithm::LeakyBucket { .. }
            | Algorithm::SlidingWindow
            | Algorithm::TokenBucket { .. } => NonZeroU128::new(u128::from(per_nanos))?,
        };
        if algorithm == (Algorithm::TokenBucket { burst: 0 }) {
            return None;
        }
        Some(Self {
            algorithm,
            requests,
            pace: NonZeroU128::new(u128::from(requests))?,
            per,
        })
    }

    /// One request more.
    pub(super) fn take(&self, state: u128, now: Moment) -> Result<Taken, Refused> {
        match self.algorithm {
            Algorithm::Calendar(window) => self.take_calendar(window, state, now),
            Algorithm::FixedWindow => self.take_fixed(state, now.steady),
            Algorithm::LeakyBucket { queue } => self.take_leaky(queue, state, now.steady),
            Algorithm::SlidingWindow => self.take_sliding(state, now.steady),
            Algorithm::TokenBucket { burst } => self.take_token(burst, state, now.steady),
        }
    }

    /// The state of a bucket that is full again at a time in microseconds and a part of one, in shares of the window's requests.
    pub(super) fn filled_at(&self, micros: u64, part: u64) -> u128 {
        u128::from(micros) * 1_000 * self.pace.get() + u128::from(part) * 1_000
    }

    /// What is left.
    pub(super) fn quota(&self, state: u128, now: Moment) -> Quota {
        match self.algorithm {
            Algorithm::Calendar(window) => {
                let (index, count) = calendar_window(window, state, now.wall);
                Quota {
                    remaining: u64::from(self.requests.saturating_sub(count)),
                    reset_seconds: window.end(index).since(now.wall).as_secs(),
                }
            }
            Algorithm::FixedWindow => {
                let (index, count) = self.fixed_window(state, now.steady);
                Quota {
                    remaining: u64::from(self.requests.saturating_sub(count)),
                    reset_seconds: seconds_up(self.until_end(index, now.steady)),
                }
            }
            Algorithm::LeakyBucket { queue } => self.quota_leaky(queue, state, now.steady),
            Algorithm::SlidingWindow => self.quota_sliding(state, now.steady),
            Algorithm::TokenBucket { burst } => {
                let debt = state.saturating_sub(self.scaled(now.steady));
                let left = self.worth(burst).saturating_sub(debt);
                Quota {
                    remaining: narrowed(left / self.per),
                    reset_seconds: seconds_up(self.nanos_up(debt)),
                }
            }
        }
    }

    /// The steady time from which on this state says no more than one that was never seen.
    pub(super) fn rest_at(&self, state: u128, now: Moment) -> u64 {
        match self.algorithm {
            Algorithm::Calendar(window) => {
                let (index, _) = calendar_window(window, state, now.wall);
                let left = window.end(index).since(now.wall).as_secs();
                now.steady.saturating_add(left.saturating_mul(SECOND))
            }
            Algorithm::FixedWindow => {
                let (index, _) = self.fixed_window(state, now.steady);
                now.steady.saturating_add(self.until_end(index, now.steady))
            }
            Algorithm::SlidingWindow => {
                let (index, ..) = self.sliding_window(state, now.steady);
                now.steady
                    .saturating_add(self.until_end(index.saturating_add(1), now.steady))
            }
            Algorithm::LeakyBucket { .. } | Algorithm::TokenBucket { .. } => self.nanos_up(state),
        }
    }

    // The token bucket: the generic cell rate algorithm. The state is the scaled time at which the bucket will be full again.
    fn take_token(&self, burst: u32, full_at: u128, now: u64) -> Result<Taken, Refused> {
        let now = self.scaled(now);
        let after = full_at.max(now) + self.per.get();
        let over = (after - now).saturating_sub(self.worth(burst));
        if over > 0 {
            return Err(Refused {
                retry_nanos: self.nanos_up(over),
            });
        }
        Ok(Taken {
            state: after,
            delay_nanos: 0,
        })
    }

    // The leaky bucket: the state is the scaled time from which on the next request may be passed on.
    fn take_leaky(&self, queue: u32, free_at: u128, now: u64) -> Result<Taken, Refused> {
        let now = self.scaled(now);
        let leaves = free_at.max(now);
        let wait = leaves - now;
        let over = wait.saturating_sub(self.worth(queue));
        if over > 0 {
            return Err(Refused {
                retry_nanos: self.nanos_up(over),
            });
        }
        Ok(Taken {
            state: leaves + self.per.get(),
            delay_nanos: self.nanos_up(wait),
        })
    }

    fn quota_leaky(&self, queue: u32, free_at: u128, now: u64) -> Quota {
        let wait = free_at.saturating_sub(self.scaled(now));
        let room = self.worth(queue).checked_sub(wait);
        Quota {
            remaining: room.map_or(0, |room| narrowed(room / self.per).saturating_add(1)),
            reset_seconds: seconds_up(self.nanos_up(wait)),
        }
    }

    fn take_fixed(&self, state: u128, now: u64) -> Result<Taken, Refused> {
        let (index, count) = self.fixed_window(state, now);
        if count >= self.requests {
            return Err(Refused {
                retry_nanos: self.until_end(index, now),
            });
        }
        Ok(Taken {
            state: counted(index, count + 1),
            delay_nanos: 0,
        })
    }

    /// Number and count of the window that `now` lies in.
    fn fixed_window(&self, state: u128, now: u64) -> (u64, u32) {
        let index = self.window(now);
        let (kept, count) = uncounted(state);
        (index, if kept == Some(index) { count } else { 0 })
    }

    fn take_calendar(
        &self,
        window: CalendarWindow,
        state: u128,
        now: Moment,
    ) -> Result<Taken, Refused> {
        let (index, count) = calendar_window(window, state, now.wall);
        if count >= self.requests {
            let seconds = window.end(index).since(now.wall).as_secs().max(1);
            return Err(Refused {
                retry_nanos: seconds.saturating_mul(SECOND),
            });
        }
        Ok(Taken {
            state: counted(index, count + 1),
            delay_nanos: 0,
        })
    }

    fn take_sliding(&self, state: u128, now: u64) -> Result<Taken, Refused> {
        let (index, before, count) = self.sliding_window(state, now);
        let per = self.per.get();
        let left = u128::from(self.until_end(index, now));
        let reaching_in = u128::from(before) * left;
        if reaching_in + (u128::from(count) + 1) * per <= self.pace.get() * per {
            let state = slid(index, before, count + 1);
            return Ok(Taken {
                state,
                delay_nanos: 0,
            });
        }
        let room = count
            .checked_add(1)
            .and_then(|after| self.requests.checked_sub(after));
        let retry = match room {
            // Within this window, as soon as little enough of the one before reaches in.
            Some(room) => left.saturating_sub(share(room, before, per)),
            // In the next window, of which this one is then the one before.
            None => left + per - share(self.requests - 1, count, per).min(per),
        };
        Err(Refused {
            retry_nanos: narrowed(retry),
        })
    }

    fn quota_sliding(&self, state: u128, now: u64) -> Quota {
        let (index, before, count) = self.sliding_window(state, now);
        let left = self.until_end(index, now);
        let whole = self.pace.get() * self.per.get();
        let free = whole.saturating_sub(u128::from(before) * u128::from(left)) / self.per;
        let reset = match (before, count) {
            (0, 0) => 0,
            (_, 0) => left,
            (_, _) => left.saturating_add(narrowed(self.per.get())),
        };
        Quota {
            remaining: narrowed(free).saturating_sub(u64::from(count)),
            reset_seconds: seconds_up(reset),
        }
    }

    /// Number of the window that `now` lies in, the count of the one before, and its own.
    fn sliding_window(&self, state: u128, now: u64) -> (u64, u32, u32) {
        let index = self.window(now);
        let (kept, before, count) = unslid(state);
        match kept {
            Some(kept) if kept == index => (index, before, count),
            Some(kept) if kept.checked_add(1) == Some(index) => (index, count, 0),
            Some(_) | None => (index, 0, 0),
        }
    }

    fn window(&self, now: u64) -> u64 {
        narrowed(u128::from(now) / self.per)
    }

    /// Nanoseconds until the window of this number ends.
    fn until_end(&self, index: u64, now: u64) -> u64 {
        let end = (u128::from(index) + 1) * self.per.get();
        narrowed(end.saturating_sub(u128::from(now)))
    }

    /// Nanoseconds in the units of the buckets.
    fn scaled(&self, nanos: u64) -> u128 {
        u128::from(nanos) * self.pace.get()
    }

    /// What so many requests cost.
    fn worth(&self, requests: u32) -> u128 {
        u128::from(requests) * self.per.get()
    }

    /// Units of the buckets in nanoseconds, rounded up: nobody is told to come too early.
    fn nanos_up(&self, units: u128) -> u64 {
        narrowed((units + (self.pace.get() - 1)) / self.pace)
    }
}

/// The largest time that may be left of a window so that its `count` requests weigh at most as much as `room`.
fn share(room: u32, count: u32, per: u128) -> u128 {
    NonZeroU128::new(u128::from(count)).map_or(per, |count| u128::from(room) * per / count)
}

/// The calendar's clock may be set back: a window that was begun is not begun again.
fn calendar_window(window: CalendarWindow, state: u128, now: UnixTime) -> (u64, u32) {
    let index = window.index(now);
    match uncounted(state) {
        (Some(kept), count) if kept >= index => (kept, count),
        (Some(_) | None, _) => (index, 0),
    }
}

/// Number of a window and its count in one state.
pub(super) fn counted(index: u64, count: u32) -> u128 {
    ((u128::from(index) + 1) << 32) | u128::from(count)
}

fn uncounted(state: u128) -> (Option<u64>, u32) {
    let index = narrowed(state >> 32).checked_sub(1);
    (index, low(state))
}

/// Number of a window, the count of the one before, and its own.
pub(super) fn slid(index: u64, before: u32, count: u32) -> u128 {
    ((u128::from(index) + 1) << 64) | (u128::from(before) << 32) | u128::from(count)
}

fn unslid(state: u128) -> (Option<u64>, u32, u32) {
    let index = narrowed(state >> 64).checked_sub(1);
    (index, low(state >> 32), low(state))
}

fn low(state: u128) -> u32 {
    u32::try_from(state & u128::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn narrowed(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
pub(super) const fn seconds_up(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

#[cfg(test)]
mod tests;
