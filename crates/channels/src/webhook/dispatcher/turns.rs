//! Whose turn it is: what of all endpoints together may be under way, so that whoever does not answer keeps nobody else waiting.
//!
//! One tenant has a share of what may be under way; endpoints whose last attempt failed or took long have half of it together. So endpoints that hang, of whomever, leave
//! room for those that answer. What is remembered of an endpoint is small, and forgotten when it says nothing any more.

use super::breaker::Said;
use super::pace::{Pace, Room, Wants};
use countersign_base::{Duration, Tenant, UnixMillis};
use std::collections::HashMap;
use std::hash::Hash;

/// How often what may be forgotten is looked for.
const FORGET_EVERY_MILLIS: i64 = 10_000;

/// How much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Attempts of all endpoints.
    pub all: usize,
    /// Of these, attempts of one tenant.
    pub tenant: usize,
    /// Of these, attempts at endpoints whose last attempt failed or took long.
    pub suspects: usize,
}

impl Share {
    /// So many, of which one tenant has three quarters, and endpoints that failed or took long half.
    #[must_use]
    pub const fn of(all: usize) -> Self {
        let all = if all < 4 { 4 } else { all };
        Self {
            all,
            tenant: all / 4 * 3,
            suspects: all / 2,
        }
    }
}

/// See the module. `L` names an endpoint.
#[derive(Debug)]
pub(super) struct Turns<L> {
    share: Share,
    paces: HashMap<L, OfLane>,
    tenants: HashMap<Tenant, usize>,
    under_way: usize,
    suspects: usize,
    looked: UnixMillis,
}

#[derive(Debug)]
struct OfLane {
    pace: Pace,
    /// How many of those under way count among the suspects.
    as_suspect: u16,
}

impl<L: Clone + Eq + Hash> Turns<L> {
    pub(super) fn new(share: Share) -> Self {
        Self {
            share,
            paces: HashMap::new(),
            tenants: HashMap::new(),
            under_way: 0,
            suspects: 0,
            looked: UnixMillis(0),
        }
    }

    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many more may be under way of all.
    pub(super) const fn free(&self) -> usize {
        self.share.all.saturating_sub(self.under_way)
    }

    /// What is known of an endpoint without asking what its owner wants: that nothing may be sent there now.
    pub(super) fn barred(&self, lane: &L, tenant: &Tenant, now: UnixMillis) -> Option<Room> {
        let of_tenant = self.tenants.get(tenant).copied().unwrap_or(0);
        if self.free() == 0 || of_tenant >= self.share.tenant {
            return Some(Room::Full);
        }
        let pace = &self.paces.get(lane)?.pace;
        if pace.is_suspect() && self.suspects >= self.share.suspects {
            return Some(Room::Full);
        }
        pace.barred(now)
    }

    /// How many may be sent to an endpoint now. What is taken of it is said by [`Turns::took`] before anybody else is asked for.
    pub(super) fn room(
        &mut self,
        lane: &L,
        tenant: &Tenant,
        wants: Wants,
        now: UnixMillis,
    ) -> Room {
        let of_tenant = self.tenants.get(tenant).copied().unwrap_or(0);
        let mut free = self.free().min(self.share.tenant.saturating_sub(of_tenant));
        let free_suspects = self.share.suspects.saturating_sub(self.suspects);
        let known = self.paces.get_mut(lane);
        if known.as_ref().is_some_and(|known| known.pace.is_suspect()) {
            free = free.min(free_suspects);
        }
        if free == 0 {
            return Room::Full;
        }
        let room = match known {
            Some(known) => known.pace.room(wants, now),
            None => {
                let mut pace = Pace::new();
                let room = pace.room(wants, now);
                let as_suspect = 0;
                self.paces.insert(lane.clone(), OfLane { pace, as_suspect });
                room
            }
        };
        match room {
            Room::Now(room) => Room::Now(room.min(u16::try_from(free).unwrap_or(u16::MAX))),
            other => other,
        }
    }

    /// So many were taken for an endpoint.
    pub(super) fn took(&mut self, lane: &L, tenant: &Tenant, attempts: u16, now: UnixMillis) {
        let Some(known) = self.paces.get_mut(lane) else {
            return;
        };
        known.pace.took(attempts, now);
        let number = usize::from(attempts);
        if known.pace.is_suspect() {
            known.as_suspect = known.as_suspect.saturating_add(attempts);
            self.suspects += number;
        }
        self.under_way += number;
        *self.tenants.entry(tenant.clone()).or_default() += number;
    }

    /// So many of what was taken for an endpoint were not there.
    pub(super) fn gave_back(&mut self, lane: &L, tenant: &Tenant, attempts: u16) {
        let Some(known) = self.paces.get_mut(lane) else {
            return;
        };
        known.pace.gave_back(attempts);
        self.less(lane, tenant, attempts);
    }

    /// One that was under way ended.
    pub(super) fn ended(&mut self, lane: &L, tenant: &Tenant, ended: Ended, now: UnixMillis) {
        let Some(known) = self.paces.get_mut(lane) else {
            return;
        };
        known
            .pace
            .ended(ended.said, ended.took, ended.concurrency, now);
        if let Some(rest) = ended.rest {
            known.pace.rest(rest.until, now);
        }
        self.less(lane, tenant, 1);
        self.forget(now);
    }

    /// So many less are under way.
    fn less(&mut self, lane: &L, tenant: &Tenant, attempts: u16) {
        let number = usize::from(attempts);
        if let Some(known) = self.paces.get_mut(lane) {
            let suspects = known.as_suspect.min(attempts);
            known.as_suspect -= suspects;
            self.suspects = self.suspects.saturating_sub(suspects.into());
        }
        self.under_way = self.under_way.saturating_sub(number);
        if let Some(of_tenant) = self.tenants.get_mut(tenant) {
            *of_tenant = of_tenant.saturating_sub(number);
            if *of_tenant == 0 {
                self.tenants.remove(tenant);
            }
        }
    }

    /// Forgets endpoints of which nothing is to be remembered.
    pub(super) fn forget(&mut self, now: UnixMillis) {
        if now.0.saturating_sub(self.looked.0).abs() < FORGET_EVERY_MILLIS {
            return;
        }
        self.looked = now;
        self.paces
            .retain(|_, known| !known.pace.may_be_forgotten(now));
    }
}

/// What the end of an attempt says of its endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// How it went, if it was tried.
    pub(super) said: Option<Said>,
    /// How long it took.
    pub(super) took: Duration,
    /// How many the endpoint gets at a time.
    pub(super) concurrency: u16,
    /// It asks to be left alone.
    pub(super) rest: Option<Rest>,
}

/// For how long an endpoint wants to be left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Until then, if it says so.
    pub(super) until: Option<UnixMillis>,
}

#[cfg(test)]
mod tests;
