//! Whether an endpoint is sent anything at the moment: a circuit breaker on what its attempts said.
//!
//! Where seven in ten of at least ten attempts in five minutes failed, or five in a row, it opens: nothing is sent for 30 seconds, twice as long each time, up to five minutes.
//! What waits for the endpoint waits on and loses no attempt. Then one attempt tries it: its success closes the breaker, its failure opens it again.
//! The figures are Convoy's, but for those in a row, which keep an endpoint with little traffic from holding connections that hang.

use countersign_base::UnixMillis;

/// The window, in parts that are forgotten one after the other.
const PART_MILLIS: i64 = 30_000;
const PARTS: usize = 10;
/// Attempts in the window below which their share says nothing.
const ATTEMPTS_MIN: u32 = 10;
/// Failures of a hundred that open.
const FAILURES_PERCENT: u32 = 70;
/// Failures in a row that open.
const IN_A_ROW: u32 = 5;
const OPEN_MILLIS: i64 = 30_000;
const OPEN_MILLIS_MAX: i64 = 300_000;
const FORGOTTEN_MILLIS: i64 = 3_600_000;

/// Whether something may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// As much as there is.
    Free,
    /// One, and what becomes of it decides.
    One,
    /// Nothing before this time.
    Shut { until: UnixMillis },
}

/// What an attempt says of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It takes what is sent.
    Good,
    /// It does not.
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: UnixMillis },
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: i64,
    good: u32,
    bad: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    parts: [Part; PARTS],
    bad_in_a_row: u32,
    /// How often it opened since it was closed.
    times: u32,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed,
            parts: [Part::default(); PARTS],
            bad_in_a_row: 0,
            times: 0,
        }
    }

    /// Whether something may be sent. That of [`Passage::One`] there is one at a time, its caller sees to.
    pub(super) fn passage(&self, now: UnixMillis) -> Passage {
        match self.state {
            State::Closed => Passage::Free,
            State::Open { until } if is_shut(until, now) => Passage::Shut { until },
            State::Open { .. } => Passage::One,
        }
    }

    /// An attempt ended.
    pub(super) fn said(&mut self, said: Said, now: UnixMillis) {
        match (said, self.state) {
            (Said::Good, State::Open { until }) if !is_shut(until, now) => *self = Self::new(),
            // What was under way when it opened tells nothing new.
            (_, State::Open { until }) if is_shut(until, now) => return,
            (Said::Bad, State::Open { .. }) => return self.open(now),
            (Said::Good | Said::Bad, State::Closed | State::Open { .. }) => {}
        }
        self.count(said, now);
        if said == Said::Bad && (self.bad_in_a_row >= IN_A_ROW || self.fails_too_often(now)) {
            self.open(now);
        }
    }

    /// Whether nothing that still matters is forgotten with it: what it counted is too old, or nothing tried it for an hour after it might have been.
    pub(super) fn is_fresh(&self, now: UnixMillis) -> bool {
        let (good, bad) = self.counted(now);
        let long_over = |until: UnixMillis| until.0.saturating_add(FORGOTTEN_MILLIS) <= now.0;
        match self.state {
            State::Closed => good == 0 && bad == 0,
            State::Open { until } => long_over(until),
        }
    }

    fn open(&mut self, now: UnixMillis) {
        let growth = 1_i64.checked_shl(self.times).unwrap_or(i64::MAX);
        let millis = OPEN_MILLIS.saturating_mul(growth).min(OPEN_MILLIS_MAX);
        self.times = self.times.saturating_add(1).min(16);
        self.bad_in_a_row = 0;
        self.parts = [Part::default(); PARTS];
        self.state = State::Open {
            until: UnixMillis(now.0.saturating_add(millis)),
        };
    }

    fn count(&mut self, said: Said, now: UnixMillis) {
        let number = now.0.div_euclid(PART_MILLIS);
        let place = usize::try_from(number.rem_euclid(10)).unwrap_or(0);
        if let Some(part) = self.parts.get_mut(place) {
            if part.number != number {
                *part = Part {
                    number,
                    ..Part::default()
                };
            }
            match said {
                Said::Good => part.good = part.good.saturating_add(1),
                Said::Bad => part.bad = part.bad.saturating_add(1),
            }
        }
        self.bad_in_a_row = match said {
            Said::Good => 0,
            Said::Bad => self.bad_in_a_row.saturating_add(1),
        };
    }

    fn counted(&self, now: UnixMillis) -> (u32, u32) {
        let number = now.0.div_euclid(PART_MILLIS);
        let within = |part: &&Part| (number - 9..=number).contains(&part.number);
        self.parts
            .iter()
            .filter(within)
            .fold((0, 0), |(good, bad), part| {
                (
                    u32::saturating_add(good, part.good),
                    u32::saturating_add(bad, part.bad),
                )
            })
    }

    fn fails_too_often(&self, now: UnixMillis) -> bool {
        let (good, bad) = self.counted(now);
        let all = good.saturating_add(bad);
        all >= ATTEMPTS_MIN && bad.saturating_mul(100) >= all.saturating_mul(FAILURES_PERCENT)
    }
}

/// Whether it is before that time. It is never open for longer than [`OPEN_MILLIS_MAX`]: a time further away is from before the clock was set back.
fn is_shut(until: UnixMillis, now: UnixMillis) -> bool {
    (1..=OPEN_MILLIS_MAX).contains(&until.0.saturating_sub(now.0))
}

#[cfg(test)]
mod tests;
