//! The background rewrap after a rotation, as a resumable machine: what is sealed by older versions is opened and sealed again, page by page.
//!
//! It walks all tables that one key seals, in the order of their rows' keys, and walks them again until one whole walk found nothing to do: a row that was written
//! behind the cursor by a process that did not know the new version yet is found by the next walk. Its end is evidence, and only with it a minimum version rises
//! ([`crate::KekSet::raise_minimum`]).
//!
//! Not here: reading and writing rows. The caller writes replacements by compare-and-set on the old bytes, in one transaction with the machine's new state, so
//! that a stop at any instant repeats at most one page. It raises the minimum after every process uses the new version.

use crate::envelope::{self, Aad, KeyId, KeyLookup, KeyVersion, OpenError, Sealed, Sealer};
use countersign_crypto::base64url;
use countersign_crypto::random::Random;
use serde::{Deserialize, Serialize};

/// A table that is walked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewrapTable {
    /// Its name.
    pub name: String,
    /// How many rows it had at the start, for the progress that is shown.
    pub rows: u64,
}

/// The key of a row, by which its table is ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Takes the bytes of a row's key.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = base64url::NotBase64Url;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        base64url::decode(&text).map(Self)
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        base64url::encode(&cursor.0)
    }
}

/// A rewrap under way. It is stored between pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Rewrap {
    key: KeyId,
    target: KeyVersion,
    /// Walked before, in this walk; the first of `ahead` is under way.
    behind: Vec<RewrapTable>,
    ahead: Vec<RewrapTable>,
    cursor: Option<Cursor>,
    walk: u32,
    found: Found,
    rewrapped: u64,
}

/// What this walk found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    rows: u64,
    below: u64,
    unreadable: u64,
}

/// A row as it was read.
#[derive(Debug)]
pub struct RewrapRow {
    /// Its key.
    pub cursor: Cursor,
    /// Where its plaintext belongs.
    pub aad: Aad,
    /// What is stored.
    pub sealed: Sealed,
}

/// A row to write, if its bytes are still the old ones.
#[derive(Debug)]
pub struct Replacement {
    /// Its key.
    pub cursor: Cursor,
    /// What was read.
    pub old: Sealed,
    /// What to write.
    pub new: Sealed,
}

/// What is to be done about a page of rows.
#[derive(Debug)]
#[must_use]
pub struct RewrapPage {
    /// To write. A row that changed meanwhile is left as it is; the next walk looks at it again.
    pub replacements: Vec<Replacement>,
    /// What does not open, for the log. It keeps the rewrap from ending.
    pub unreadable: Vec<(Cursor, OpenError)>,
    rows: u64,
    last: Option<Cursor>,
}

/// Whether more rows follow a page in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// Rows follow.
    More,
    /// The table ends here.
    TableEnds,
}

/// What follows a page.
#[derive(Debug)]
#[must_use]
pub enum RewrapStep {
    /// A whole walk found nothing to do but rows that do not open. An operator has to look at them; going on walks again.
    Blocked(Rewrap),
    /// A whole walk found nothing below the target.
    Ended(RewrapEnded),
    /// Another page.
    More(Rewrap),
}

/// Evidence that nothing is left that a version below the target sealed.
#[derive(Debug)]
#[must_use]
pub struct RewrapEnded {
    key: KeyId,
    target: KeyVersion,
    rewrapped: u64,
}

impl RewrapEnded {
    /// Whose versions were rewrapped.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// The lowest version that is left.
    #[must_use]
    pub const fn target(&self) -> KeyVersion {
        self.target
    }

    /// How many ciphertexts were sealed again.
    #[must_use]
    pub const fn rewrapped(&self) -> u64 {
        self.rewrapped
    }
}

/// How far a rewrap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RewrapProgress {
    /// Which walk, from 1. All after the first look for what was missed.
    pub walk: u32,
    /// Rows looked at in this walk.
    pub done: u64,
    /// Rows there were at the start.
    pub total: u64,
    /// Ciphertexts sealed again, in all walks.
    pub rewrapped: u64,
    /// Rows of this walk that do not open.
    pub unreadable: u64,
}

