//! Answers that are put away under a token that can be used once (`X-Vault-Wrap-TTL`, `sys/wrapping/`).
//!
//! What is put away is the envelope as it would have been sent, in one entry `wrap/HASH`, committed with what the call changed. A wrapping token is no vault token: it is
//! kept in a domain of its own and opens nothing but its entry. It needs no other token beside it: whoever holds it may look at it, unwrap it or wrap it anew. Unwrapping
//! deletes the entry in the commit that answers, so of two that unwrap at the same time one is told that there is nothing.

use crate::VaultError;
use crate::answer::{Answer, Form, Outcome, WrapInfo, envelope};
use crate::call::{Call, Cx, Operation};
use crate::engine;
use crate::entry::EntryName;
use crate::timestamp;
use crate::token::TokenId;
use crate::work::{Stop, Then, Work};
use countersign_base::{Duration, RequestId, Secret, Tenant, UnixTime};
use countersign_crypto::base64url;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// The longest that an answer is put away.
const TTL_SECONDS_MAX: u64 = 768 * 3_600;

/// How the answer of a call is to be put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    ttl: Duration,
    path: String,
    request: RequestId,
}

impl Order {
    /// What a call asks for; none when its answer is to be given as it is. What unwraps is never wrapped.
    ///
    /// # Errors
    /// When it asks for less than a second or more than 768 hours.
    pub fn of(call: &Call) -> Result<Option<Self>, VaultError> {
        let Some(ttl) = call.wrap_ttl.filter(|ttl| !ttl.is_zero()) else {
            return Ok(None);
        };
        let path = call.path.as_str().trim_end_matches('/');
        if matches!(
            path,
            "sys/wrapping/lookup" | "sys/wrapping/rewrap" | "sys/wrapping/unwrap"
        ) {
            return Ok(None);
        }
        if !(1..=TTL_SECONDS_MAX).contains(&ttl.as_secs()) {
            return Err(VaultError::invalid(
                "answers are wrapped for a second to 768 hours",
            ));
        }
        Ok(Some(Self {
            ttl,
            path: path.to_owned(),
            request: call.request,
        }))
    }
}

/// A step that follows an effect, and whose answer is to be put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The step.
    pub next: engine::Next,
    /// How its answer is put away.
    pub order: Order,
}

/// Puts the answer of an outcome away, at once or once the effects before it are over. What holds nothing, or no success, is given as it is.
///
/// # Errors
/// When the answer is longer than entries may be.
pub(crate) fn put_away(
    outcome: Outcome,
    order: Order,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match outcome {
        Outcome::Done(answer) => {
            if answer.form != Form::Envelope || answer.is_empty() {
                return Ok(Outcome::Done(answer));
            }
            let wrapped = Wrapped {
                tenant: cx.tenant.clone(),
                envelope: envelope(&answer, order.request),
                ttl: order.ttl,
                created: cx.now,
                path: order.path,
                accessor: answer.auth.as_ref().map(|auth| auth.accessor.clone()),
            };
            Ok(wrapped.store(work, cx)?.into())
        }
        Outcome::Then(then) => {
            let next = Next {
                next: then.next,
                order,
            };
            Ok(Outcome::Then(Box::new(Then {
                effect: then.effect,
                next: engine::Next::Wrapped(Box::new(next)),
            })))
        }
    }
}

/// An answer that was put away.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    tenant: Tenant,
    envelope: Json,
    ttl: Duration,
    created: UnixTime,
    path: String,
    /// The accessor of the token in it, if it is one.
    accessor: Option<String>,
}

impl Wrapped {
    /// The entry that a token opens; none when it has not the form of one.
    fn name(shown: &Secret<String>, cx: &Cx<'_>) -> Option<EntryName> {
        // The hash of a vault token would be another: each kind of token is hashed in a domain of its own.
        let id = TokenId::in_domain("vault wrapping token", shown, cx)?;
        Some(EntryName::of(&["wrap", &id.0]))
    }

    /// Stores it under a new token.
    fn store(&self, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
        let token = TokenId::draw(cx);
        let name = Self::name(&token, cx).ok_or(VaultError::Corrupt)?;
        work.put_until(&name, self, Some(self.expires()))?;
        Ok(Answer {
            wrap_info: Some(WrapInfo {
                token,
                accessor: base64url::encode(&cx.random.bytes::<18>()),
                ttl: self.ttl,
                created: self.created,
                path: self.path.clone(),
                wrapped_accessor: self.accessor.clone(),
            }),
            ..Answer::default()
        })
    }

    fn expires(&self) -> UnixTime {
        self.created.plus(self.ttl)
    }

    fn has_ended(&self, now: UnixTime) -> bool {
        now >= self.expires()
    }
}

/// What a call opens: the token in its body, else the one that it shows.
fn opened(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<(EntryName, Wrapped), Stop> {
    let unknown = || VaultError::invalid("wrapping token is not valid or does not exist");
    let named = call.body.text("token")?.filter(|token| !token.is_empty());
    let name = match (named, call.shown.as_deref()) {
        (Some(token), _) => Wrapped::name(&Secret::new(token), cx),
        (None, Some(shown)) => Wrapped::name(shown, cx),
        (None, None) => return Err(VaultError::invalid("missing token").into()),
    };
    let name = name.ok_or_else(unknown)?;
    let wrapped: Option<Wrapped> = work.read(&name)?;
    let wrapped = wrapped
        .filter(|wrapped| wrapped.tenant == *cx.tenant && !wrapped.has_ended(cx.now))
        .ok_or_else(unknown)?;
    Ok((name, wrapped))
}

/// What `sys/wrapping/` does; the call's rest begins with `wrapping/`.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    if !call.operation.writes() && call.operation != Operation::Read {
        return Err(VaultError::Unsupported.into());
    }
    let answer = match (call.segments().as_slice(), call.operation) {
        (["wrapping", "lookup"], _) => {
            let (_, wrapped) = opened(call, work, cx)?;
            Answer::data(json!({
                "creation_path": wrapped.path,
                "creation_time": timestamp::text(wrapped.created),
                "creation_ttl": wrapped.ttl.as_secs(),
            }))
        }
        (["wrapping", _], Operation::Read) => return Err(VaultError::Unsupported.into()),
        (["wrapping", "rewrap"], _) => {
            let (name, wrapped) = opened(call, work, cx)?;
            work.delete(&name);
            let anew = Wrapped {
                created: cx.now,
                ..wrapped
            };
            anew.store(work, cx)?
        }
        (["wrapping", "unwrap"], _) => {
            let (name, wrapped) = opened(call, work, cx)?;
            work.delete(&name);
            Answer {
                form: Form::Written,
                ..Answer::data(wrapped.envelope)
            }
        }
        (["wrapping", "wrap"], _) => {
            if Order::of(call)?.is_none() {
                let text = "endpoint requires response wrapping to be used";
                return Err(VaultError::invalid(text).into());
            }
            Answer::data(Json::Object(call.body.members().clone()))
        }
        _ => return Err(VaultError::Unsupported.into()),
    };
    Ok(answer.into())
}

/// An answer that nobody fetched in time: it is deleted.
///
/// # Errors
/// As [`Work::read`].
pub(crate) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let wrapped: Option<Wrapped> = work.read(name)?;
    if wrapped.is_some_and(|wrapped| wrapped.has_ended(cx.now)) {
        work.delete(name);
    }
    Ok(Answer::nothing().into())
}

#[cfg(test)]
mod tests;
