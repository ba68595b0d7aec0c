//! Evidence whose one-time values are not spent yet.

use crate::replay::ReplayEntry;

/// A checked credential that may have been used before: its `jti` or proof is not yet marked as spent.
///
/// It has no `Clone`, no `Debug` and no way to its content but a replay memory ([`crate::replay::ReplayMemory::spend`]) or the store's
/// transaction, both of which call [`crate::danger::spent`].
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

    /// Two credentials of one request as one, so that they are spent together.
    pub fn and<U>(mut self, other: Unspent<U>) -> Unspent<(T, U)> {
        self.entries.extend(other.entries);
        Unspent {
            value: (self.value, other.value),
            entries: self.entries,
        }
    }
}
