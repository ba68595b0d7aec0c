//! The database engine: roles of PostgreSQL that are made for one lease, and passwords that are changed on time.
//!
//! Nothing is made in a database before an entry says that it is about to be: the lease is committed first, then the statements run, then the answer leaves. When the
//! statements fail, or nobody knows whether they ran, the lease ends at once, and takes back what may be there.
//!
//! ```text
//! mount/UUID/config/NAME        how a database is reached, with its password        connection
//! mount/UUID/role/NAME          what makes users for leases                         role, revocation
//! mount/UUID/static-role/NAME   a user that stays, with its password                static_role, rotation
//! ```
//!
//! Values get into statements in [`statement`] alone. Not here: connections; the shell carries out [`crate::answer::SqlEffect`].

mod connection;
mod generated;
mod password;
mod revocation;
mod role;
mod rotation;
mod statement;
mod static_role;

use crate::answer::{Answer, Effect, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::lease::HeldThing;
use crate::work::{EffectResult, Stop, Work};
use crate::{EntryName, VaultError, named};
use connection::{Candidate, Connection};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::{Random, scram};
pub use password::Password;
use role::Created;
use rotation::Rotated;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// When a rotation that cannot even begin is looked at again.
const RESTED: Duration = Duration::from_secs(3_600);

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let segments = call.segments();
    match (segments.as_slice(), call.operation) {
        (["config"], Operation::List) => named::list(call, "config", work),
        (["config", name], _) => connection::run(call, name, work),
        (["roles"], Operation::List) => named::list(call, "role", work),
        (["roles", name], _) => role::run(call, name, work),
        (["creds", name], Operation::Read) => role::credentials(call, name, work, cx),
        (["static-roles"], Operation::List) => named::list(call, "static-role", work),
        (["static-roles", name], _) => static_role::run(call, name, work, cx),
        (["static-creds", name], Operation::Read) => static_role::credentials(call, name, work, cx),
        (["rotate-role", name], Operation::Create | Operation::Update) => {
            static_role::rotate(call, name, work, cx)
        }
        (["rotate-root", name], Operation::Create | Operation::Update) => {
            let entry = Connection::entry(&call.mount.uuid, named::checked(name)?);
            rotation::of_root(&entry, work, cx)
        }
        (["reset", name], Operation::Create | Operation::Update) => {
            // Each list of statements has a connection of its own: none stays open that could be closed.
            Connection::of(&call.mount.uuid, named::checked(name)?, work)?;
            Ok(Answer::nothing().into())
        }
        (
            ["config" | "roles" | "static-roles"]
            | [
                "creds" | "static-creds" | "rotate-role" | "rotate-root" | "reset",
                _,
            ],
            _,
        ) => Err(VaultError::Unsupported.into()),
        _ => Err(VaultError::NotFound.into()),
    }
}

/// What follows an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A connection was tried before it is stored.
    Connected(Box<Candidate>),
    /// A user was to be made.
    Created(Box<Created>),
    /// The password of a connection's own user was to be set.
    RootRotated(Rotated),
    /// The password of a static role was to be set.
    StaticRotated(Rotated),
}

/// Goes on after an effect.
///
/// # Errors
/// As the operation says.
pub fn resume(
    next: &Next,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match next {
        Next::Connected(candidate) => connection::connected(candidate, result, work),
        Next::Created(created) => role::created(created, result, work, cx),
        Next::RootRotated(rotated) => rotated.root(result, work, cx),
        Next::StaticRotated(rotated) => rotated.fixed(result, work, cx),
    }
}

/// A password whose time has come, or whose rotation did not end.
///
/// # Errors
/// As [`Work::read`].
pub fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let segments: Vec<&str> = name.as_str().split('/').collect();
    let begun = match segments.as_slice() {
        ["mount", _, "config", _] => match work.read::<Connection>(name)? {
            Some(connection) if connection.pending.is_some() => rotation::of_root(name, work, cx),
            Some(connection) => {
                work.put(name, &connection)?;
                Ok(Answer::nothing().into())
            }
            None => Ok(Answer::nothing().into()),
        },
        ["mount", uuid, "static-role", _] => static_role::due(name, uuid, work, cx),
        _ => Err(VaultError::Corrupt.into()),
    };
    match begun {
        // It cannot even begin: its statements or its connection were changed so. It rests, instead of being asked for ever.
        Err(Stop::Refused(VaultError::Invalid(_))) => {
            let entry: Option<serde_json::Value> = work.read(name)?;
            if let Some(entry) = entry {
                work.put_until(name, &entry, Some(cx.now.plus(RESTED)))?;
            }
            Ok(Answer::nothing().into())
        }
        begun => begun,
    }
}

/// What takes back what a lease gave. It may run although the thing was never made, and more than once.
///
/// # Errors
/// When the connection is gone: the user may still be there, and nobody can reach it.
pub fn take_back(
    held: &HeldThing,
    _lease: &EntryName,
    work: &mut Work<'_>,
    _cx: &Cx<'_>,
) -> Result<Option<Effect>, Stop> {
    role::take_back(held, work).map(Some)
}

/// What makes the thing of a lease last until `until`.
///
/// # Errors
/// When the connection is gone.
pub fn renew(
    held: &HeldThing,
    until: UnixTime,
    work: &mut Work<'_>,
    _cx: &Cx<'_>,
) -> Result<Option<Effect>, Stop> {
    role::renew(held, until, work).map(Some)
}

/// How a password is handed to the database (`password_authentication`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Authentication {
    /// As it is; the database hashes it.
    Password,
    /// As a verifier of SCRAM-SHA-256, so that neither the connection nor the database's log sees it.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
}

impl Authentication {
    fn from_name(name: &str) -> Result<Self, VaultError> {
        match name {
            "" | "password" => Ok(Self::Password),
            "scram-sha-256" => Ok(Self::ScramSha256),
            _ => Err(VaultError::invalid(
                "`password_authentication` must be `password` or `scram-sha-256`",
            )),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ScramSha256 => "scram-sha-256",
        }
    }

    /// What stands in the statement.
    fn written(self, password: &Password, random: &Random) -> Result<Secret<String>, VaultError> {
        match self {
            Self::Password => Ok(Secret::new(password.secret().expose().clone())),
            Self::ScramSha256 => scram::verifier(password.secret(), random)
                .map_err(|error| VaultError::invalid(error.to_string())),
        }
    }
}

/// A refusal that is committed with what the step wrote: the database did not do what it was asked.
fn outside(text: &str) -> Answer {
    Answer::bare(502, json!({ "errors": [text] }))
}

#[cfg(test)]
mod tests;
