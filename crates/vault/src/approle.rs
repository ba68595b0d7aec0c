//! `auth/approle/`: machines that sign in with a role id and a secret id.
//!
//! ```text
//! role/NAME                         the role
//! role-id/HASH                      the name of the role of that id
//! secret-id/GENERATION/HASH         a secret id, kept under its keyed hash
//! accessor/GENERATION/ACCESSOR      the hash that an accessor stands for
//! ```
//!
//! Secret ids and accessors stand below the generation of their role, which is drawn when it is made: an accessor of one role is unknown at every other
//! (CVE-2023-24999), and a role that is made anew has none of the old ones.

mod login;
mod role;
mod secret_id;

use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use crate::{VaultError, named};

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let segments = call.segments();
    let writes = call.operation.writes();
    match segments.as_slice() {
        ["login"] if writes => login::run(call, work, cx),
        ["role"] if call.operation == Operation::List => named::list(call, "role", work),
        ["tidy", "secret-id"] if writes => Ok(Answer::nothing()
            .warning("secret ids are deleted when they end")
            .into()),
        ["role", name] => role::run(call, name, work, cx),
        ["role", name, "role-id"] => role::id(call, name, work, cx),
        ["role", name, rest @ ..] => secret_id::run(call, name, rest, work, cx),
        ["login"] | ["role"] | ["tidy", "secret-id"] => Err(VaultError::Unsupported.into()),
        _ => Err(VaultError::NotFound.into()),
    }
}

/// A secret id whose time has come.
///
/// # Errors
/// As [`Work::read`].
pub fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    secret_id::due(name, work, cx)
}

#[cfg(test)]
mod tests;
