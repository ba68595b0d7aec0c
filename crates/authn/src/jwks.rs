//! When to fetch the keys of an issuer, as a state machine that fetches nothing itself (RFC 7517; the rules of a careful client).
//!
//! - Any number of callers cause one fetch: who gets a [`FetchTicket`] fetches, the others wait.
//! - An unknown key id causes at most one fetch in a cooldown, and is remembered for a while in a bounded list.
//! - A known key id is answered from the set and never charged to that cooldown.
//! - A set is refreshed ahead of its expiry, off the path of requests; while the issuer is away the old set serves until it is truly stale,
//!   and then nothing does.
//! - A failed fetch is retried after a pause that doubles, for this issuer alone.
//! - Who judges by more of a set than one key of it asks for the whole ([`IssuerKeys::whole`]), and for a newer one at most once in the same cooldown.
//!
//! Not here: HTTP, addresses, waiting. The shell drops the machine of an issuer that is no longer trusted, and the ticket of a fetch that was
//! under way is then worth nothing.

use countersign_base::{Duration, Kid, UnixTime};
use countersign_crypto::jose::{Algorithm, JwkSet, VerifyingKey};
use std::borrow::Borrow;
use std::collections::VecDeque;

/// How an issuer's keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwksLimits {
    /// A set is kept at least this long, whatever its issuer says.
    pub lifetime_min: Duration,
    /// And at most this long.
    pub lifetime_max: Duration,
    /// For how long after its lifetime a set still serves while it cannot be refreshed.
    pub stale_max: Duration,
    /// The pause between two fetches for key ids that are unknown.
    pub unknown_cooldown: Duration,
    /// The pause after a failed fetch; it doubles up to `lifetime_max`.
    pub retry_after: Duration,
    /// How many unknown key ids are remembered.
    pub unknown_max: usize,
    /// For how long.
    pub unknown_lifetime: Duration,
    /// After this long a fetch that never reported back is taken for lost.
    pub fetch_timeout: Duration,
}

impl Default for JwksLimits {
    fn default() -> Self {
        Self {
            lifetime_min: Duration::from_secs(60),
            lifetime_max: Duration::from_secs(3600),
            stale_max: Duration::from_secs(24 * 3600),
            unknown_cooldown: Duration::from_secs(30),
            retry_after: Duration::from_secs(15),
            unknown_max: 128,
            unknown_lifetime: Duration::from_secs(300),
            fetch_timeout: Duration::from_secs(30),
        }
    }
}

/// The right and duty to fetch once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "whoever holds the ticket has to fetch and to report back"]
pub struct FetchTicket(u64);

/// A fetch that brought no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys could not be fetched")]
pub struct FetchFailed;

/// What a caller who needs a key does next.
#[derive(Debug)]
pub enum Lookup {
    /// Fetch, report with [`IssuerKeys::fetched`], look again.
    Fetch(FetchTicket),
    /// The key.
    Found(VerifyingKey),
    /// There is no set that may be used, and it is too early to fetch again.
    Unavailable,
    /// The issuer has no such key.
    Unknown,
    /// Somebody fetches; wait for them and look again.
    Wait,
}

/// Which set a caller can do with who wants the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One that is not too old.
    Current,
    /// One that was fetched because the kept one had not the key.
    Newer,
}

/// What a caller who needs the whole set does next.
#[derive(Debug)]
pub enum Whole<'a, S> {
    /// Fetch, report with [`IssuerKeys::fetched`], look again for the current one.
    Fetch(FetchTicket),
    /// The set.
    Set(&'a S),
    /// There is no set that may be used, and it is too early to fetch again.
    Unavailable,
    /// Somebody fetches; wait for them and look again for the current one.
    Wait,
}

struct Held<S> {
    set: S,
    refresh_at: UnixTime,
    expires: UnixTime,
}

