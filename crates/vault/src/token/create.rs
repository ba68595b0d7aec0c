//! `auth/token/create`, `create-orphan` and `create/ROLE`: a token makes another, with no more than it has itself.

use super::role::Role;
use super::row::{self, Life};
use super::{Held, NewToken, TokenId, make, policies, span_of};
use crate::VaultError;
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};
use countersign_base::Duration;
use std::collections::BTreeSet;

/// Whether the maker's own policies bound what it may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// It gives what it has, or what a role allows.
    Own,
    /// Root, or at a path that takes `sudo`.
    Sudo,
}

pub(super) fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let maker = call.caller.token()?;
    refuse_unsupported(&call.body)?;
    // The maker's entry is read again, so that nothing is made by a token that ends meanwhile, also where what is made is an orphan.
    let row = row::under_way(&maker.id, work, cx)?.ok_or(VaultError::Denied)?;
    // A child would have uses of its own, and so give its maker as many as it likes.
    if row.uses_left.is_some() {
        return Err(
            VaultError::invalid("restricted use token cannot generate child tokens").into(),
        );
    }
    row::standing(&maker.id, work, cx)?.ok_or(VaultError::Denied)?;
    let segments = call.segments();
    let at_orphan = segments.first() == Some(&"create-orphan");
    let role = match segments.get(1) {
        None => None,
        Some(name) => Some(
            Role::read(name, work)?
                .ok_or_else(|| VaultError::invalid(format!("unknown role {name}")))?,
        ),
    };
    let bound = if maker.is_root() || at_orphan {
        Bound::Sudo
    } else {
        Bound::Own
    };
    let mut new = NewToken {
        parent: if at_orphan {
            None
        } else {
            parent(call, maker, role.as_ref(), bound)?
        },
        ..asked(call, bound)?
    };
    if let Some(role) = &role {
        role.shape(&mut new);
        new.role = segments.get(1).map(|name| (*name).to_owned());
    }
    if new.bound_cidrs.is_empty() {
        new.bound_cidrs.clone_from(&maker.bound_cidrs);
    }
    if new.parent.is_some() {
        new.entity.clone_from(&maker.entity);
    }
    new.policies = granted(&new.policies, role.as_ref(), maker, bound)?;
    let span = span_of(&new, work, cx)?;
    Ok(Answer::auth(make(new, Life::Span(span), work, cx)?))
}

fn refuse_unsupported(body: &Body) -> Result<(), VaultError> {
    if body.text("id")?.is_some_and(|id| !id.is_empty()) {
        return Err(VaultError::invalid(
            "tokens are drawn at random; `id` is not taken",
        ));
    }
    match body.text("type")?.as_deref() {
        None | Some("" | "service" | "default") => {}
        Some(_) => {
            return Err(VaultError::invalid(
                "tokens are of type `service`; batch tokens cannot be revoked and are not made",
            ));
        }
    }
    if body
        .text("entity_alias")?
        .is_some_and(|alias| !alias.is_empty())
    {
        return Err(VaultError::invalid("`entity_alias` is not supported"));
    }
    Ok(())
}

/// What the body asks for, apart from whose child it is.
fn asked(call: &Call, bound: Bound) -> Result<NewToken, VaultError> {
    let body = &call.body;
    let period = body.duration("period")?.filter(|period| !period.is_zero());
    if period.is_some() && bound == Bound::Own {
        return Err(VaultError::invalid(
            "root or sudo privileges required to create periodic token",
        ));
    }
    let named = body.text("display_name")?.filter(|name| !name.is_empty());
    Ok(NewToken {
        policies: policies::all(&body.texts("policies")?.unwrap_or_default())?,
        no_default_policy: body.truth("no_default_policy")?.unwrap_or(false),
        display_name: named.map_or_else(|| "token".to_owned(), |name| format!("token-{name}")),
        metadata: match body.text_map("meta")? {
            Some(meta) => meta,
            None => body.text_map("metadata")?.unwrap_or_default(),
        },
        path: call.path.as_str().to_owned(),
        ttl: match body.duration("ttl")? {
            None => body.duration("lease")?,
            ttl => ttl,
        },
        explicit_max_ttl: body.duration("explicit_max_ttl")?,
        period,
        uses: body.count("num_uses")?.unwrap_or(0),
        not_renewable: !body.truth("renewable")?.unwrap_or(true),
        ..NewToken::default()
    })
}

/// Whose child it becomes.
fn parent(
    call: &Call,
    maker: &Held,
    role: Option<&Role>,
    bound: Bound,
) -> Result<Option<TokenId>, VaultError> {
    let no_parent = call.body.truth("no_parent")?.unwrap_or(false);
    match (role, no_parent, bound) {
        (Some(role), _, _) if role.orphan => Ok(None),
        (_, true, Bound::Sudo) => Ok(None),
        (_, true, Bound::Own) => Err(VaultError::invalid(
            "root or sudo privileges required to create orphan token",
        )),
        (_, false, _) => Ok(Some(maker.id.clone())),
    }
}

/// The policies that a token gets: those it asks for, as far as a role allows them or the maker has them itself.
fn granted(
    requested: &BTreeSet<String>,
    role: Option<&Role>,
    maker: &Held,
    bound: Bound,
) -> Result<BTreeSet<String>, VaultError> {
    let allowed_by_role = role.filter(|role| role.has_allowed());
    let policies = match (requested.is_empty(), allowed_by_role) {
        (true, Some(role)) => role.allowed_policies.clone(),
        (true, None) => maker.policies.clone(),
        (false, _) => requested.clone(),
    };
    let foreign = |policy: &String| match allowed_by_role {
        Some(role) => policy != "default" && !role.allows(policy),
        None => bound == Bound::Own && policy != "default" && !maker.policies.contains(policy),
    };
    if policies.iter().any(foreign) {
        return Err(VaultError::invalid(if allowed_by_role.is_some() {
            "token policies must be subset of the role's allowed policies"
        } else {
            "child policies must be subset of parent"
        }));
    }
    if role.is_some_and(|role| policies.iter().any(|policy| role.disallows(policy))) {
        return Err(VaultError::invalid(
            "a token policy is disallowed by this role",
        ));
    }
    if policies.contains("root") && !maker.is_root() {
        return Err(VaultError::invalid(
            "root tokens may not be created without parent token being root",
        ));
    }
    Ok(policies)
}

/// The shorter of two durations of which none or zero is without a limit.
pub(super) fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    let given = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
    match (given(one), given(other)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
