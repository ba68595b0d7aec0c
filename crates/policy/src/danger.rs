//! What would be an error nearly everywhere. `cargo xtask tidy` holds the list of callers.

use crate::Permitted;

/// Takes the target out of its permit. Only the recorder does so, once the decision is recorded: forwarding and minting ask for a recorded
/// permit, and that is the one place to get its target from.
pub fn into_target<T>(permitted: Permitted<T>) -> T {
    permitted.into_target()
}
