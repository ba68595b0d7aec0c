//! What the vault keeps: entries under names, each with the revision that tells one writing from the next.

use crate::error::VaultError;
use countersign_base::{Secret, UnixTime};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Bytes of one name.
pub const NAME_BYTES_MAX: usize = 1024;
/// Bytes of one value, before it is sealed.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// The name of an entry within its tenant: a path of segments that are joined with `/`. Names are not secret; they order and list entries.
///
/// A name is made by the program of parts that were checked before ([`crate::path`]); what a caller sent is never a name as it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Arc<str>);

impl EntryName {
    /// The name that these parts make.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(parts.join("/").into())
    }

    /// A name as it was stored.
    #[must_use]
    pub fn stored(name: &str) -> Self {
        Self(name.into())
    }

    /// The name of an entry below this one.
    #[must_use]
    pub fn below(&self, part: &str) -> Self {
        Self::of(&[&self.0, part])
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryName({})", self.0)
    }
}

/// The number of an entry's writing, from 1. Two writings of a name never have the same, also when it was deleted in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub i64);

/// An entry as the shell loaded it, opened. Its copies share the value, which is wiped with the last of them.
#[derive(Clone)]
pub struct Entry {
    /// Which writing it is.
    pub revision: Revision,
    opened: Arc<Opened>,
}

struct Opened {
    value: Secret<Vec<u8>>,
    /// What [`Entry::parsed`] made of the value when it was first asked.
    parsed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Entry {
    /// Takes a value: JSON, as [`crate::work::Work::put`] writes it.
    #[must_use]
    pub fn new(revision: Revision, value: Secret<Vec<u8>>) -> Self {
        let parsed = OnceLock::new();
        Self {
            revision,
            opened: Arc::new(Opened { value, parsed }),
        }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Secret<Vec<u8>> {
        &self.opened.value
    }

    /// The value as a `T`, parsed once for all copies of the entry. What was parsed is not wiped: no secret is asked for so.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] when it is none.
    pub(crate) fn parsed<T>(&self) -> Result<Arc<T>, VaultError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let known = self.opened.parsed.get().cloned();
        if let Some(Ok(known)) = known.map(Arc::downcast) {
            return Ok(known);
        }
        let bytes = self.value().expose();
        let parsed: T = serde_json::from_slice(bytes).map_err(|_| VaultError::Corrupt)?;
        let parsed = Arc::new(parsed);
        // Whoever was first is kept; both are the same.
        let _first = self.opened.parsed.set(Arc::clone(&parsed) as _);
        Ok(parsed)
    }
}

/// What is to become of a name.
pub enum Change {
    /// It goes.
    Delete,
    /// It is written.
    Put {
        /// The value.
        value: Secret<Vec<u8>>,
        /// When the entry wants to be looked at again ([`crate::engine::due`]): the end of a lease, the rotation of a password.
        due: Option<UnixTime>,
    },
}

/// A question for the names below a prefix, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listing {
    /// What the names begin with; it ends with `/`.
    pub prefix: String,
    /// Only names that come after this one.
    pub after: Option<EntryName>,
    /// The most that are told.
    pub limit: u32,
}
