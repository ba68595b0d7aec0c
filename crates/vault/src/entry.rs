//! What the vault keeps: entries under names, each with the revision that tells one writing from the next.

use countersign_base::{Secret, UnixTime};
use std::fmt;
use std::sync::Arc;

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

/// An entry as the shell loaded it, opened.
pub struct Entry {
    /// Which writing it is.
    pub revision: Revision,
    /// The value; JSON, as [`crate::work::Work::put`] writes it.
    pub value: Secret<Vec<u8>>,
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
