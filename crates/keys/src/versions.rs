//! The versions of one key: the newest seals, every version from the minimum on opens.

use crate::envelope::{EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, Sealer};
use crate::rewrap::RewrapEnded;
use countersign_crypto::random::Random;
use std::collections::BTreeMap;

/// One version of a key.
pub(crate) trait Version {
    /// What seals and opens.
    fn envelope_key(&self) -> &EnvelopeKey;

    /// Whether both are versions of one key.
    fn is_of_one_key(&self, other: &Self) -> bool;

    /// A version that follows this one.
    fn successor(&self, version: KeyVersion, random: &Random) -> Self;
}

/// Versions of one key. There is always at least one.
#[derive(Debug)]
pub(crate) struct Versions<V> {
    /// All but the one that seals: older ones, and for a moment a newer one that others have to know before it seals.
    older: BTreeMap<KeyVersion, V>,
    current: V,
    minimum: KeyVersion,
}

impl<V: Version> Versions<V> {
    /// A key with one version.
    pub(crate) const fn first(current: V) -> Self {
        Self {
            older: BTreeMap::new(),
            current,
            minimum: KeyVersion(1),
        }
    }

    pub(crate) fn new(versions: Vec<V>, minimum: KeyVersion) -> Result<Self, KeySetError> {
        let count = versions.len();
        let mut older: BTreeMap<_, _> = versions
            .into_iter()
            .map(|version| (version.envelope_key().version(), version))
            .collect();
        if older.len() != count {
            return Err(KeySetError::VersionTwice);
        }
        let (newest, current) = older.pop_last().ok_or(KeySetError::Empty)?;
        if !older.values().all(|older| older.is_of_one_key(&current)) {
            return Err(KeySetError::AnotherKey);
        }
        if newest < minimum {
            return Err(KeySetError::MinimumAboveCurrent);
        }
        Ok(Self {
            older,
            current,
            minimum,
        })
    }

    pub(crate) fn rotate(mut self, random: &Random) -> Result<Self, KeySetError> {
        let present = self.current.envelope_key().version();
        let next = present.0.checked_add(1).ok_or(KeySetError::VersionsSpent)?;
        let successor = self.current.successor(KeyVersion(next), random);
        let previous = std::mem::replace(&mut self.current, successor);
        self.older.insert(present, previous);
        Ok(self)
    }

    pub(crate) fn raise_minimum(self, ended: &RewrapEnded) -> Result<Self, KeySetError> {
        if ended.key() != self.id() {
            return Err(KeySetError::AnotherKey);
        }
        if ended.target() > self.current.envelope_key().version() {
            return Err(KeySetError::MinimumAboveCurrent);
        }
        Ok(Self {
            minimum: self.minimum.max(ended.target()),
            ..self
        })
    }

    pub(crate) fn sealing_by(mut self, version: KeyVersion) -> Result<Self, KeySetError> {
        let present = self.current.envelope_key().version();
        if version == present {
            return Ok(self);
        }
        if version < self.minimum {
            return Err(KeySetError::MinimumAboveCurrent);
        }
        let chosen = self
            .older
            .remove(&version)
            .ok_or(KeySetError::VersionMissing)?;
        let replaced = std::mem::replace(&mut self.current, chosen);
        self.older.insert(present, replaced);
        Ok(self)
    }

    pub(crate) const fn current(&self) -> &V {
        &self.current
    }

    pub(crate) const fn minimum(&self) -> KeyVersion {
        self.minimum
    }

    fn id(&self) -> KeyId {
        self.current.envelope_key().id()
    }
}

impl<V: Version> Sealer for Versions<V> {
    fn envelope_key(&self) -> &EnvelopeKey {
        self.current.envelope_key()
    }
}

impl<V: Version> KeyLookup for Versions<V> {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        if id != self.id() {
            return Err(OpenError::KeyUnknown { id, version });
        }
        if version < self.minimum {
            return Err(OpenError::KeyVersionTooOld { id, version });
        }
        let current = self.current.envelope_key();
        if version == current.version() {
            return Ok(current);
        }
        self.older
            .get(&version)
            .map(Version::envelope_key)
            .ok_or(OpenError::KeyUnknown { id, version })
    }
}

/// Why versions do not make a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// They are not versions of one key.
    #[error("the keys are not versions of one key")]
    AnotherKey,
    /// There is none.
    #[error("there is no version of the key")]
    Empty,
    /// The minimum version is above the newest one.
    #[error("the minimum version of the key is above the newest one; rotate first")]
    MinimumAboveCurrent,
    /// The number of versions is spent.
    #[error("the key has no version left")]
    VersionsSpent,
    /// The version that is to seal is not there.
    #[error("the version of the key that is to seal is not stored")]
    VersionMissing,
    /// One version is there twice.
    #[error("one version of the key is stored twice")]
    VersionTwice,
}
