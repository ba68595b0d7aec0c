//! How fast one endpoint is served: what its breaker, its rate, its concurrency and its own wish to be left alone allow together.
//!
//! An endpoint that nothing is known of, or that failed lately, gets one attempt at a time; each success doubles that up to its concurrency. So whoever hangs holds one connection
//! and not as many as it may have.

use super::breaker::{Breaker, Passage, Said};
use super::bucket::Bucket;
use countersign_base::{Duration, UnixMillis};

/// How long an endpoint is left alone that asks for less and does not say for how long.
const REST: Duration = Duration::from_secs(5);
/// How long it is left alone at most, whatever it says; what failed waits for longer if it is to.
const REST_MAX: Duration = Duration::from_secs(3_600);

/// An attempt that took so long says that those after it may too, whatever was answered.
const LONG: Duration = Duration::from_secs(5);

/// What an endpoint's owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wants {
    /// Attempts a second, if they are limited.
    pub(super) rate: Option<u32>,
    /// Attempts at a time.
    pub(super) concurrency: u16,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing until something that is under way has ended.
    Full,
    /// Nothing before this time.
    NotBefore(UnixMillis),
    /// So many, at least one.
    Now(u16),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    breaker: Breaker,
    bucket: Option<Bucket>,
    eased: u16,
    under_way: u16,
    rests_until: Option<UnixMillis>,
    is_suspect: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            breaker: Breaker::new(),
            bucket: None,
            eased: 1,
            under_way: 0,
            rests_until: None,
            is_suspect: false,
        }
    }

    /// What is known without asking what its owner wants: that nothing may be sent now.
    pub(super) fn barred(&self, now: UnixMillis) -> Option<Room> {
        if let Some(until) = self.resting(now) {
            return Some(Room::NotBefore(until));
        }
        let at_once = match self.breaker.passage(now) {
            Passage::Shut { until } => return Some(Room::NotBefore(until)),
            Passage::One => 1,
            Passage::Free => self.eased,
        };
        (self.under_way >= at_once).then_some(Room::Full)
    }

    /// What may be sent now.
    pub(super) fn room(&mut self, wants: Wants, now: UnixMillis) -> Room {
        if let Some(until) = self.resting(now) {
            return Room::NotBefore(until);
        }
        let at_once = match self.breaker.passage(now) {
            Passage::Shut { until } => return Room::NotBefore(until),
            Passage::One => 1,
            Passage::Free => self.eased.min(wants.concurrency.max(1)),
        };
        let free = at_once.saturating_sub(self.under_way);
        if free == 0 {
            return Room::Full;
        }
        let Some(bucket) = self.bucket(wants, now) else {
            return Room::Now(free);
        };
        match u16::try_from(bucket.there(now)).unwrap_or(u16::MAX) {
            0 => Room::NotBefore(bucket.next(now)),
            tokens => Room::Now(free.min(tokens)),
        }
    }

    /// The bucket of the rate as it is now; one that was changed begins with a full one.
    fn bucket(&mut self, wants: Wants, now: UnixMillis) -> Option<&mut Bucket> {
        match wants.rate {
            None => self.bucket = None,
            Some(rate) => {
                let same = |bucket: &Bucket| bucket.rate() == rate.max(1);
                if !self.bucket.as_ref().is_some_and(same) {
                    self.bucket = Some(Bucket::new(rate, now));
                }
            }
        }
        self.bucket.as_mut()
    }

    /// So many are under way from now on.
    pub(super) fn took(&mut self, attempts: u16, now: UnixMillis) {
        self.under_way = self.under_way.saturating_add(attempts);
        if let Some(bucket) = &mut self.bucket {
            bucket.take(attempts.into(), now);
        }
    }

    /// So many of what was taken were not there.
    pub(super) fn gave_back(&mut self, attempts: u16) {
        self.under_way = self.under_way.saturating_sub(attempts);
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(attempts.into());
        }
    }

    /// One that was under way has ended; it says this of the endpoint, if anything, after so long.
    pub(super) fn ended(
        &mut self,
        said: Option<Said>,
        took: Duration,
        concurrency: u16,
        now: UnixMillis,
    ) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(said) = said else { return };
        self.breaker.said(said, now);
        self.is_suspect = said == Said::Bad || took >= LONG;
        self.eased = match said {
            Said::Bad => 1,
            Said::Good => self.eased.saturating_mul(2).min(concurrency.max(1)),
        };
    }

    /// The endpoint asks to be left alone, until then if it says so.
    pub(super) fn rest(&mut self, asked_until: Option<UnixMillis>, now: UnixMillis) {
        let after = |span| UnixMillis(now.0.saturating_add(millis(span)));
        let until = asked_until.map_or(after(REST), |asked| asked.clamp(now, after(REST_MAX)));
        self.rests_until = self.resting(now).max(Some(until));
    }

    /// Until when it is left alone, if it is. A time beyond the longest is from before the clock was set back.
    fn resting(&self, now: UnixMillis) -> Option<UnixMillis> {
        let longest = millis(REST_MAX);
        self.rests_until
            .filter(|until| (1..=longest).contains(&until.0.saturating_sub(now.0)))
    }

    /// Whether its last attempt failed, or took long.
    pub(super) const fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Whether nothing that matters is forgotten with it.
    pub(super) fn may_be_forgotten(&mut self, now: UnixMillis) -> bool {
        self.under_way == 0
            && self.resting(now).is_none()
            && self.breaker.is_fresh(now)
            && self
                .bucket
                .as_mut()
                .is_none_or(|bucket| bucket.is_full(now))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