/// What a caller does while there is no set.
enum Absent {
    Fetch(FetchTicket),
    Unavailable,
    Wait,
}

/// A fetch that is under way.
struct Flight {
    ticket: u64,
    given_up_at: UnixTime,
    /// The key that somebody missed, where that is why.
    missing: Option<(Option<Kid>, Algorithm)>,
}

/// The keys of one issuer: a [`JwkSet`], or what holds one and more of what was fetched.
pub struct IssuerKeys<S = JwkSet> {
    limits: JwksLimits,
    held: Option<Held<S>>,
    flight: Option<Flight>,
    tickets: u64,
    generation: u64,
    failures: u32,
    retry_at: Option<UnixTime>,
    unknown_fetch_at: Option<UnixTime>,
    unknown: VecDeque<(Option<Kid>, Algorithm, UnixTime)>,
}

impl<S: Borrow<JwkSet>> IssuerKeys<S> {
    /// No keys yet.
    #[must_use]
    pub const fn new(limits: JwksLimits) -> Self {
        Self {
            limits,
            held: None,
            flight: None,
            tickets: 0,
            generation: 0,
            failures: 0,
            retry_at: None,
            unknown_fetch_at: None,
            unknown: VecDeque::new(),
        }
    }

    /// The key for a token's header, or what to do to have it. A token that names no key is answered only where one key fits.
    pub fn lookup(&mut self, kid: Option<&Kid>, algorithm: Algorithm, now: UnixTime) -> Lookup {
        let held = self.held.as_ref().filter(|held| now < held.expires);
        let Some(held) = held else {
            return match self.absent(now) {
                Absent::Fetch(ticket) => Lookup::Fetch(ticket),
                Absent::Unavailable => Lookup::Unavailable,
                Absent::Wait => Lookup::Wait,
            };
        };
        if let Some(key) = find(held.set.borrow(), kid, algorithm) {
            return Lookup::Found(key.clone());
        }
        // Before the list of unknown ones: the fetch under way may be for this very key.
        if self.flying(now) {
            return Lookup::Wait;
        }
        self.unknown.retain(|(_, _, until)| now < *until);
        if self
            .unknown
            .iter()
            .any(|(known, of, _)| known.as_ref() == kid && *of == algorithm)
        {
            return Lookup::Unknown;
        }
        if self.cooling(now) {
            return Lookup::Unknown;
        }
        self.unknown_fetch_at = Some(now);
        Lookup::Fetch(self.begin(Some((kid.cloned(), algorithm)), now))
    }

