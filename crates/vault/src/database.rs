//! The database engine: roles of PostgreSQL that are made for one lease, and passwords that are changed on time.
//!
//! Nothing is made in a database before an entry says that it is about to be: the lease is committed first, then the statements run, then the answer leaves. When the
//! statements fail, or nobody knows whether they ran, the lease takes back what may be there.

use crate::answer::Outcome;
use crate::call::{Call, Cx};
use crate::work::{EffectResult, Stop, Work};
use crate::{EntryName, VaultError};

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(_call: &Call, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}

/// What follows an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {}

/// Goes on after an effect.
///
/// # Errors
/// As the operation says.
pub fn resume(
    next: &Next,
    _result: &EffectResult,
    _work: &mut Work<'_>,
    _cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match *next {}
}

/// A password whose time has come.
///
/// # Errors
/// As [`Work::read`].
pub fn due(_name: &EntryName, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}
