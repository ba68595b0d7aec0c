//! The addresses of one upstream: which of them a request is sent to. One truth a process, shared by its cores, and kept over a reload for
//! every address that stays.
//!
//! Not here: connections, which belong to a core ([`super::pool`]), and the checks themselves ([`super::health`]).

use super::body::Completeness;
use super::breaker::{Breaker, BreakerSpec, Outcome, Usable};
use super::concurrency::Gate;
use super::retry::{Budget, Repeat};
use super::{Endpoint, UpstreamSpec};
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// How an address is chosen among several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// Callers who agree in something are sent to the same address while it can be used (rendezvous hashing): when one fails, only its
    /// callers move.
    ConsistentHash(HashBy),
    /// Of two at random the one with fewer requests under way.
    #[default]
    LeastLoaded,
}

/// What callers must have in common to be sent to the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashBy {
    /// The client; callers without a token go by their network.
    Client,
    /// The network.
    Network,
    /// Whom the token speaks of; callers without a token go by their network.
    Subject,
}

/// The addresses of an upstream.
pub(crate) struct Members {
    members: Vec<Arc<Member>>,
    pub(crate) budget: Budget,
    pub(crate) gate: Option<Arc<Gate>>,
    balance: Balance,
    draws: AtomicU64,
    random: RandomState,
    epoch: Instant,
}

/// One address.
#[derive(Debug)]
pub(crate) struct Member {
    /// As the configuration writes it: what stays the same over a reload.
    authority: String,
    breaker_spec: BreakerSpec,
    breaker: Mutex<Breaker>,
    /// Whether the breaker has nothing to remember, so that nobody need lock it.
    calm: AtomicBool,
    /// What health checks say.
    sick: AtomicBool,
    under_way: AtomicUsize,
}

/// What there is to know of a request that needs an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Of the caller, where the upstream goes by one.
    pub(crate) key: u64,
    pub(crate) repeat: Repeat,
    pub(crate) body: Completeness,
}

/// A request at an address; dropped, it is no longer under way.
#[derive(Debug)]
pub(crate) struct Load {
    member: Arc<Member>,
    told: bool,
    /// When it took a trial, if it did.
    trial: Option<u64>,
    epoch: Instant,
}

/// Whether an upstream can do without an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// It has no other that can be used.
    None,
    /// Another can be used.
    Serve,
}

/// No address can be used before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllEjected {
    pub(crate) until: u64,
}

impl Members {
    /// The addresses of `spec`, with what `before` knows of them.
    pub(crate) fn new(spec: &UpstreamSpec, before: Option<&Self>) -> Self {
        let epoch = before.map_or_else(Instant::now, |before| before.epoch);
        let members = spec.endpoints.iter().map(|endpoint| {
            let known = before.and_then(|before| before.member(endpoint, spec.breaker));
            known.unwrap_or_else(|| Arc::new(Member::new(endpoint, spec.breaker)))
        });
        let gate = spec.concurrency.map(|concurrency| {
            let known = before.and_then(|before| before.gate.clone());
            known
                .filter(|gate| gate.spec == concurrency)
                .unwrap_or_else(|| Gate::new(concurrency))
        });
        Self {
            members: members.collect(),
            budget: Budget::new(&spec.retries),
            gate,
            balance: spec.balance,
            draws: AtomicU64::new(0),
            random: RandomState::new(),
            epoch,
        }
    }

    fn member(&self, endpoint: &Endpoint, breaker: BreakerSpec) -> Option<Arc<Member>> {
        let same = |member: &&Arc<Member>| {
            member.authority == endpoint.authority.as_str() && member.breaker_spec == breaker
        };
        self.members.iter().find(same).cloned()
    }

    pub(crate) const fn balance(&self) -> Balance {
        self.balance
    }

