//! Keys made of a whole foreign set, again whenever another set came: of the partners that write to us and of those who send us webhooks.
//!
//! A key that is no longer in the set is no longer there after the refresh that saw it go. Who misses a key asks for a newer set, which is fetched at most once in a while
//! ([`countersign_authn::jwks`]), whoever asks and however often; only so many wait for it, so that nobody who makes names of keys up holds anything but those places.
//!
//! Not here: fetching, and how long a set is kept.

use super::{ForeignKeys, ForeignSet, KeysOf};
use arc_swap::ArcSwapOption;
use countersign_authn::jwks::Wanted;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many may wait for one set at once. One more is answered by what is there.
const WAITING_MAX: usize = 64;

type Make<K> = dyn Fn(&[u8]) -> Option<K> + Send + Sync;

/// The keys of somebody whose set is fetched, in the form that their reader needs.
pub struct FollowedKeys<K> {
    foreign: ForeignKeys,
    of: KeysOf,
    make: Box<Make<K>>,
    last: ArcSwapOption<Made<K>>,
    waiting: Semaphore,
}

struct Made<K> {
    digest: [u8; 32],
    /// Nothing where the set holds nothing that its reader can use.
    keys: Option<Arc<K>>,
}

impl<K> FollowedKeys<K> {
    /// The keys of `of`, as `make` reads them out of the text of a set; nothing, where that is of no use to the reader.
    pub fn new(
        foreign: ForeignKeys,
        of: KeysOf,
        make: impl Fn(&[u8]) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        Self {
            foreign,
            of,
            make: Box::new(make),
            last: ArcSwapOption::empty(),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// The keys of the set that is kept, and of the first one, if it has to be fetched. Nothing where there are none.
    pub async fn current(&self) -> Option<Arc<K>> {
        match self.foreign.kept(&self.of) {
            Some(set) => self.read(&set),
            None => self.look(Wanted::Current).await,
        }
    }

    /// The keys of another set than `than` was made of: one that came meanwhile, or one that is fetched now. Nothing where there is no other.
    pub async fn newer(&self, than: &Arc<K>) -> Option<Arc<K>> {
        let other = |keys: &Arc<K>| !Arc::ptr_eq(keys, than);
        let kept = self.foreign.kept(&self.of).and_then(|set| self.read(&set));
        match kept.filter(other) {
            Some(keys) => Some(keys),
            None => self.look(Wanted::Newer).await.filter(other),
        }
    }

    async fn look(&self, wanted: Wanted) -> Option<Arc<K>> {
        let _place = self.waiting.try_acquire().ok()?;
        let set = self.foreign.whole(&self.of, wanted).await?;
        self.read(&set)
    }

    fn read(&self, set: &ForeignSet) -> Option<Arc<K>> {
        let last = self.last.load();
        if let Some(made) = last.as_ref().filter(|made| made.digest == set.digest) {
            return made.keys.clone();
        }
        let keys = (self.make)(&set.bytes).map(Arc::new);
        if keys.is_none() {
            tracing::warn!(event = "jwks_of_no_use", of = self.of.name());
        }
        self.last.store(Some(Arc::new(Made {
            digest: set.digest,
            keys: keys.clone(),
        })));
        keys
    }
}

#[cfg(test)]
mod tests;
