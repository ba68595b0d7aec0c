//! `auth/approle/`: machines that sign in with a role id and a secret id.

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
