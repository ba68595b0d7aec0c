//! Leases: what was given for a time, and is taken back when the time or the token it was given to ends.
//!
//! A lease is an entry `lease/ID` with a time at which it is looked at again; `token/leases/TOKEN/...` leads from a token to its leases. Ids are the path that gave it
//! and random letters (`database/creds/app/Xy...`), so that a prefix names a part of the tree.
//!
//! Taking back is bounded and can be taken up where it stopped: each step takes back a few and asks to be called again.

use crate::answer::{LeaseGiven, Outcome};
use crate::call::{Call, Cx};
use crate::token::TokenId;
use crate::work::{EffectResult, Stop, Work};
use crate::{EntryName, VaultError};
use countersign_base::Duration;
use serde::{Deserialize, Serialize};

/// What is given.
#[derive(Debug, Clone)]
pub struct NewLease {
    /// The path that gives it: `database/creds/app`.
    pub path: String,
    /// To whom.
    pub token: TokenId,
    /// For how long.
    pub ttl: Duration,
    /// The longest that renewing may stretch it, from now.
    pub max_ttl: Duration,
    /// Whether it may be renewed.
    pub renewable: bool,
    /// How it is renewed and taken back.
    pub held: HeldThing,
}

/// What a lease is about, with all that taking it back needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum HeldThing {
    /// A role of a database.
    DatabaseRole {
        /// The uuid of the mount.
        mount: String,
        /// The connection's name.
        connection: String,
        /// The role it was made by.
        role: String,
        /// The user's name in the database.
        username: String,
    },
}

/// Gives a lease. The token's entry is read: a lease is never given to a token that has just ended.
///
/// # Errors
/// When the token has ended.
pub fn give(_new: NewLease, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<LeaseGiven, Stop> {
    Err(VaultError::Unsupported.into())
}

/// What `sys/leases/` does; [`Call::rest`] begins with `leases/`.
///
/// # Errors
/// As the operation says.
pub fn run(_call: &Call, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}

/// A lease whose time has come.
///
/// # Errors
/// As [`Work::read`].
pub fn due(_name: &EntryName, _work: &mut Work<'_>, _cx: &Cx<'_>) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}

/// What follows once something was taken back outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The lease.
    pub lease: EntryName,
}

/// Goes on after an effect.
///
/// # Errors
/// As [`Work::read`].
pub fn resume(
    _next: &Next,
    _result: &EffectResult,
    _work: &mut Work<'_>,
    _cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    Err(VaultError::Unsupported.into())
}
