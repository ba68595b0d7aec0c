//! Taking down what ended tokens had: their children, their leases, what they kept in `cubbyhole/`, and their own entries.
//!
//! A token that has ended is marked first, in a commit of its own ([`Row::end`]); nothing is made below a marked token or given to it, because making and giving
//! read its entry. Only a step that finds the mark looks what there is: so it sees all there will ever be. Each step takes down a few and asks to be called again. What it takes
//! down carries its own mark before the entry that led to it goes, so at no moment does something stand that nobody will come for.

use super::TokenId;
use super::row::{Ending, Row};
use crate::answer::{Answer, Outcome};
use crate::call::Cx;
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use crate::{lease, pages};

/// What one step takes down.
const BATCH: u32 = 32;

/// The token of an entry `token/id/HASH`.
fn id_of(name: &EntryName) -> Option<TokenId> {
    let hash = name.as_str().strip_prefix("token/id/")?;
    Some(TokenId(hash.to_owned()))
}

/// A token whose time has come: it is marked, or taken down a bit further.
///
/// # Errors
/// As [`Work::read`].
pub(crate) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let done = Ok(Answer::nothing().into());
    let Some(id) = id_of(name) else {
        return done;
    };
    let Some(mut row) = Row::read(&id, work, cx)? else {
        return done;
    };
    match row.ended {
        None if row.has_expired(cx.now) => {
            row.end(Ending::Tree, cx.now);
            row.write(&id, work)?;
        }
        Some(ended) if ended.at <= cx.now => take_down(&id, &row, ended.what, work, cx)?,
        // It was renewed, or its last use is still under way.
        None | Some(_) => {}
    }
    done
}

fn take_down(
    id: &TokenId,
    row: &Row,
    what: Ending,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let more = children(id, what, work, cx)? || leases(id, work, cx)? || kept(id, work)?;
    if more {
        // Written as it is, due now: the next step goes on.
        return row.write(id, work);
    }
    work.delete(&Row::name(id));
    work.delete(&Row::accessor_name(&row.accessor));
    if let Some(parent) = &row.parent {
        work.delete(&Row::child_name(parent, id));
    }
    Ok(())
}

/// Ends some children, or makes them orphans. Whether there were any.
fn children(id: &TokenId, what: Ending, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<bool, Stop> {
    let prefix = format!("token/child/{}/", id.0);
    let links = pages::first(&prefix, BATCH, work)?;
    let child = |link: &EntryName| link.as_str().strip_prefix(&prefix).map(str::to_owned);
    let ids: Vec<TokenId> = links.iter().filter_map(child).map(TokenId).collect();
    work.expect(&ids.iter().map(Row::name).collect::<Vec<_>>())?;
    for child_id in &ids {
        if let Some(mut child) = Row::read(child_id, work, cx)? {
            match what {
                Ending::Alone => child.parent = None,
                Ending::Tree => child.end(Ending::Tree, cx.now),
            }
            child.write(child_id, work)?;
        }
    }
    for link in links {
        work.delete(link);
    }
    Ok(!links.is_empty())
}

/// Ends some leases. Whether there were any.
fn leases(id: &TokenId, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<bool, Stop> {
    let links = pages::first(&lease::links_of(id), BATCH, work)?;
    for link in links {
        lease::end_of_token(id, link, work, cx)?;
    }
    Ok(!links.is_empty())
}

/// Deletes some of what it kept for itself. Whether there was any.
fn kept(id: &TokenId, work: &mut Work<'_>) -> Result<bool, Stop> {
    let names = pages::first(&format!("cubbyhole/{}/", id.0), BATCH, work)?;
    for name in names {
        work.delete(name);
    }
    Ok(!names.is_empty())
}

#[cfg(test)]
mod tests;
