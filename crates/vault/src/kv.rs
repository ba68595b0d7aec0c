//! Key-value secrets, version 2: every writing is a version, which can be deleted, brought back and destroyed.

use crate::VaultError;
use crate::answer::Outcome;
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(_call: &Call, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}
