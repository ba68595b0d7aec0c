//! One step over entries: what it reads has been loaded or is asked for, what it writes is committed with what it read, or not at all.

use crate::VaultError;
use crate::answer::Effect;
use crate::entry::{Change, Entry, EntryName, Listing, Revision, VALUE_BYTES_MAX};
use countersign_base::{Secret, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the shell has loaded for a step so far.
#[derive(Default)]
pub struct Loaded {
    entries: BTreeMap<EntryName, Option<Entry>>,
    listings: BTreeMap<Listing, Vec<EntryName>>,
    documents: BTreeMap<String, Result<String, Unreachable>>,
    hand: Option<Arc<dyn AtHand>>,
}

/// Entries that a step need not stop for: the shell has them in memory. They may change while a step runs; it goes by what it met first.
pub trait AtHand: Send + Sync {
    /// What stands under a name, or that nothing does; no answer where it would have to be loaded.
    fn find(&self, name: &EntryName) -> Option<Option<Entry>>;
}

/// A document that cannot be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable;

impl Loaded {
    /// Nothing yet but what is at hand.
    #[must_use]
    pub fn beside(hand: Arc<dyn AtHand>) -> Self {
        Self {
            hand: Some(hand),
            ..Self::default()
        }
    }

    fn found(&self, name: &EntryName) -> Option<Option<Entry>> {
        match self.entries.get(name) {
            Some(found) => Some(found.clone()),
            None => self.hand.as_ref()?.find(name),
        }
    }

    /// Takes what stands under a name, or that nothing does.
    pub fn entry(&mut self, name: EntryName, entry: Option<Entry>) {
        self.entries.insert(name, entry);
    }

    /// Takes the answer to a listing.
    pub fn listing(&mut self, listing: Listing, names: Vec<EntryName>) {
        self.listings.insert(listing, names);
    }

    /// Takes what an address answered.
    pub fn document(&mut self, url: String, document: Result<String, Unreachable>) {
        self.documents.insert(url, document);
    }
}

/// What a step cannot go on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// What an HTTPS address answers: the keys of an issuer.
    Document(String),
    /// What stands under these names.
    Entries(Vec<EntryName>),
    /// Names.
    Names(Listing),
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// Something has to be loaded first; then it runs again.
    Need(Need),
    /// It is refused. Nothing of it is committed.
    Refused(VaultError),
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Self {
        Self::Refused(error)
    }
}

/// What a step read and what it writes, to be committed together.
pub struct Commit {
    /// Every name that was read, with the revision that stood there.
    pub read: Vec<(EntryName, Option<Revision>)>,
    /// Every name that is written.
    pub changes: BTreeMap<EntryName, Change>,
}

/// A step under way. What it wrote it reads.
pub struct Work<'l> {
    loaded: &'l Loaded,
    /// What was read, as it was met first.
    read: BTreeMap<EntryName, Option<Entry>>,
    changes: BTreeMap<EntryName, Change>,
}

impl<'l> Work<'l> {
    /// A step that begins.
    #[must_use]
    pub const fn new(loaded: &'l Loaded) -> Self {
        Self {
            loaded,
            read: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// What stands under a name.
    ///
    /// # Errors
    /// [`Stop::Need`] when it is not loaded; [`VaultError::Corrupt`] when it is not a `T`.
    pub fn read<T: DeserializeOwned>(&mut self, name: &EntryName) -> Result<Option<T>, Stop> {
        let met;
        let bytes = match self.changes.get(name) {
            Some(Change::Delete) => return Ok(None),
            Some(Change::Put { value, .. }) => value.expose(),
            None => {
                met = self.met(name)?;
                match &met {
                    None => return Ok(None),
                    Some(entry) => entry.value().expose(),
                }
            }
        };
        let value = serde_json::from_slice(bytes).map_err(|_| VaultError::Corrupt)?;
        Ok(Some(value))
    }

    /// What stands under a name, for what many steps read and none keeps secret: it is parsed once as long as the entry is at hand.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub(crate) fn shared<T>(&mut self, name: &EntryName) -> Result<Option<Arc<T>>, Stop>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        if self.changes.contains_key(name) {
            return Ok(self.read(name)?.map(Arc::new));
        }
        let met = self.met(name)?;
        Ok(met.map(|entry| entry.parsed()).transpose()?)
    }

