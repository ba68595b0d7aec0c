//! Leases: what was given for a time, and is taken back when the time or the token it was given to ends.
//!
//! A lease is an entry `lease/ID` with a time at which it is looked at again; `token/leases/TOKEN/ID` leads from a token to its leases. Ids are the path that gave it
//! and random letters (`database/creds/app/Xy...`), so that a prefix names a part of the tree. Those that could not be taken back for long are counted by
//! `lease-irrevocable/ID`.
//!
//! Taking back is bounded and can be taken up where it stopped ([`end`], [`sweep`]). A lease is deleted only once what it is about is gone, or somebody says to forget it.

mod api;
mod end;
mod row;
pub(crate) mod sweep;

use crate::answer::{LeaseGiven, Outcome};
use crate::call::{Call, Cx};
use crate::entry::Listing;
use crate::mounts::Mounts;
use crate::path::RequestPath;
use crate::token::TokenId;
use crate::token::row as token_row;
use crate::token::span::Span;
use crate::work::{EffectResult, Stop, Work};
use crate::{EntryName, VaultError};
use countersign_base::Duration;
use countersign_crypto::base64url;
use row::{Failing, Row};
use serde::{Deserialize, Serialize};

/// What is given.
#[derive(Debug, Clone)]
pub struct NewLease {
    /// The path that gives it: `database/creds/app`.
    pub path: String,
    /// To whom.
    pub token: TokenId,
    /// For how long; zero is the mount's default.
    pub ttl: Duration,
    /// The longest that renewing may stretch it, from now; zero is the mount's maximum, which bounds it in any case.
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

/// Gives a lease. The token's entry is read: a lease is never given to a token that has ended, and the commit fails if it ends meanwhile. The same holds for the mount.
///
/// # Errors
/// When the token has ended, or nothing is mounted at the path any more.
pub fn give(new: NewLease, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<LeaseGiven, Stop> {
    if token_row::standing(&new.token, work, cx)?.is_none() {
        let text = "a token that has ended, or whose last use this is, is given no lease";
        return Err(VaultError::invalid(text).into());
    }
    let path = RequestPath::parse(&new.path)?;
    Mounts::read(work)?.route(&path)?;
    let random = base64url::encode(&cx.random.bytes::<18>());
    let id = format!("{}/{random}", new.path.trim_end_matches('/'));
    let name = Row::name(&id).ok_or(VaultError::TooLarge)?;
    let span = api::span(&new.path, new.ttl, new.max_ttl, work, cx)?;
    let row = Row {
        tenant: cx.tenant.clone(),
        path: new.path,
        token: new.token,
        span,
        renewable: new.renewable,
        settled: false,
        held: new.held,
        ended: None,
    };
    row.write(&name, work)?;
    work.put(&Row::link(&row.token, &id), &())?;
    Ok(LeaseGiven {
        id,
        lasts: row.span.left(cx.now),
        renewable: row.renewable,
    })
}

/// Says that what a lease is about was made, or that nothing more will come of the try to make it. As long as nobody says so, taking it back within
/// [`row::TRY_SECONDS`] of its beginning is done once more after them: the statements that make it might still be under way.
///
/// # Errors
/// As [`Work::read`].
pub fn settle(id: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let Some(name) = Row::name(id) else {
        return Ok(());
    };
    if let Some(mut row) = Row::read(&name, work, cx)? {
        // Where it ended meanwhile, it stays unsettled: a try to take it back may have come before what it was to take back.
        if row.ended.is_none() {
            row.settled = true;
            row.write(&name, work)?;
        }
    }
    Ok(())
}

/// Ends a lease: it is taken back by the next step that looks at it. One that is not there is left alone.
///
/// # Errors
/// As [`Work::read`].
pub fn revoke(id: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let Some(name) = Row::name(id) else {
        return Ok(());
    };
    if let Some(mut row) = Row::read(&name, work, cx)? {
        row.end(Failing::Kept, cx.now);
        row.write(&name, work)?;
    }
    Ok(())
}

/// Ends all leases whose ids begin with a path; the first of them by this step, the others by those that follow it.
///
/// # Errors
/// As [`Work::read`].
pub fn revoke_prefix(prefix: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let prefix = format!("{}/", prefix.trim_end_matches('/'));
    sweep::begin(&prefix, sweep::Task::Revoke(Failing::Kept), work, cx)
}

/// Whether there is any lease below a path, one that is being taken back included: as long as there is, what taking it back needs has to stay.
///
/// # Errors
/// As [`Work::names`].
pub fn any_below(prefix: &str, work: &Work<'_>) -> Result<bool, Stop> {
    let names = work.names(&Listing {
        prefix: format!("lease/{}/", prefix.trim_end_matches('/')),
        after: None,
        limit: 1,
    })?;
    Ok(!names.is_empty())
}

/// What the entries begin with that lead from a token to its leases.
pub(crate) fn links_of(token: &TokenId) -> String {
    format!("token/leases/{}/", token.0)
}

/// Ends a lease because its token ended, and takes away the entry that led to it.
pub(crate) fn end_of_token(
    token: &TokenId,
    link: &EntryName,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let prefix = links_of(token);
    if let Some(id) = link.as_str().strip_prefix(&prefix) {
        revoke(id, work, cx)?;
    }
    work.delete(link);
    Ok(())
}

/// What `sys/leases/` does; [`Call::rest`] begins with `leases/`.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    api::run(call, work, cx)
}

/// A lease whose time has come.
///
/// # Errors
/// As [`Work::read`].
pub fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    end::due(name, work, cx)
}

/// Who waits for a lease to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// It is taken back in the background.
    Nobody,
    /// A caller, who is told what came of it.
    Waits,
}

/// What follows once something was done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It was to be stretched.
    Renewed {
        /// The lease.
        lease: EntryName,
        /// How long it lasted before.
        before: Span,
        /// How long it is to last.
        after: Span,
    },
    /// It was to be taken back.
    TakenBack {
        /// The lease.
        lease: EntryName,
        /// Who waits for it.
        asker: Asker,
    },
}

/// Goes on after an effect.
///
/// # Errors
/// As [`Work::read`].
pub fn resume(
    next: &Next,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match next {
        Next::Renewed {
            lease,
            before,
            after,
        } => api::after_renewal(lease, (before, after), result, work, cx),
        Next::TakenBack { lease, asker } => end::taken_back(lease, *asker, result, work, cx),
    }
}

#[cfg(test)]
pub(crate) mod tests;
