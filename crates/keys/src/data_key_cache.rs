//! Opened data keys, kept for a while: bounded in age, uses and bytes, and forgotten at once when a person is erased.
//!
//! A key is found by tenant, place and name together, so that nobody gets the key of another place by a name (docs/formats/envelope.md; AWS's rule is the same). Every
//! message has a key of its own below a data key, so using one for many messages costs no security; the bounds limit what a stolen process image holds, and for how
//! long an erased key lives on.
//!
//! A loader takes a [`LoadTicket`] before it reads the stored row. When something was cleared since, what it loaded is not kept: else a load that began before an
//! erasure would bring the key back after it.
//!
//! Not here: locks, loading, and telling other nodes to clear.

use crate::envelope::{Aad, KeyId};
use crate::hierarchy::DataKey;
use countersign_base::{Duration, Tenant, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The bounds of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// How long a key is kept.
    pub age_max: Duration,
    /// For how many messages.
    pub uses_max: u64,
    /// For how many bytes of plaintext.
    pub bytes_max: u64,
    /// How many keys; the one that was loaded first goes first.
    pub entries_max: usize,
}

impl Default for CacheLimits {
    /// A minute, a million messages, 64 GiB, ten thousand keys.
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(60),
            uses_max: 1_000_000,
            bytes_max: 64 * 1024 * 1024 * 1024,
            entries_max: 10_000,
        }
    }
}

/// What finds a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    tenant: Tenant,
    place: Vec<u8>,
    key: KeyId,
}

impl CacheKey {
    /// The key of that name, in the place of its own row.
    #[must_use]
    pub fn new(tenant: &Tenant, place: &Aad, key: KeyId) -> Self {
        Self {
            tenant: tenant.clone(),
            place: place.as_bytes().to_vec(),
            key,
        }
    }
}

/// Whose data a key seals, in the bytes by which the caller names people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheSubject(Vec<u8>);

impl CacheSubject {
    /// Takes the caller's name of a person.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        Self(name.to_vec())
    }
}

/// Says since when a loader has been at work.
#[derive(Debug)]
#[must_use]
pub struct LoadTicket {
    clearings: u64,
}

/// What became of a key that was loaded.
#[derive(Debug)]
#[must_use]
pub enum Kept {
    /// It is kept, and this use of it is counted.
    Kept(Arc<DataKey>),
    /// Something was cleared since the loader began: the row is to be read again. The key that was loaded is wiped.
    Stale,
}

#[derive(Debug)]
struct Entry {
    key: Arc<DataKey>,
    subject: Option<CacheSubject>,
    loaded_at: UnixTime,
    order: u64,
    uses: u64,
    bytes: u64,
}

/// Opened data keys of one process.
#[derive(Debug)]
pub struct DataKeyCache {
    limits: CacheLimits,
    entries: BTreeMap<CacheKey, Entry>,
    /// In the order in which they were loaded.
    by_order: BTreeMap<u64, CacheKey>,
    by_subject: BTreeMap<(Tenant, CacheSubject), BTreeSet<CacheKey>>,
    loaded: u64,
    clearings: u64,
}

impl DataKeyCache {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            by_order: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            loaded: 0,
            clearings: 0,
        }
    }

    /// The key, for one message of `bytes`; none when it is not there, too old, or spent. Nothing that is found once too often is kept.
    #[must_use]
    pub fn take(&mut self, key: &CacheKey, bytes: u64, now: UnixTime) -> Option<Arc<DataKey>> {
        let limits = self.limits;
        let entry = self.entries.get_mut(key)?;
        if !is_young(entry.loaded_at, limits.age_max, now) || !entry.count(bytes, &limits) {
            self.remove(key);
            return None;
        }
        Some(Arc::clone(&entry.key))
    }

    /// To be taken before the stored row is read.
    pub const fn ticket(&self) -> LoadTicket {
        LoadTicket {
            clearings: self.clearings,
        }
    }

    /// Keeps a key that was loaded for one message of `bytes`.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is for one load")]
    pub fn keep(
        &mut self,
        ticket: LoadTicket,
        key: CacheKey,
        subject: Option<CacheSubject>,
        data_key: DataKey,
        bytes: u64,
        now: UnixTime,
    ) -> Kept {
        if ticket.clearings != self.clearings {
            return Kept::Stale;
        }
        self.remove(&key);
        self.make_room(now);
        let order = self.loaded;
        self.loaded = self.loaded.saturating_add(1);
        if let Some(subject) = &subject {
            self.by_subject
                .entry((key.tenant.clone(), subject.clone()))
                .or_default()
                .insert(key.clone());
        }
        let kept = Arc::new(data_key);
        let entry = Entry {
            key: Arc::clone(&kept),
            subject,
            loaded_at: now,
            order,
            uses: 1,
            bytes,
        };
        self.by_order.insert(order, key.clone());
        self.entries.insert(key, entry);
        Kept::Kept(kept)
    }

    /// Forgets all keys of one person, and makes loads under way stale. Returns how many keys were there.
    pub fn clear_subject(&mut self, tenant: &Tenant, subject: &CacheSubject) -> usize {
        self.clearings = self.clearings.wrapping_add(1);
        let keys = self
            .by_subject
            .remove(&(tenant.clone(), subject.clone()))
            .unwrap_or_default();
        keys.iter().for_each(|key| self.remove(key));
        keys.len()
    }

    /// Forgets all keys, and makes loads under way stale. Returns how many were there.
    pub fn clear_all(&mut self) -> usize {
        self.clearings = self.clearings.wrapping_add(1);
        self.by_order.clear();
        self.by_subject.clear();
        std::mem::take(&mut self.entries).len()
    }

    /// Forgets what is too old, so that keys nobody asks for any more go as well.
    pub fn expire(&mut self, now: UnixTime) {
        let age_max = self.limits.age_max;
        let old: Vec<CacheKey> = self
            .entries
            .iter()
            .filter(|(_, entry)| !is_young(entry.loaded_at, age_max, now))
            .map(|(key, _)| key.clone())
            .collect();
        old.iter().for_each(|key| self.remove(key));
    }

    /// How many keys are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self, now: UnixTime) {
        let first = |cache: &Self| cache.by_order.first_key_value().map(|(_, key)| key.clone());
        while let Some(key) = first(self) {
            let young = self
                .entries
                .get(&key)
                .is_some_and(|entry| is_young(entry.loaded_at, self.limits.age_max, now));
            if young && self.entries.len() < self.limits.entries_max {
                return;
            }
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &CacheKey) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        self.by_order.remove(&entry.order);
        if let Some(subject) = entry.subject {
            let person = (key.tenant.clone(), subject);
            if let Some(keys) = self.by_subject.get_mut(&person) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_subject.remove(&person);
                }
            }
        }
    }
}

impl Entry {
    /// Counts one message, if it is within the bounds.
    fn count(&mut self, bytes: u64, limits: &CacheLimits) -> bool {
        let uses = self.uses.saturating_add(1);
        let total = self.bytes.saturating_add(bytes);
        let within = uses <= limits.uses_max && total <= limits.bytes_max;
        if within {
            (self.uses, self.bytes) = (uses, total);
        }
        within
    }
}

/// A clock that was set back makes nothing younger.
fn is_young(loaded_at: UnixTime, age_max: Duration, now: UnixTime) -> bool {
    now >= loaded_at && now.since(loaded_at) < age_max
}

#[cfg(test)]
mod tests;
