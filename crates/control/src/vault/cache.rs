//! Opened entries at hand, where this process alone writes the database: what is read over and over (a token, the mounts, a secret) is neither read nor opened anew.
//!
//! An entry that is being written is not at hand, from before its commit until after it, and nothing that was read meanwhile is taken in: a reader never meets an
//! older writing than the one that was answered. Values are wiped when they leave.

use countersign_base::Tenant;
use countersign_vault::EntryName;
use countersign_vault::entry::Entry;
use countersign_vault::work::AtHand;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts that are locked each for itself.
const SHARDS: usize = 16;
/// Entries of one part; past it all of them are let go.
const ENTRIES_MAX: usize = 4_096;
/// Bytes of a value that is kept.
const VALUE_BYTES_MAX: usize = 16 * 1024;

type Key = (Tenant, EntryName);
/// What stands under a name, or that nothing does.
type Kept = Option<Entry>;

/// What is at hand.
pub(super) struct Cache {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    kept: HashMap<Key, Kept>,
    /// Commits under way in this part.
    writing: usize,
    /// Commits that began.
    begun: u64,
}

/// When a reading began: what it brings is taken in if nothing was written since.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

/// What is at hand of one tenant.
pub(super) struct Hand {
    pub(super) cache: Arc<Cache>,
    pub(super) tenant: Tenant,
}

impl AtHand for Hand {
    fn find(&self, name: &EntryName) -> Option<Option<Entry>> {
        self.cache.find(&self.tenant, name).ok()
    }
}

/// A commit under way. Its entries come back to hand when this is dropped, by being read.
pub(super) struct Writing<'c> {
    cache: &'c Cache,
    shards: Vec<usize>,
}

impl Default for Cache {
    fn default() -> Self {
        let shard = |_| Mutex::default();
        Self {
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(shard).collect(),
        }
    }
}

impl Cache {
    /// The entry, if it is at hand; else since when it is being read.
    pub(super) fn find(&self, tenant: &Tenant, name: &EntryName) -> Result<Option<Entry>, Since> {
        let key = (tenant.clone(), name.clone());
        let shard = self.shard(self.place(&key));
        match shard.kept.get(&key) {
            None => Err(Since(shard.begun)),
            Some(kept) => Ok(kept.clone()),
        }
    }

    /// Takes in what was read, if nothing was written since.
    pub(super) fn keep(
        &self,
        tenant: &Tenant,
        name: &EntryName,
        since: Since,
        entry: Option<&Entry>,
    ) {
        if entry.is_some_and(|entry| entry.value().expose().len() > VALUE_BYTES_MAX) {
            return;
        }
        let key = (tenant.clone(), name.clone());
        let mut shard = self.shard(self.place(&key));
        if shard.writing > 0 || shard.begun != since.0 {
            return;
        }
        if shard.kept.len() >= ENTRIES_MAX {
            shard.kept.clear();
        }
        shard.kept.insert(key, entry.cloned());
    }

    /// Lets go of entries that are about to be written.
    pub(super) fn write(&self, tenant: &Tenant, names: &[EntryName]) -> Writing<'_> {
        let mut shards = Vec::with_capacity(names.len());
        for name in names {
            let key = (tenant.clone(), name.clone());
            let place = self.place(&key);
            let mut shard = self.shard(place);
            shard.kept.remove(&key);
            shard.begun = shard.begun.wrapping_add(1);
            shard.writing += 1;
            shards.push(place);
        }
        Writing {
            cache: self,
            shards,
        }
    }

    fn place(&self, key: &Key) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % SHARDS as u64).unwrap_or_default()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a place is the remainder of the number of shards"
    )]
    fn shard(&self, place: usize) -> MutexGuard<'_, Shard> {
        self.shards[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for place in &self.shards {
            let mut shard = self.cache.shard(*place);
            shard.writing = shard.writing.saturating_sub(1);
            shard.begun = shard.begun.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_base::Secret;
    use countersign_vault::Revision;

    fn entry(revision: i64) -> Entry {
        Entry::new(Revision(revision), Secret::new(vec![1]))
    }

    fn seen(cache: &Cache, name: &EntryName) -> Option<Option<i64>> {
        let found = cache.find(&Tenant::default_tenant(), name).ok()?;
        Some(found.map(|entry| entry.revision.0))
    }

    #[test]
    fn what_was_read_before_a_writing_began_is_not_taken_in_after_it() {
        let (cache, tenant) = (Cache::default(), Tenant::default_tenant());
        let name = EntryName::of(&["a"]);
        let since = cache.find(&tenant, &name).err().unwrap();
        let writing = cache.write(&tenant, std::slice::from_ref(&name));
        cache.keep(&tenant, &name, since, Some(&entry(1)));
        assert_eq!(seen(&cache, &name), None);
        let during = cache.find(&tenant, &name).err().unwrap();
        cache.keep(&tenant, &name, during, Some(&entry(1)));
        assert_eq!(seen(&cache, &name), None);
        drop(writing);
        cache.keep(&tenant, &name, since, Some(&entry(1)));
        cache.keep(&tenant, &name, during, Some(&entry(1)));
        assert_eq!(seen(&cache, &name), None);
        let after = cache.find(&tenant, &name).err().unwrap();
        cache.keep(&tenant, &name, after, Some(&entry(2)));
        assert_eq!(seen(&cache, &name), Some(Some(2)));
    }

    #[test]
    fn a_writing_takes_its_entry_from_hand_at_once_and_absence_is_kept_too() {
        let (cache, tenant) = (Cache::default(), Tenant::default_tenant());
        let name = EntryName::of(&["a"]);
        let since = cache.find(&tenant, &name).err().unwrap();
        cache.keep(&tenant, &name, since, None);
        assert_eq!(seen(&cache, &name), Some(None));
        let _writing = cache.write(&tenant, std::slice::from_ref(&name));
        assert_eq!(seen(&cache, &name), None);
    }
}
