//! `sys/leases/`: looking up, renewing, revoking, listing and counting. A lease of another tenant is as one that nobody knows (CVE-2026-45808, CVE-2026-40264).

use super::end;
use super::row::{Failing, Row};
use super::sweep::{self, Task};
use super::{Asker, Next};
use crate::VaultError;
use crate::answer::{Answer, LeaseGiven, Outcome};
use crate::body::Body;
use crate::call::{Call, Cx, Operation};
use crate::database;
use crate::engine;
use crate::entry::EntryName;
use crate::mounts::Mounts;
use crate::pages;
use crate::timestamp;
use crate::token::row as token_row;
use crate::token::span::{Limits, NotRenewed, Span};
use crate::work::{EffectResult, Stop, Then, Work};
use countersign_base::Duration;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// What `sys/leases/` does; the call's rest begins with `leases/`.
pub(super) fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let below = call.rest.strip_prefix("leases").unwrap_or_default();
    let below = below.trim_start_matches('/');
    let (verb, rest) = below.split_once('/').unwrap_or((below, ""));
    let writes = call.operation.writes();
    match verb {
        "count" if call.operation == Operation::Read => Ok(count(call, work)?.into()),
        "lookup" if call.operation == Operation::List => Ok(list(rest, work)?.into()),
        "lookup" if writes => Ok(lookup(&id(&call.body, rest)?, work, cx)?.into()),
        "renew" if writes => renew(&id(&call.body, rest)?, &call.body, work, cx),
        "revoke" if writes => revoke(&id(&call.body, rest)?, &call.body, work, cx),
        "revoke-force" if writes => sweep_prefix(rest, Failing::Forgotten, work, cx),
        "revoke-prefix" if writes => sweep_prefix(rest, Failing::Kept, work, cx),
        "tidy" if writes => {
            sweep::begin("", Task::Tidy, work, cx)?;
            let text =
                "Tidy operation successfully started. Leases of tokens that are gone are revoked.";
            Ok(Answer::nothing().warning(text).into())
        }
        _ => Err(VaultError::Unsupported.into()),
    }
}

/// The lease that a call is about, by its body or its path.
fn id(body: &Body, rest: &str) -> Result<String, VaultError> {
    match body.text("lease_id")?.filter(|id| !id.is_empty()) {
        Some(id) => Ok(id),
        None if rest.is_empty() => Err(VaultError::invalid("missing lease_id")),
        None => Ok(rest.to_owned()),
    }
}