impl Rewrap {
    /// A first walk over `tables`: every table in which `key` seals something, or the end proves nothing.
    pub const fn start(key: KeyId, target: KeyVersion, tables: Vec<RewrapTable>) -> Self {
        Self {
            key,
            target,
            behind: Vec::new(),
            ahead: tables,
            cursor: None,
            walk: 1,
            found: Found {
                rows: 0,
                below: 0,
                unreadable: 0,
            },
            rewrapped: 0,
        }
    }

    /// Where the next page is: its table, and the key of the row that it follows. None when there are no tables.
    #[must_use]
    pub fn position(&self) -> Option<(&str, Option<&Cursor>)> {
        let table = self.ahead.first()?;
        Some((table.name.as_str(), self.cursor.as_ref()))
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> RewrapProgress {
        let tables = self.behind.iter().chain(&self.ahead);
        RewrapProgress {
            walk: self.walk,
            done: self.found.rows,
            total: tables.map(|table| table.rows).sum(),
            rewrapped: self.rewrapped,
            unreadable: self.found.unreadable,
        }
    }

    /// Seals what is below the target again.
    pub fn page<K: KeyLookup + Sealer>(
        &self,
        rows: Vec<RewrapRow>,
        keys: &K,
        random: &Random,
    ) -> RewrapPage {
        let mut page = RewrapPage {
            replacements: Vec::new(),
            unreadable: Vec::new(),
            rows: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            last: rows.last().map(|row| row.cursor.clone()),
        };
        for row in rows {
            match self.rewrapped(&row, keys, random) {
                Err(error) => page.unreadable.push((row.cursor, error)),
                Ok(None) => {}
                Ok(Some(new)) => page.replacements.push(Replacement {
                    cursor: row.cursor,
                    old: row.sealed,
                    new,
                }),
            }
        }
        page
    }

    /// The ciphertext under the present version, or none when it need not change.
    fn rewrapped<K: KeyLookup + Sealer>(
        &self,
        row: &RewrapRow,
        keys: &K,
        random: &Random,
    ) -> Result<Option<Sealed>, OpenError> {
        let (id, version) = row.sealed.key()?;
        if id != self.key {
            return Err(OpenError::KeyUnknown { id, version });
        }
        if version >= self.target {
            return Ok(None);
        }
        let new = envelope::rewrap(keys, &row.aad, &row.sealed, random)?;
        // Keys that do not seal by the target yet would make the walk endless.
        let (id, version) = new.key()?;
        if version < self.target {
            return Err(OpenError::KeyVersionTooOld { id, version });
        }
        Ok(Some(new))
    }

    /// Goes on after a page whose replacements were written: `written` of them, the rest had changed meanwhile.
    pub fn advance(mut self, page: &RewrapPage, written: u64, end: PageEnd) -> RewrapStep {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        self.found.rows = self.found.rows.saturating_add(page.rows);
        // A replacement that was not written is below the target still, so the walk was no clean one either way.
        let below = count(page.replacements.len());
        self.found.below = self.found.below.saturating_add(below);
        let unreadable = count(page.unreadable.len());
        self.found.unreadable = self.found.unreadable.saturating_add(unreadable);
        self.rewrapped = self.rewrapped.saturating_add(written.min(below));
        match end {
            PageEnd::More => {
                self.cursor = page.last.clone().or(self.cursor);
                RewrapStep::More(self)
            }
            PageEnd::TableEnds => self.next_table(),
        }
    }

    fn next_table(mut self) -> RewrapStep {
        self.cursor = None;
        if !self.ahead.is_empty() {
            self.behind.push(self.ahead.remove(0));
        }
        if !self.ahead.is_empty() {
            return RewrapStep::More(self);
        }
        match self.found {
            Found {
                below: 0,
                unreadable: 0,
                ..
            } => RewrapStep::Ended(RewrapEnded {
                key: self.key,
                target: self.target,
                rewrapped: self.rewrapped,
            }),
            Found { below: 0, .. } => RewrapStep::Blocked(self.again()),
            Found { .. } => RewrapStep::More(self.again()),
        }
    }

    fn again(self) -> Self {
        Self {
            ahead: self.behind,
            behind: Vec::new(),
            walk: self.walk.saturating_add(1),
            found: Found::default(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
