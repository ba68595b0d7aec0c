//! What would be an error nearly everywhere. `cargo xtask tidy` holds the list of callers.

use crate::Unspent;

/// Opens a credential whose one-time values the caller has just spent: the replay memory, or the store inside the transaction that
/// inserted them.
pub fn spent<T>(unspent: Unspent<T>) -> T {
    unspent.value
}
