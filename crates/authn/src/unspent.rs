//! Evidence whose one-time values are not spent yet.

use crate::replay::ReplayEntry;

/// A checked credential that may have been used before: its `jti` or proof is not yet marked as spent.
///
/// It has no `Clone`, no `Debug` and no way to its content but a replay memory ([`crate::replay::ReplayMemory::spend`]) or the store's
/// transaction, both of which call [`crate::danger::spent`]; and [`Unspent::without_entries`], where there is nothing to spend.
#[must_use = "an unspent credential proves nothing until its one-time values are spent"]
pub struct Unspent<T> {
    pub(crate) value: T,
    entries: Vec<ReplayEntry>,
}

impl<T> Unspent<T> {
    pub(crate) const fn new(value: T, entries: Vec<ReplayEntry>) -> Self {
        Self { value, entries }
    }

    /// The one-time values that must be spent first; none for a credential without any.
    #[must_use]
    pub fn entries(&self) -> &[ReplayEntry] {
        &self.entries
    }

    /// The credential, if it has no one-time values: then nothing is left to be spent. One that has some comes back as it was.
    ///
    /// # Errors
    /// The credential itself, while one-time values are to be spent for it.
    pub fn without_entries(self) -> Result<T, Self> {
        if self.entries.is_empty() {
            Ok(self.value)
        } else {
            Err(self)
        }
    }

    /// Two credentials of one request as one, so that they are spent together.
    pub fn and<U>(mut self, other: Unspent<U>) -> Unspent<(T, U)> {
        self.entries.extend(other.entries);
        Unspent {
            value: (self.value, other.value),
            entries: self.entries,
        }
    }
}