    /// The whole set, or what to do to have it. A newer one is fetched at most once in `unknown_cooldown`, whoever asks and for whatever key.
    pub fn whole(&mut self, wanted: Wanted, now: UnixTime) -> Whole<'_, S> {
        if self.kept(now).is_none() {
            return match self.absent(now) {
                Absent::Fetch(ticket) => Whole::Fetch(ticket),
                Absent::Unavailable => Whole::Unavailable,
                Absent::Wait => Whole::Wait,
            };
        }
        if wanted == Wanted::Newer {
            if self.flying(now) {
                return Whole::Wait;
            }
            if !self.cooling(now) {
                self.unknown_fetch_at = Some(now);
                return Whole::Fetch(self.begin(None, now));
            }
        }
        match &self.held {
            Some(held) => Whole::Set(&held.set),
            None => Whole::Unavailable,
        }
    }

    /// The whole set, where there is one that serves, whatever else is to do.
    #[must_use]
    pub fn kept(&self, now: UnixTime) -> Option<&S> {
        let held = self.held.as_ref().filter(|held| now < held.expires);
        held.map(|held| &held.set)
    }

    /// A ticket when the set should be refreshed although nobody misses a key: for a background job.
    pub fn refresh_due(&mut self, now: UnixTime) -> Option<FetchTicket> {
        let fresh = self.held.as_ref().is_some_and(|held| now < held.refresh_at);
        let too_early = self.retry_at.is_some_and(|at| now < at);
        if fresh || too_early || self.flying(now) {
            None
        } else {
            Some(self.begin(None, now))
        }
    }

    /// Takes the outcome of a fetch: the set with the lifetime that its issuer gave it. An outcome that comes too late, after its ticket
    /// was given up, is ignored.
    pub fn fetched(
        &mut self,
        ticket: FetchTicket,
        outcome: Result<(S, Duration), FetchFailed>,
        now: UnixTime,
    ) {
        let FetchTicket(number) = ticket;
        let Some(flight) = self.flight.take_if(|flight| flight.ticket == number) else {
            return;
        };
        match outcome {
            Ok((set, lifetime)) => {
                let lifetime = lifetime.clamp(self.limits.lifetime_min, self.limits.lifetime_max);
                let refresh_at = now.plus(lifetime.mul_f64(0.8));
                let keys = set.borrow();
                self.unknown
                    .retain(|(kid, algorithm, _)| find(keys, kid.as_ref(), *algorithm).is_none());
                if let Some((kid, algorithm)) = flight.missing
                    && find(keys, kid.as_ref(), algorithm).is_none()
                {
                    self.remember_unknown(kid, algorithm, now);
                }
                self.held = Some(Held {
                    set,
                    refresh_at,
                    expires: now.plus(lifetime).plus(self.limits.stale_max),
                });
                self.generation += 1;
                self.failures = 0;
                self.retry_at = None;
            }
            Err(FetchFailed) => {
                let pause = self
                    .limits
                    .retry_after
                    .saturating_mul(1 << self.failures.min(16));
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(now.plus(pause.min(self.limits.lifetime_max)));
            }
        }
    }

    /// Until when the set that is there serves if no other comes; absent while there is none.
    #[must_use]
    pub fn serves_until(&self) -> Option<UnixTime> {
        self.held.as_ref().map(|held| held.expires)
    }

    /// Counts the sets: part of the key of a cache of verdicts.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What to do while there is no set.
    fn absent(&mut self, now: UnixTime) -> Absent {
        if self.flying(now) {
            return Absent::Wait;
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return Absent::Unavailable;
        }
        Absent::Fetch(self.begin(None, now))
    }

    /// Whether it is too early to fetch because somebody misses a key.
    fn cooling(&self, now: UnixTime) -> bool {
        self.unknown_fetch_at
            .is_some_and(|at| now < at.plus(self.limits.unknown_cooldown))
            || self.retry_at.is_some_and(|at| now < at)
    }

    fn begin(&mut self, missing: Option<(Option<Kid>, Algorithm)>, now: UnixTime) -> FetchTicket {
        self.tickets += 1;
        self.flight = Some(Flight {
            ticket: self.tickets,
            given_up_at: now.plus(self.limits.fetch_timeout),
            missing,
        });
        FetchTicket(self.tickets)
    }

    fn flying(&self, now: UnixTime) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|flight| now < flight.given_up_at)
    }

    /// Only after a fetch that succeeded: what could not be looked up is not unknown.
    fn remember_unknown(&mut self, kid: Option<Kid>, algorithm: Algorithm, now: UnixTime) {
        if self.unknown.len() >= self.limits.unknown_max {
            self.unknown.pop_front();
        }
        self.unknown
            .push_back((kid, algorithm, now.plus(self.limits.unknown_lifetime)));
    }
}

impl<S> std::fmt::Debug for IssuerKeys<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKeys")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn find<'a>(set: &'a JwkSet, kid: Option<&Kid>, algorithm: Algorithm) -> Option<&'a VerifyingKey> {
    if let Some(kid) = kid {
        return set.find(kid, algorithm);
    }
    let mut candidates = set.candidates(None, algorithm);
    let first = candidates.next()?;
    if candidates.next().is_some() {
        None
    } else {
        Some(first)
    }
}

#[cfg(test)]
mod tests;
