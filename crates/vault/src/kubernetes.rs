//! `auth/kubernetes/`: workloads that sign in with the token of their service account, which is a JWT.

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
