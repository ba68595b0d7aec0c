//! When a webhook that was not taken is tried again: after pauses that a schedule names, each with jitter, and then no more.
//!
//! The standard one is that of Standard Webhooks 1.0.0. What a receiver asks for by `Retry-After` is obeyed within bounds: never sooner than the schedule, so that a receiver cannot use up
//! its attempts in a minute, and never later than a day.

use countersign_base::{Duration, UnixTime};
use countersign_crypto::random::Random;
use countersign_net::RetryAfter;
use std::collections::BTreeMap;

/// Retries that a schedule may have.
pub const RETRIES_MAX: usize = 32;
/// The longest pause of a schedule.
pub const PAUSE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// The longest that a receiver may ask us to wait.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Schedules that an installation may have beside the built-in ones.
pub const SCHEDULES_MAX: usize = 64;
/// Characters of a schedule's name.
const NAME_MAX: usize = 32;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
const STANDARD: &[u64] = &[
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
];
/// For receivers to which what is an hour old is worth nothing.
const QUICK: &[u64] = &[2, 10, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE];
/// For our own services, which a restart takes away for seconds: soon at first, and then on as [`STANDARD`].
const SERVICE: &[u64] = &[
    1,
    2,
    5,
    15,
    30,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
];
/// Once and no more.
const ONCE: &[u64] = &[];

/// The schedules that are always there, by their names.
const BUILT_IN: &[(&str, &[u64])] = &[
    ("once", ONCE),
    ("quick", QUICK),
    ("service", SERVICE),
    ("standard", STANDARD),
];

/// The pauses between the attempts of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// Why there can be no such schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A name that has a meaning, or that endpoints cannot name.
    #[error(
        "a schedule is named with up to {NAME_MAX} lower-case letters, digits, `-` and `_`, and `once`, `quick`, `service` and `standard` are schedules already"
    )]
    Name,
    /// More schedules than there may be.
    #[error("there are at most {SCHEDULES_MAX} schedules beside the built-in ones")]
    Number,
    /// A pause that is none, or too long.
    #[error("a pause is at least a second and at most 7 days")]
    Pause,
    /// More retries than there may be.
    #[error("a schedule has at most {RETRIES_MAX} retries")]
    Retries,
}

impl Schedule {
    /// These pauses.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn new(pauses: Vec<Duration>) -> Result<Self, ScheduleError> {
        if pauses.len() > RETRIES_MAX {
            return Err(ScheduleError::Retries);
        }
        let fits = |pause: &Duration| (Duration::from_secs(1)..=PAUSE_MAX).contains(pause);
        if !pauses.iter().all(fits) {
            return Err(ScheduleError::Pause);
        }
        Ok(Self(pauses))
    }

    fn of_seconds(seconds: &[u64]) -> Self {
        Self(seconds.iter().copied().map(Duration::from_secs).collect())
    }

    /// Attempts that are made at most.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.0.len() + 1
    }

    /// When a webhook is tried again whose attempt of this number (the first is 1) has failed now; nothing if that was the last.
    #[must_use]
    pub fn due(
        &self,
        attempt: u32,
        asked: Option<RetryAfter>,
        random: &Random,
        now: UnixTime,
    ) -> Option<UnixTime> {
        let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let due = now.plus(jittered(*self.0.get(place)?, random));
        let latest = due.max(now.plus(RETRY_AFTER_MAX));
        Some(asked.map_or(due, |asked| asked.time(now).clamp(due, latest)))
    }
}

/// The pause and up to a fifth of it more or less, in whole seconds, so that what failed together does not come back together.
fn jittered(pause: Duration, random: &Random) -> Duration {
    let seconds = pause.as_secs();
    let fifth = seconds / 5;
    let spread = u64::from_be_bytes(random.bytes()) % (2 * fifth + 1);
    Duration::from_secs(seconds - fifth + spread)
}

/// The schedules of an installation, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    named: BTreeMap<String, Schedule>,
    standard: Schedule,
}

impl Schedules {
    /// The built-in ones and these.
    ///
    /// # Errors
    /// [`ScheduleError::Name`] for one that takes the name of a built-in one or has none that endpoints can name, [`ScheduleError::Number`] for too many.
    pub fn new(own: BTreeMap<String, Schedule>) -> Result<Self, ScheduleError> {
        if own.len() > SCHEDULES_MAX {
            return Err(ScheduleError::Number);
        }
        if !own.keys().all(|name| is_name(name)) {
            return Err(ScheduleError::Name);
        }
        let mut named = own;
        for (name, seconds) in BUILT_IN {
            let before = named.insert((*name).to_owned(), Schedule::of_seconds(seconds));
            if before.is_some() {
                return Err(ScheduleError::Name);
            }
        }
        Ok(Self {
            named,
            standard: Schedule::of_seconds(STANDARD),
        })
    }

    /// The schedule of this name; the standard one where there is none any more.
    #[must_use]
    pub fn named(&self, name: &str) -> &Schedule {
        self.named.get(name).unwrap_or(&self.standard)
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// The names of all, as a sentence lists them.
    #[must_use]
    pub fn listed(&self) -> String {
        let names: Vec<String> = self.named.keys().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(fits)
}

impl Default for Schedules {
    fn default() -> Self {
        let built_in = BUILT_IN
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), Schedule::of_seconds(seconds)));
        Self {
            named: built_in.collect(),
            standard: Schedule::of_seconds(STANDARD),
        }
    }
}

#[cfg(test)]
mod tests;
