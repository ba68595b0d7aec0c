//! Work on many leases: revoking what a prefix names, and tidying. A sweep is an entry that remembers how far it came; each step does a bounded part.

use super::row::{Failing, Row};
use crate::answer::{Answer, Outcome};
use crate::call::Cx;
use crate::entry::{EntryName, Listing};
use crate::token::row as token_row;
use crate::work::{Stop, Work};
use countersign_crypto::base64url;
use serde::{Deserialize, Serialize};

/// Leases that one step looks at.
const BATCH: u32 = 64;

/// What is done to each lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Task {
    /// It is taken back.
    Revoke(Failing),
    /// It is taken back if the token is gone that it was given to.
    Tidy,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sweep {
    /// `lease/database/creds/`.
    prefix: String,
    task: Task,
    after: Option<String>,
}

/// Begins a sweep over the leases whose ids begin with `prefix`, which ends with a slash or is empty. The first part is done by this step.
pub(super) fn begin(
    prefix: &str,
    task: Task,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let name = EntryName::of(&["lease-sweep", &base64url::encode(&cx.random.bytes::<16>())]);
    let sweep = Sweep {
        prefix: format!("lease/{prefix}"),
        task,
        after: None,
    };
    go_on(&name, sweep, work, cx)
}

/// A sweep whose next part is due.
pub(crate) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    if let Some(sweep) = work.read::<Sweep>(name)? {
        go_on(name, sweep, work, cx)?;
    }
    Ok(Answer::nothing().into())
}

fn go_on(name: &EntryName, mut sweep: Sweep, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let found = work.names(&Listing {
        prefix: sweep.prefix.clone(),
        after: sweep.after.as_deref().map(EntryName::stored),
        limit: BATCH,
    })?;
    work.expect(found)?;
    for lease in found {
        let Some(mut row) = Row::read(lease, work, cx)? else {
            continue;
        };
        let failing = match sweep.task {
            Task::Revoke(failing) => failing,
            Task::Tidy if row.ended.is_some() => continue,
            Task::Tidy if token_row::Row::read(&row.token, work, cx)?.is_some() => continue,
            Task::Tidy => Failing::Kept,
        };
        row.end(failing, cx.now);
        row.write(lease, work)?;
    }
    if found.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
        work.delete(name);
        return Ok(());
    }
    sweep.after = found.last().map(|last| last.as_str().to_owned());
    work.put_until(name, &sweep, Some(cx.now))
}