    /// What stands under a name that this step has not written.
    fn met(&mut self, name: &EntryName) -> Result<Option<Entry>, Stop> {
        if let Some(met) = self.read.get(name) {
            return Ok(met.clone());
        }
        let Some(found) = self.loaded.found(name) else {
            return Err(Stop::Need(Need::Entries(vec![name.clone()])));
        };
        self.read.insert(name.clone(), found.clone());
        Ok(found)
    }

    /// Asks for several names at once, so that what is missing is loaded in one go.
    ///
    /// # Errors
    /// [`Stop::Need`] with all that are not loaded.
    pub fn expect(&self, names: &[EntryName]) -> Result<(), Stop> {
        let absent = |name: &&EntryName| {
            !self.changes.contains_key(*name)
                && !self.read.contains_key(*name)
                && self.loaded.found(name).is_none()
        };
        let missing: Vec<_> = names.iter().filter(absent).cloned().collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Stop::Need(Need::Entries(missing)))
        }
    }

    /// The names below a prefix, in order, as they stood before this step.
    ///
    /// # Errors
    /// [`Stop::Need`] when they are not loaded.
    pub fn names(&self, listing: &Listing) -> Result<&'l [EntryName], Stop> {
        match self.loaded.listings.get(listing) {
            Some(names) => Ok(names),
            None => Err(Stop::Need(Need::Names(listing.clone()))),
        }
    }

    /// What an HTTPS address answers.
    ///
    /// # Errors
    /// [`Stop::Need`] when it was not asked yet.
    pub fn document(&self, url: &str) -> Result<Result<&'l str, Unreachable>, Stop> {
        match self.loaded.documents.get(url) {
            Some(answer) => Ok(answer.as_deref().map_err(|error| *error)),
            None => Err(Stop::Need(Need::Document(url.to_owned()))),
        }
    }

    /// Writes an entry that needs no looking at.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`] when the value is longer than entries may be.
    pub fn put<T: Serialize>(&mut self, name: &EntryName, value: &T) -> Result<(), Stop> {
        self.put_until(name, value, None)
    }

    /// Writes an entry that is to be looked at again at `due`.
    ///
    /// # Errors
    /// As [`Work::put`].
    pub fn put_until<T: Serialize>(
        &mut self,
        name: &EntryName,
        value: &T,
        due: Option<UnixTime>,
    ) -> Result<(), Stop> {
        let value = serde_json::to_vec(value).map_err(|_| VaultError::Corrupt)?;
        let value = Secret::new(value);
        if value.expose().len() > VALUE_BYTES_MAX {
            return Err(VaultError::TooLarge.into());
        }
        self.changes
            .insert(name.clone(), Change::Put { value, due });
        Ok(())
    }

    /// Deletes an entry, if there is one.
    pub fn delete(&mut self, name: &EntryName) {
        self.changes.insert(name.clone(), Change::Delete);
    }

    /// Ends the step.
    #[must_use]
    pub fn finish(self) -> Commit {
        let revision = |entry: Entry| entry.revision;
        Commit {
            read: self
                .read
                .into_iter()
                .map(|(name, met)| (name, met.map(revision)))
                .collect(),
            changes: self.changes,
        }
    }
}

/// What came of an effect, for the step that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectResult {
    /// It happened, and this is the tenant's data key.
    DataKey(DataKeyStatus),
    /// It happened.
    Done,
    /// It did not happen, or nobody knows whether it did; the text is for the log.
    Failed(String),
}

/// What is known of the key that seals a tenant's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeyStatus {
    /// The how-manieth it is.
    pub term: u64,
    /// When it was made.
    pub created: UnixTime,
    /// Entries that it may have sealed: they are counted in blocks, before.
    pub encryptions: u64,
}

/// An effect that is to be carried out, and what follows it.
pub struct Then {
    /// What happens outside.
    pub effect: Effect,
    /// Which step follows ([`crate::engine::resume`]).
    pub next: crate::engine::Next,
}

#[cfg(test)]
mod tests;
