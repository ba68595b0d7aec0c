//! States by name, in bounded memory.
//!
//! What is forgotten is fair, and nobody can make use of it:
//!
//! 1. A state is forgotten only when it says no more than one that was never seen. No flood pushes out a count that stands.
//! 2. When there is no room, or an owner (a tenant, or a wide network of strangers) has half of a shard, its newcomers share a few common
//!    states: they are limited together, and neither let through uncounted nor locked out one by one.
//! 3. When those are used up too, newcomers are refused.

use super::algorithm::{Moment, Rule, SECOND};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;
/// Callers with a state of their own, of each table.
pub const CALLERS_MAX: usize = if cfg!(test) { 16_384 } else { 262_144 };
const SHARD_MAX: usize = CALLERS_MAX / SHARDS;
/// What one owner may have of a shard.
const OWNER_MAX: usize = SHARD_MAX / 2;
/// States that newcomers of one limit share in a shard.
const COMMON: u64 = 16;
/// Shared states of all limits in a shard.
const COMMON_MAX: usize = SHARD_MAX / 4;
/// When a full shard is looked through for states at rest: a flood pays for one look a second, not for one a request.
const SWEEP_INTERVAL_NANOS: u64 = SECOND;

/// An unpredictable name, so that nobody can aim for another's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) state: u128,
    /// Whose share of the table it counts to.
    pub(super) owner: u64,
    /// The limit, for the states that newcomers share.
    pub(super) limit: u64,
}

/// Makes names.
#[derive(Default)]
pub(super) struct Names {
    high: RandomState,
    low: RandomState,
}

impl Names {
    pub(super) fn of<K: Hash, O: Hash>(&self, limit: u64, key: &K, owner: &O) -> Name {
        let key = (limit, key);
        Name {
            state: (u128::from(self.high.hash_one(key)) << 64) | u128::from(self.low.hash_one(key)),
            owner: self.low.hash_one(owner),
            limit,
        }
    }
}

/// See the module.
pub(super) struct Table(Vec<Mutex<Shard>>);

/// A part of a table, under one lock.
#[derive(Default)]
pub(super) struct Shard {
    own: HashMap<u128, Kept>,
    common: HashMap<(u64, u64), Kept>,
    owners: HashMap<u64, usize>,
    swept: Option<u64>,
}

#[derive(Clone, Copy)]
struct Kept {
    state: u128,
    rest_at: u64,
    owner: u64,
}

/// Where a state is, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Common(u64, u64),
    Own(Name),
}

impl Default for Table {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Table {
    /// The shard of a name, in the order in which locks are taken.
    pub(super) fn position(name: Name) -> usize {
        usize::try_from(name.state % (SHARDS as u128)).unwrap_or(0)
    }

    pub(super) fn lock(&self, position: usize) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.0.get(position)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (0..SHARDS)
            .filter_map(|position| self.lock(position))
            .map(|shard| (shard.own.len(), shard.common.len()))
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}

impl Shard {
    /// Where the state of `name` is or belongs, and what it says; absent when there is no room at all.
    pub(super) fn find(&mut self, name: Name, now: Moment) -> Option<(Place, u128)> {
        if let Some(kept) = self.own.get(&name.state) {
            return Some((Place::Own(name), kept.state));
        }
        if self.has_room(name.owner, now) {
            return Some((Place::Own(name), 0));
        }
        // All newcomers of an owner in a shard share one of them, so that they crowd out each other before they crowd out anybody else.
        let place = (name.limit, name.owner % COMMON);
        match self.common.get(&place) {
            Some(kept) => Some((Place::Common(place.0, place.1), kept.state)),
            None if self.common.len() < COMMON_MAX => Some((Place::Common(place.0, place.1), 0)),
            None => None,
        }
    }

    /// Keeps a state where [`Shard::find`] said.
    pub(super) fn keep(&mut self, place: Place, state: u128, rule: &Rule, now: Moment) {
        let rest_at = rule.rest_at(state, now);
        match place {
            Place::Common(limit, slot) => {
                let kept = Kept {
                    state,
                    rest_at,
                    owner: 0,
                };
                self.common.insert((limit, slot), kept);
            }
            Place::Own(name) => {
                let kept = Kept {
                    state,
                    rest_at,
                    owner: name.owner,
                };
                if self.own.insert(name.state, kept).is_none() {
                    *self.owners.entry(name.owner).or_default() += 1;
                }
            }
        }
    }

    fn has_room(&mut self, owner: u64, now: Moment) -> bool {
        let due = self
            .swept
            .is_none_or(|swept| now.steady.saturating_sub(swept) >= SWEEP_INTERVAL_NANOS);
        if !self.has_room_now(owner) && due {
            self.sweep(now.steady);
        }
        self.has_room_now(owner)
    }

    fn has_room_now(&self, owner: u64) -> bool {
        self.own.len() < SHARD_MAX && self.owners.get(&owner).is_none_or(|has| *has < OWNER_MAX)
    }

    fn sweep(&mut self, now: u64) {
        self.swept = Some(now);
        self.own.retain(|_, kept| kept.rest_at > now);
        self.common.retain(|_, kept| kept.rest_at > now);
        self.owners.clear();
        for kept in self.own.values() {
            *self.owners.entry(kept.owner).or_default() += 1;
        }
    }
}
