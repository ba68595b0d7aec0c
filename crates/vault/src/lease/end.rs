//! Taking back what was leased: one try is an effect outside, begun by a commit that says so, and ended by one that says what came of it.
//!
//! A try of which nothing is heard is made again; one that failed too, later each time. After [`super::row::TRIES_MAX`] tries a lease counts as irrevocable: it is told by
//! `sys/leases/count`, and tried once a day. No lease is ever given up but by `revoke-force`.

use super::row::{Failing, Row, TRY_SECONDS};
use super::{Asker, Next};
use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::call::Cx;
use crate::database;
use crate::engine;
use crate::entry::EntryName;
use crate::work::{EffectResult, Stop, Then, Work};
use countersign_base::Duration;
use serde_json::json;

/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 512;

/// A lease whose time has come: it ended, or it is to be tried again.
pub(super) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let Some(mut row) = Row::read(name, work, cx)? else {
        return Ok(Answer::nothing().into());
    };
    if row.ended.is_none() && row.span.has_ended(cx.now) {
        row.end(Failing::Kept, cx.now);
    }
    match &row.ended {
        Some(ended) if ended.try_at <= cx.now => attempt(name, row, Asker::Nobody, work, cx),
        // It was renewed, or is being tried.
        Some(_) | None => Ok(Answer::nothing().into()),
    }
}

/// Tries to take back a lease that is marked.
pub(super) fn attempt(
    name: &EntryName,
    mut row: Row,
    asker: Asker,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    if let Some(ended) = &mut row.ended {
        ended.begin_try(cx.now);
    }
    match database::take_back(&row.held, name, work, cx) {
        Ok(None) => {
            row.remove(name, work);
            Ok(Answer::nothing().into())
        }
        Ok(Some(effect)) => {
            row.write(name, work)?;
            let lease = name.clone();
            Ok(Outcome::Then(Box::new(Then {
                effect,
                next: engine::Next::Lease(Next::TakenBack { lease, asker }),
            })))
        }
        Err(Stop::Need(need)) => Err(Stop::Need(need)),
        // That it cannot even be tried is a try that failed: the mark has to be committed, so this is no refusal.
        Err(Stop::Refused(error)) => {
            failed(name, row, &error.to_string(), work, cx)?;
            Ok(told(asker, &error).into())
        }
    }
}

/// What came of a try.
pub(super) fn taken_back(
    name: &EntryName,
    asker: Asker,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let Some(row) = Row::read(name, work, cx)? else {
        return Ok(Answer::nothing().into());
    };
    match result {
        EffectResult::Done | EffectResult::DataKey(_) => {
            taken(name, row, work, cx)?;
            Ok(Answer::nothing().into())
        }
        EffectResult::Failed(error) => {
            failed(name, row, error, work, cx)?;
            let told_error = VaultError::Outside("the lease could not be revoked yet".into());
            Ok(told(asker, &told_error).into())
        }
    }
}

/// It was taken back. If its making may still be under way, it is taken back once more when that must be over.
fn taken(name: &EntryName, mut row: Row, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(), Stop> {
    let over = row.span.created().plus(Duration::from_secs(TRY_SECONDS));
    match &mut row.ended {
        Some(ended) if !row.settled && cx.now < over => {
            row.settled = true;
            ended.tries = 0;
            ended.try_at = over;
            ended.error = None;
            work.delete(&Row::irrevocable_name(Row::id(name)));
            row.write(name, work)
        }
        Some(_) | None => {
            row.remove(name, work);
            Ok(())
        }
    }
}

fn failed(
    name: &EntryName,
    mut row: Row,
    error: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    let Some(ended) = &mut row.ended else {
        // It is no longer marked; whoever wrote it anew looks after it.
        return Ok(());
    };
    if ended.failing == Failing::Forgotten {
        row.remove(name, work);
        return Ok(());
    }
    let end = error.floor_char_boundary(ERROR_BYTES_MAX);
    ended.fail(error.get(..end).unwrap_or_default().to_owned(), cx.now);
    if ended.is_irrevocable() {
        work.put(&Row::irrevocable_name(Row::id(name)), &())?;
    }
    row.write(name, work)
}

/// What the caller who waits is told of a failure. It is an answer, since a refusal would commit nothing.
fn told(asker: Asker, error: &VaultError) -> Answer {
    match asker {
        Asker::Nobody => Answer::nothing(),
        Asker::Waits => Answer::bare(502, json!({ "errors": [error.to_string()] })),
    }
}
