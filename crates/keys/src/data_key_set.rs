//! The versions of a data key that is rotated: a tenant's, which seals without end. A person's key has one version; it goes by erasure.
//!
//! A version is rotated before it has sealed too much ([`crate::seal_count`]); what the older ones sealed is rewrapped ([`crate::rewrap`]), and then the minimum rises.

use crate::envelope::{EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, Sealer};
use crate::hierarchy::DataKey;
use crate::rewrap::RewrapEnded;
use crate::versions::{KeySetError, Version, Versions};
use countersign_crypto::random::Random;

/// Versions of one data key. There is always at least one.
#[derive(Debug)]
pub struct DataKeySet(Versions<DataKey>);

impl DataKeySet {
    /// The first version of a new key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(Versions::first(DataKey::generate(random)))
    }

    /// The set of the versions that were stored. Versions below `minimum` may be among them; they open nothing.
    ///
    /// # Errors
    /// When there is none, the newest is below `minimum`, two have the same version, or they are not versions of one key.
    pub fn new(versions: Vec<DataKey>, minimum: KeyVersion) -> Result<Self, KeySetError> {
        Versions::new(versions, minimum).map(Self)
    }

    /// A set with one version more, which seals from now on. The caller stores [`DataKeySet::current`], wrapped, before it uses the set.
    ///
    /// # Errors
    /// When the last possible version is reached.
    pub fn rotate(self, random: &Random) -> Result<Self, KeySetError> {
        self.0.rotate(random).map(Self)
    }

    /// The same set, opening nothing below the version that a rewrap has left as the lowest. The caller stores the minimum before it uses the set.
    ///
    /// # Errors
    /// When another key was rewrapped, or the version is above the current one. A lower minimum than the present one changes nothing.
    pub fn raise_minimum(self, ended: &RewrapEnded) -> Result<Self, KeySetError> {
        self.0.raise_minimum(ended).map(Self)
    }

    /// The version that seals.
    #[must_use]
    pub const fn current(&self) -> &DataKey {
        self.0.current()
    }

    /// The lowest version that opens.
    #[must_use]
    pub const fn minimum(&self) -> KeyVersion {
        self.0.minimum()
    }
}

impl Version for DataKey {
    fn envelope_key(&self) -> &EnvelopeKey {
        Sealer::envelope_key(self)
    }

    fn is_of_one_key(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    fn successor(&self, version: KeyVersion, random: &Random) -> Self {
        Self::of(EnvelopeKey::new(self.id(), version, random.secret()))
    }
}

impl Sealer for DataKeySet {
    fn envelope_key(&self) -> &EnvelopeKey {
        self.0.envelope_key()
    }
}

impl KeyLookup for DataKeySet {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        self.0.find(id, version)
    }
}

#[cfg(test)]
mod tests;
