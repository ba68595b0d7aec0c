//! Whose turn it is: which destinations are served next, in the order of their names and around again, while others are still under way.
//!
//! Not here: how anything is delivered.

use super::LEASE;
use crate::fabric::Fabric;
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_store::{Delivery, Destination, Lease, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Destinations that are under way at once.
const AT_ONCE: usize = 64;
/// Of these, destinations of one tenant.
const OF_TENANT_AT_ONCE: usize = 32;
/// Deliveries that are taken for one destination at once.
const BATCH: u16 = 4;
/// Destinations that one look goes through.
const LOOK: u16 = 256;
/// How long one round takes more.
const TAKES_FOR: Duration = Duration::from_secs(20);

/// What was taken for one destination.
pub(super) struct Batch {
    pub(super) destination: Destination,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) lease: Lease,
}

/// How a destination's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It takes what is delivered.
    Answering,
    /// It did not take something: it has no other turn in this round.
    Failing,
}

/// One round: until nothing is due that is not under way.
pub(super) struct Round<'f> {
    fabric: &'f Fabric,
    busy: BTreeSet<Destination>,
    failing: BTreeSet<Destination>,
    after: Option<Destination>,
    taken: usize,
    until: UnixTime,
}

impl<'f> Round<'f> {
    pub(super) fn new(fabric: &'f Fabric) -> Self {
        Self {
            fabric,
            busy: BTreeSet::new(),
            failing: BTreeSet::new(),
            after: None,
            taken: 0,
            until: fabric.now().plus(TAKES_FOR),
        }
    }

    /// How many rows were taken.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// A batch is settled.
    pub(super) fn ended(&mut self, destination: Destination, ended: Ended) {
        self.busy.remove(&destination);
        match ended {
            Ended::Answering => {}
            Ended::Failing => _ = self.failing.insert(destination),
        }
    }

    /// Batches for as many destinations as have room: none if nothing is due, going once around.
    pub(super) async fn take(&mut self) -> Result<Vec<Batch>, StoreError> {
        let mut from_the_start = self.after.is_none();
        while self.busy.len() < AT_ONCE && self.fabric.now() < self.until {
            let now = self.fabric.now();
            let store = self.fabric.store();
            let (due, next) = store
                .due_destinations(self.after.clone(), LOOK, now)
                .await?;
            let (chosen, cut) = self.choose(due);
            self.after = if cut.is_some() { cut } else { next };
            let batches = self.claim(chosen, now).await?;
            if !batches.is_empty() {
                return Ok(batches);
            }
            if self.after.is_none() {
                if from_the_start {
                    break;
                }
                from_the_start = true;
            }
        }
        Ok(Vec::new())
    }

    /// Those that may have their turn now, and the last of them if there was no room for all.
    fn choose(&mut self, due: Vec<Destination>) -> (Vec<Destination>, Option<Destination>) {
        let mut chosen: Vec<Destination> = Vec::new();
        for destination in due {
            if self.busy.len() >= AT_ONCE {
                let last = chosen.last().cloned();
                return (chosen, last);
            }
            let may = !self.failing.contains(&destination)
                && self.of_tenant(&destination.tenant) < OF_TENANT_AT_ONCE;
            if may && self.busy.insert(destination.clone()) {
                chosen.push(destination);
            }
        }
        (chosen, None)
    }

    fn of_tenant(&self, tenant: &Tenant) -> usize {
        let of_it = |busy: &&Destination| busy.tenant == *tenant;
        self.busy.iter().filter(of_it).count()
    }

    async fn claim(
        &mut self,
        chosen: Vec<Destination>,
        now: UnixTime,
    ) -> Result<Vec<Batch>, StoreError> {
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let lease = Lease {
            token: self.fabric.random().bytes(),
            until: now.plus(LEASE),
        };
        let claimed = self
            .fabric
            .store()
            .claim_deliveries(chosen.clone(), lease, BATCH, now);
        let claimed = match claimed.await {
            Ok(claimed) => claimed,
            Err(error) => {
                chosen.iter().for_each(|name| _ = self.busy.remove(name));
                return Err(error);
            }
        };
        self.taken += claimed.len();
        let mut of_each: BTreeMap<Destination, Vec<Delivery>> = chosen
            .into_iter()
            .map(|destination| (destination, Vec::new()))
            .collect();
        for delivery in claimed {
            of_each.entry(delivery.place()).or_default().push(delivery);
        }
        // What another node has taken meanwhile is its own.
        let (empty, full): (BTreeMap<_, _>, BTreeMap<_, _>) = of_each
            .into_iter()
            .partition(|(_, deliveries)| deliveries.is_empty());
        empty.keys().for_each(|name| _ = self.busy.remove(name));
        let batch = |(destination, deliveries)| Batch {
            destination,
            deliveries,
            lease,
        };
        Ok(full.into_iter().map(batch).collect())
    }
}