fn found(id: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Option<(EntryName, Row)>, Stop> {
    let Some(name) = Row::name(id) else {
        return Ok(None);
    };
    Ok(Row::read(&name, work, cx)?.map(|row| (name, row)))
}

fn lookup(id: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let (_, row) = found(id, work, cx)?.ok_or_else(|| VaultError::invalid("invalid lease"))?;
    let ended = row.ended.as_ref();
    let mut data = json!({
        "id": id,
        "path": row.path,
        "issue_time": timestamp::text(row.span.created()),
        "expire_time": timestamp::text(row.span.expires()),
        "last_renewal": row.span.renewed().map(timestamp::text),
        "renewable": row.renewable && ended.is_none(),
        "ttl": row.span.left(cx.now).as_secs(),
    });
    let error = ended.and_then(|ended| ended.error.clone());
    if let (Some(error), Some(members)) = (error, data.as_object_mut()) {
        members.insert("revoke_error".to_owned(), Json::String(error));
    }
    Ok(Answer::data(data))
}

fn renew(id: &str, body: &Body, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let increment = body.duration("increment")?;
    let unknown = || VaultError::invalid("lease not found");
    let (name, mut row) = found(id, work, cx)?.ok_or_else(unknown)?;
    if row.ended.is_some() {
        return Err(unknown().into());
    }
    // A lease ends with its token, so that nothing stretches it once that one has ended.
    token_row::standing(&row.token, work, cx)?.ok_or_else(unknown)?;
    if !row.renewable {
        return Err(VaultError::invalid("lease is not renewable").into());
    }
    let limits = Limits::at(&row.path, work)?;
    let before = row.span.clone();
    row.span = before
        .renew(increment, limits, cx.now)
        .map_err(|error| match error {
            NotRenewed::Ended => unknown(),
            NotRenewed::PastMax => VaultError::invalid("past the max TTL, cannot renew"),
        })?;
    row.write(&name, work)?;
    let effect = database::renew(&row.held, row.span.expires(), work, cx)?;
    let Some(effect) = effect else {
        return Ok(renewed(&name, &row, cx).into());
    };
    Ok(Outcome::Then(Box::new(Then {
        effect,
        next: engine::Next::Lease(Next::Renewed {
            lease: name,
            before,
            after: row.span,
        }),
    })))
}

fn renewed(name: &EntryName, row: &Row, cx: &Cx<'_>) -> Answer {
    Answer {
        lease: Some(LeaseGiven {
            id: Row::id(name).to_owned(),
            lasts: row.span.left(cx.now),
            renewable: row.renewable,
        }),
        ..Answer::default()
    }
}

/// What came of stretching the thing itself: if it did not, the lease is again as it was, unless somebody wrote it meanwhile.
pub(super) fn after_renewal(
    name: &EntryName,
    (before, after): (&Span, &Span),
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let Some(mut row) = Row::read(name, work, cx)?.filter(|row| row.ended.is_none()) else {
        return Err(VaultError::invalid("lease not found").into());
    };
    match result {
        EffectResult::Done | EffectResult::DataKey(_) => Ok(renewed(name, &row, cx).into()),
        EffectResult::Failed(_) => {
            if row.span == *after {
                row.span = before.clone();
                row.write(name, work)?;
            }
            let errors = json!({ "errors": ["the lease could not be renewed"] });
            Ok(Answer::bare(502, errors).into())
        }
    }
}

fn revoke(id: &str, body: &Body, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let sync = body.truth("sync")?.unwrap_or(false);
    let Some((name, mut row)) = found(id, work, cx)? else {
        // As good as revoked.
        return Ok(Answer::nothing().into());
    };
    row.end(Failing::Kept, cx.now);
    if sync {
        return end::attempt(&name, row, Asker::Waits, work, cx);
    }
    row.write(&name, work)?;
    Ok(Answer::nothing().into())
}

fn sweep_prefix(
    prefix: &str,
    failing: Failing,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Err(VaultError::invalid("missing prefix").into());
    }
    sweep::begin(&format!("{prefix}/"), Task::Revoke(failing), work, cx)?;
    Ok(Answer::nothing().into())
}

/// The segments that follow a prefix: folders end with a slash.
fn list(prefix: &str, work: &Work<'_>) -> Result<Answer, Stop> {
    let prefix = prefix.trim_end_matches('/');
    let folder = if prefix.is_empty() {
        "lease/".to_owned()
    } else {
        format!("lease/{prefix}/")
    };
    let names = pages::below(&folder, work)?;
    let key = |rest: &String| match rest.split_once('/') {
        None => rest.clone(),
        Some((segment, _)) => format!("{segment}/"),
    };
    let keys: BTreeSet<String> = names.iter().map(key).collect();
    Ok(Answer::keys(keys)?)
}

fn count(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let prefix = match call.parameter("type").as_deref() {
        None | Some("") => "lease/",
        Some("irrevocable") => "lease-irrevocable/",
        Some(_) => {
            return Err(VaultError::invalid("`type` must be irrevocable").into());
        }
    };
    let ids = pages::below(prefix, work)?;
    let mounts = Mounts::read(work)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for id in &ids {
        let mount = mounts.iter().find(|(at, _)| id.starts_with(at));
        let at = mount.map_or("deleted mount", |(at, _)| at).to_owned();
        *counts.entry(at).or_default() += 1;
    }
    Ok(Answer::data(json!({
        "lease_count": ids.len(),
        "counts": counts,
    })))
}

/// How long a lease lasts, of what its maker asks for and its mount allows.
pub(super) fn span(
    path: &str,
    ttl: Duration,
    max_ttl: Duration,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Span, Stop> {
    let limits = Limits::at(path, work)?;
    let asked = crate::token::span::SpanAsked {
        ttl: Some(ttl),
        max_ttl: Some(max_ttl),
        ..Default::default()
    };
    Ok(Span::begin(&asked, limits, cx.now))
}
