//! Looking up and revoking tokens, by the token itself or by its accessor.
//!
//! A handle of another tenant is as one that nobody knows (CVE-2026-45808, GHSA-c36x-h252-g9x2).

use super::TokenId;
use super::row::{self, Ending, Life, Row};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::pages;
use crate::timestamp;
use crate::work::{Stop, Work};
use countersign_base::{Duration, Secret, UnixTime};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Bytes of an accessor that is looked for.
const ACCESSOR_BYTES_MAX: usize = 64;

/// A token that a call names, and the text of it where the call showed one.
pub(super) struct Named {
    pub(super) id: TokenId,
    pub(super) shown: Secret<String>,
}

/// What a path or a body names a token by.
enum Handle {
    Accessor,
    Token,
}

fn named(
    handle: &Handle,
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Named>, Stop> {
    match handle {
        Handle::Accessor => {
            let accessor = call.body.required_text("accessor")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if accessor.is_empty()
                || accessor.len() > ACCESSOR_BYTES_MAX
                || !accessor.bytes().all(plain)
            {
                return Ok(None);
            }
            let id: Option<TokenId> = work.read(&Row::accessor_name(&accessor))?;
            let shown = Secret::new(String::new());
            Ok(id.map(|id| Named { id, shown }))
        }
        Handle::Token => {
            let shown = Secret::new(call.body.required_text("token")?);
            Ok(TokenId::of(&shown, cx).map(|id| Named { id, shown }))
        }
    }
}

/// The token of the call itself.
fn own(call: &Call) -> Result<Named, VaultError> {
    let shown = call.shown.as_deref().map(Secret::expose);
    Ok(Named {
        id: call.caller.token()?.id.clone(),
        shown: Secret::new(shown.cloned().unwrap_or_default()),
    })
}

/// Which token a call is about; none when nobody knows it.
pub(super) fn subject(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Named>, Stop> {
    let verb = call.rest.trim_end_matches('/');
    if verb.ends_with("-self") {
        Ok(Some(own(call)?))
    } else if verb.ends_with("-accessor") {
        named(&Handle::Accessor, call, work, cx)
    } else {
        named(&Handle::Token, call, work, cx)
    }
}

pub(super) fn lookup_self(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let Named { id, shown } = own(call)?;
    // It was standing when its use was taken; if that was the last, it has ended by now and is told nevertheless.
    let row = Row::read(&id, work, cx)?.ok_or(VaultError::Denied)?;
    Ok(Answer::data(told(&row, &shown, cx.now)))
}

pub(super) fn lookup(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let Named { id, shown } = subject(call, work, cx)?.ok_or(VaultError::Denied)?;
    let row = row::standing(&id, work, cx)?.ok_or(VaultError::Denied)?;
    Ok(Answer::data(told(&row, &shown, cx.now)))
}

/// The policies of the token that a body names; `None` when nobody knows it, or it has ended.
pub(super) fn policies(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<BTreeSet<String>>, Stop> {
    let Some(Named { id, .. }) = subject(call, work, cx)? else {
        return Ok(None);
    };
    Ok(row::standing(&id, work, cx)?.map(|row| row.policies))
}

/// What is told of a token. `id` is what the caller showed, and empty where it was named by its accessor.
fn told(row: &Row, shown: &Secret<String>, now: UnixTime) -> Json {
    let seconds = |duration: Option<Duration>| duration.map_or(0, |duration| duration.as_secs());
    let span = match &row.life {
        Life::Endless(_) => None,
        Life::Span(span) => Some(span),
    };
    let mut data = json!({
        "accessor": row.accessor,
        "creation_time": row.created().0,
        "creation_ttl": seconds(span.map(|span| span.ttl())),
        "display_name": row.display_name,
        "entity_id": row.entity,
        "expire_time": span.map(|span| timestamp::text(span.expires())),
        "explicit_max_ttl": seconds(span.and_then(|span| span.explicit_max_ttl())),
        "id": shown.expose(),
        "issue_time": timestamp::text(row.created()),
        "meta": if row.metadata.is_empty() { Json::Null } else { json!(row.metadata) },
        "num_uses": row.uses_left.unwrap_or(0),
        "orphan": row.parent.is_none(),
        "path": row.path,
        "policies": row.policies,
        "renewable": row.renewable,
        "ttl": row.left(now).as_secs(),
        "type": "service",
    });
    let mut also = |name: &str, value: Json| {
        if let Some(members) = data.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(period) = span.and_then(|span| span.period()) {
        also("period", period.as_secs().into());
    }
    if let Some(role) = &row.role {
        also("role", role.as_str().into());
    }
    if let Some(renewed) = span.and_then(|span| span.renewed()) {
        also("last_renewal", timestamp::text(renewed).into());
        also("last_renewal_time", renewed.0.into());
    }
    if !row.bound_cidrs.is_empty() {
        also("bound_cidrs", json!(row.bound_cidrs));
    }
    data
}

pub(super) fn revoke(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let alone = call.rest.trim_end_matches('/') == "revoke-orphan";
    let what = if alone { Ending::Alone } else { Ending::Tree };
    let by_accessor = call.rest.trim_end_matches('/').ends_with("-accessor");
    let row = match subject(call, work, cx)? {
        None => None,
        Some(named) => Row::read(&named.id, work, cx)?.map(|row| (named.id, row)),
    };
    match row {
        Some((id, row)) => {
            row::end(&id, row, what, work, cx)?;
            Ok(Answer::nothing())
        }
        // A token that nobody knows is as good as revoked; an accessor that nobody knows is a mistake.
        None if by_accessor => Err(VaultError::Denied.into()),
        None => Ok(Answer::nothing()),
    }
}

pub(super) fn accessors(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    call.caller.token()?;
    Ok(Answer::keys(pages::below("token/accessor/", work)?)?)
}

#[cfg(test)]
mod tests;