    /// Steady nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        elapsed(self.epoch)
    }

    /// Unpredictable, for spreading requests and waits; nothing secret hangs on it.
    pub(crate) fn draw(&self) -> u64 {
        self.random
            .hash_one(self.draws.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether no breaker has anything to remember.
    pub(crate) fn are_calm(&self) -> bool {
        let mut members = self.members.iter();
        members.all(|member| member.calm.load(Ordering::Relaxed))
    }

    /// The address for a request. Those in `tried` have failed this request already and are
    /// taken only if there is no other.
    pub(crate) fn choose(
        &self,
        wanted: Wanted,
        tried: &[usize],
        now: u64,
    ) -> Result<(usize, Load), AllEjected> {
        let Wanted { key, repeat, body } = wanted;
        if let [only] = self.members.as_slice() {
            return match only.usable(body, now) {
                Usable::Yes => Ok((0, self.load(only, None))),
                Usable::Trial if only.begin_trial(body, now) => Ok((0, self.load(only, Some(now)))),
                Usable::Trial => Err(AllEjected { until: now }),
                Usable::Ejected { until } => Err(AllEjected { until }),
            };
        }
        // Checks that call every address sick are more likely wrong than right.
        let all_sick = self.members.iter().all(|member| member.is_sick());
        let (mut good, mut used, mut trial) = (Vec::new(), Vec::new(), None);
        let mut until = u64::MAX;
        for (position, member) in self.members.iter().enumerate() {
            if member.is_sick() && !all_sick {
                continue;
            }
            match member.usable(body, now) {
                Usable::Yes if tried.contains(&position) => used.push(position),
                Usable::Yes => good.push(position),
                Usable::Trial => trial = trial.or(Some(position)),
                Usable::Ejected { until: then } => until = until.min(then),
            }
        }
        // A request that may be sent again is the one to try an address that was ejected.
        let offered = trial.filter(|_| good.is_empty() || repeat == Repeat::Harmless);
        if let Some(position) = offered
            && let Some(member) = self.members.get(position)
            && member.begin_trial(body, now)
        {
            return Ok((position, self.load(member, Some(now))));
        }
        let among = if good.is_empty() { &used } else { &good };
        match self
            .pick(among, key)
            .and_then(|position| Some((position, self.members.get(position)?)))
        {
            Some((position, member)) => Ok((position, self.load(member, None))),
            None => Err(AllEjected {
                until: if until == u64::MAX { now } else { until },
            }),
        }
    }

    /// Whether any address but the one at `position` can be used.
    pub(crate) fn others(&self, position: usize, now: u64) -> Others {
        let serves = |member: &Member| {
            !member.is_sick() && member.usable(Completeness::Arriving, now) == Usable::Yes
        };
        let mut members = self.members.iter().enumerate();
        if members.any(|(other, member)| other != position && serves(member)) {
            Others::Serve
        } else {
            Others::None
        }
    }

    fn pick(&self, among: &[usize], key: u64) -> Option<usize> {
        match (self.balance, among) {
            (_, []) => None,
            (_, [only]) => Some(*only),
            (Balance::ConsistentHash(_), among) => among
                .iter()
                .copied()
                .max_by_key(|position| self.score(*position, key)),
            (Balance::LeastLoaded, among) => {
                let draw = self.draw();
                let (first, second) = two_of(among.len(), draw);
                let (first, second) = (*among.get(first)?, *among.get(second)?);
                let load = |position: usize| {
                    let member = self.members.get(position);
                    member.map(|member| member.under_way.load(Ordering::Relaxed))
                };
                Some(if load(second) < load(first) {
                    second
                } else {
                    first
                })
            }
        }
    }

    /// The same in every process, so that several gateways send a caller to the same address.
    fn score(&self, position: usize, key: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(member) = self.members.get(position) {
            member.authority.hash(&mut hasher);
        }
        key.hash(&mut hasher);
        hasher.finish()
    }

    fn load(&self, member: &Arc<Member>, trial: Option<u64>) -> Load {
        member.under_way.fetch_add(1, Ordering::Relaxed);
        Load {
            member: Arc::clone(member),
            told: false,
            trial,
            epoch: self.epoch,
        }
    }

    /// What health checks found out about an address.
    pub(crate) fn set_health(&self, position: usize, health: Health) {
        if let Some(member) = self.members.get(position) {
            member.sick.store(health == Health::Sick, Ordering::Relaxed);
        }
    }
}

/// What health checks say of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Sick,
    Well,
}

/// Two different positions below `count`, which is two at least.
fn two_of(count: usize, draw: u64) -> (usize, usize) {
    let spread = |part: u64, count: usize| {
        let scaled = (u128::from(part) * (count as u128)) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    };
    let first = spread(draw >> 32, count);
    let second = spread(draw & u64::from(u32::MAX), count.saturating_sub(1));
    (first, if second >= first { second + 1 } else { second })
}

/// The key of a caller for [`Balance::ConsistentHash`], the same in every process.
pub(crate) fn key_of<K: Hash + ?Sized>(caller: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    caller.hash(&mut hasher);
    hasher.finish()
}

fn elapsed(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Member {
    fn new(endpoint: &Endpoint, breaker: BreakerSpec) -> Self {
        Self {
            authority: endpoint.authority.to_string(),
            breaker_spec: breaker,
            breaker: Mutex::new(Breaker::new(breaker)),
            calm: AtomicBool::new(true),
            sick: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
        }
    }

    fn is_sick(&self) -> bool {
        self.sick.load(Ordering::Relaxed)
    }

    fn usable(&self, body: Completeness, now: u64) -> Usable {
        if self.calm.load(Ordering::Relaxed) {
            return Usable::Yes;
        }
        let breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.usable(body, now)
    }

    /// Whether the trial is the caller's: of two that were offered it at once, one gets it.
    fn begin_trial(&self, body: Completeness, now: u64) -> bool {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let free = breaker.usable(body, now) == Usable::Trial;
        if free {
            breaker.begin_trial(body, now);
        }
        free
    }

    fn report(&self, outcome: Outcome, now: u64) {
        let calm = self.calm.load(Ordering::Relaxed);
        if calm && outcome != Outcome::Failed {
            return;
        }
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.report(outcome, now);
        self.calm.store(
            outcome == Outcome::Succeeded && breaker.is_closed(),
            Ordering::Relaxed,
        );
    }

    /// A trial ended without anything to say; whoever took it over meanwhile goes on.
    fn abandon_trial(&self, since: u64, now: u64) {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.abandon_trial(since, now);
    }
}

impl Load {
    /// What the request says of the address; once.
    pub(crate) fn report(&mut self, outcome: Outcome) {
        self.told = true;
        let now = elapsed(self.epoch);
        match (outcome, self.trial) {
            (Outcome::Failed | Outcome::Succeeded, _) => self.member.report(outcome, now),
            (Outcome::Nothing, Some(since)) => self.member.abandon_trial(since, now),
            (Outcome::Nothing, None) => {}
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.told {
            self.report(Outcome::Nothing);
        }
        self.member.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
