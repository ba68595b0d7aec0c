//! What is left of a mount that was taken away. Its path leads nowhere from the commit that takes it away. The tokens that an auth method made end, and what was given by an
//! engine is taken back, because that needs its entries; then these are deleted. Each step does some of it and asks to be called again. Until all is gone nothing can be
//! mounted at its path.

use crate::call::Cx;
use crate::entry::{EntryName, Listing};
use crate::error::VaultError;
use crate::lease;
use crate::mounts::Mount;
use crate::token::TokenId;
use crate::token::row::{Ending, Row};
use crate::work::{Stop, Work};
use countersign_base::Duration;
use serde::{Deserialize, Serialize};

/// Entries deleted by one step.
const BATCH: u32 = 500;
/// Tokens looked at by one step.
const TOKENS_BATCH: u32 = 100;
/// Mounts that are being taken away at once.
const REMOVALS_MAX: u32 = 100;
/// How long leases are waited for before they are looked at again.
const WAIT: Duration = Duration::from_secs(5);

const PREFIX: &str = "core/removed/";
const TOKENS: &str = "token/id/";

/// The entry `core/removed/UUID`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    /// Where it stood: `database/`.
    path: String,
    stage: Stage,
}

/// What is being taken away.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// The tokens it made: all tokens are looked at, as far as those after this name.
    Tokens(Option<String>),
    /// Its leases, and then its entries.
    Rest,
}

/// Begins with it.
pub(super) fn begin(
    path: &str,
    mount: &Mount,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    if under_way(work)?.len() >= usize::try_from(REMOVALS_MAX).unwrap_or_default() {
        return Err(
            VaultError::invalid("too many mounts are being taken away: try again later").into(),
        );
    }
    lease::revoke_prefix(path, work, cx)?;
    let removed = Removed {
        path: path.to_owned(),
        stage: if mount.engine.is_auth() {
            Stage::Tokens(None)
        } else {
            Stage::Rest
        },
    };
    let name = EntryName::stored(&format!("{PREFIX}{}", mount.uuid));
    work.put_until(&name, &removed, Some(cx.now))
}

fn under_way<'l>(work: &Work<'l>) -> Result<&'l [EntryName], Stop> {
    work.names(&Listing {
        prefix: PREFIX.to_owned(),
        after: None,
        limit: REMOVALS_MAX,
    })
}

/// Refuses a path at which something is still being taken away: leases are named by paths, and those of the old mount are revoked there.
pub(super) fn free(path: &str, work: &mut Work<'_>) -> Result<(), Stop> {
    let names = under_way(work)?;
    work.expect(names)?;
    for name in names {
        let Some(removed) = work.read::<Removed>(name)? else {
            continue;
        };
        if removed.path.starts_with(path) || path.starts_with(&removed.path) {
            return Err(VaultError::invalid(
                "what stood at this path is still being taken away: try again later",
            )
            .into());
        }
    }
    Ok(())
}

/// Goes on with it.
pub(super) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let Some(mut removed) = work.read::<Removed>(name)? else {
        return Ok(());
    };
    match removed.stage {
        Stage::Tokens(after) => {
            removed.stage = end_tokens(&removed.path, after, work, cx)?;
            work.put_until(name, &removed, Some(cx.now))
        }
        Stage::Rest => take_down(name, &removed, work, cx),
    }
}

/// Ends some of the tokens that an auth method made, with all below them.
fn end_tokens(
    path: &str,
    after: Option<String>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Stage, Stop> {
    let found = work.names(&Listing {
        prefix: TOKENS.to_owned(),
        after: after.as_deref().map(EntryName::stored),
        limit: TOKENS_BATCH,
    })?;
    work.expect(found)?;
    for name in found {
        let Some(hash) = name.as_str().strip_prefix(TOKENS) else {
            continue;
        };
        let id = TokenId(hash.to_owned());
        let Some(mut row) = Row::read(&id, work, cx)? else {
            continue;
        };
        if row.path.starts_with(path) && row.ended.is_none() {
            row.end(Ending::Tree, cx.now);
            row.write(&id, work)?;
        }
    }
    let full = found.len() >= usize::try_from(TOKENS_BATCH).unwrap_or(usize::MAX);
    Ok(match found.last() {
        Some(last) if full => Stage::Tokens(Some(last.as_str().to_owned())),
        _ => Stage::Rest,
    })
}

fn take_down(
    name: &EntryName,
    removed: &Removed,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let uuid = name.as_str().strip_prefix(PREFIX);
    let uuid = uuid.ok_or(VaultError::Corrupt)?;
    if lease::any_below(&removed.path, work)? {
        // Once more, for those that were given while the path was being shut.
        lease::revoke_prefix(&removed.path, work, cx)?;
        return work.put_until(name, removed, Some(cx.now.plus(WAIT)));
    }
    let entries = work.names(&Listing {
        prefix: format!("mount/{uuid}/"),
        after: None,
        limit: BATCH,
    })?;
    for entry in entries {
        work.delete(entry);
    }
    if entries.is_empty() {
        work.delete(name);
        Ok(())
    } else {
        work.put_until(name, removed, Some(cx.now))
    }
}
