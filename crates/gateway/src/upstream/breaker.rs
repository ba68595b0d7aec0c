//! Whether an address of an upstream is used at the moment: a circuit breaker on what requests saw, beside what health checks saw.
//!
//! So many failures in a row eject an address for a while, twice as long each time. When the while is over one request tries it: its success
//! closes the circuit, its failure opens it again. The time is an argument, in steady nanoseconds.

use super::body::Completeness;
use std::time::Duration;

/// The longest ejection.
pub const EJECTION_MAX: Duration = Duration::from_secs(300);

/// When an address is given up for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSpec {
    /// Failures in a row that eject; one more success begins the count again.
    pub failures: u32,
    /// How long the first time; doubled each time after, up to [`EJECTION_MAX`].
    pub ejection: Duration,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self {
            failures: 5,
            ejection: Duration::from_secs(1),
        }
    }
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usable {
    /// Not before this time.
    Ejected { until: u64 },
    /// As the one trial; its outcome decides.
    Trial,
    /// Yes.
    Yes,
}

/// What a request says of the address it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did not answer, or only that it can't.
    Failed,
    /// It was given up before there was anything to say, or the fault was the caller's.
    Nothing,
    /// It answered.
    Succeeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: u64 },
    Trying { since: u64, body: Completeness },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Breaker {
    spec: BreakerSpec,
    state: State,
    /// Ejections since the last success.
    times: u32,
}

/// A trial whose outcome never came (its task was lost) does not keep the circuit open for ever.
const TRIAL_MAX_NANOS: u64 = 60_000_000_000;
/// How long a trial whose caller is still sending keeps others that are still sending from theirs. Whoever has sent everything waits for none.
const ARRIVING_TRIAL_MAX_NANOS: u64 = 1_000_000_000;

impl Breaker {
    pub(crate) const fn new(spec: BreakerSpec) -> Self {
        Self {
            spec,
            state: State::Closed { failures: 0 },
            times: 0,
        }
    }

    /// Whether a request would be sent now. Asking takes no trial.
    pub(crate) fn usable(&self, asking: Completeness, now: u64) -> Usable {
        match self.state {
            State::Closed { .. } => Usable::Yes,
            State::Open { until } if now >= until => Usable::Trial,
            State::Open { until } => Usable::Ejected { until },
            State::Trying { since, body } => {
                let longest = match (body, asking) {
                    (Completeness::Whole, Completeness::Whole | Completeness::Arriving) => {
                        TRIAL_MAX_NANOS
                    }
                    (Completeness::Arriving, Completeness::Arriving) => ARRIVING_TRIAL_MAX_NANOS,
                    (Completeness::Arriving, Completeness::Whole) => 0,
                };
                let until = since.saturating_add(longest);
                if now >= until {
                    Usable::Trial
                } else {
                    Usable::Ejected { until }
                }
            }
        }
    }

    /// Whether every request is sent.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Takes the trial that [`Breaker::usable`] offered.
    pub(crate) const fn begin_trial(&mut self, body: Completeness, now: u64) {
        self.state = State::Trying { since: now, body };
    }

    /// The trial that began at `since` is there for the next, unless another took it over.
    pub(crate) fn abandon_trial(&mut self, since: u64, now: u64) {
        match self.state {
            State::Trying { since: begun, .. } if begun == since => {
                self.state = State::Open { until: now };
            }
            State::Closed { .. } | State::Open { .. } | State::Trying { .. } => {}
        }
    }

    /// What a request saw.
    pub(crate) fn report(&mut self, outcome: Outcome, now: u64) {
        match (outcome, self.state) {
            (Outcome::Succeeded, State::Closed { .. } | State::Trying { .. }) => {
                self.state = State::Closed { failures: 0 };
                self.times = 0;
            }
            // A request that was under way when the circuit opened says nothing of what is now.
            (Outcome::Succeeded | Outcome::Failed | Outcome::Nothing, State::Open { .. })
            | (Outcome::Nothing, State::Closed { .. }) => {}
            (Outcome::Nothing, State::Trying { .. }) => self.state = State::Open { until: now },
            (Outcome::Failed, State::Closed { failures }) => {
                let failures = failures.saturating_add(1);
                if failures >= self.spec.failures {
                    self.open(now);
                } else {
                    self.state = State::Closed { failures };
                }
            }
            (Outcome::Failed, State::Trying { .. }) => self.open(now),
        }
    }

    fn open(&mut self, now: u64) {
        let base = u64::try_from(self.spec.ejection.as_nanos()).unwrap_or(u64::MAX);
        let max = u64::try_from(EJECTION_MAX.as_nanos()).unwrap_or(u64::MAX);
        let doubled = 1_u64.checked_shl(self.times).unwrap_or(u64::MAX);
        let length = base.saturating_mul(doubled).min(max);
        self.times = self.times.saturating_add(1);
        self.state = State::Open {
            until: now.saturating_add(length),
        };
    }
}

#[cfg(test)]
mod tests;
