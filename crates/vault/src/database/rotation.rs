//! Passwords that are changed: of the user that makes the others, and of users that stay.
//!
//! A rotation has two phases. The new password is committed as pending, then the statement runs, then the pending one is committed as the one that holds. Whatever
//! happens in between, the entry knows both: after a crash, or when nobody knows whether the statement ran, it is run again with the same pending password, so no
//! password is ever lost. Two rotations of one password never run at once.

use super::connection::Connection;
use super::generated;
use super::password::Password;
use super::statement::{self, Values};
use super::static_role::StaticRole;
use super::{Authentication, Next};
use crate::answer::{Answer, Outcome};
use crate::call::Cx;
use crate::entry::EntryName;
use crate::work::{EffectResult, Stop, Then, Work};
use crate::{VaultError, engine};
use countersign_base::{Duration, Secret, UnixTime};
use serde::{Deserialize, Serialize};

/// How long a rotation is taken to be under way: longer than any effect lasts.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// What sets a password, unless a role or connection has statements of its own.
const STATEMENT: &str = "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'";

/// A password that may hold already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    pub(super) password: Password,
    /// When a statement that sets it began; none when it is known to have ended.
    pub(super) began: Option<UnixTime>,
}

/// Begins a rotation, or goes on with the one that did not end.
fn begin(pending: Option<Pending>, cx: &Cx<'_>) -> Result<Pending, VaultError> {
    let under_way = |pending: &Pending| {
        pending
            .began
            .is_some_and(|began| cx.now < began.plus(UNDER_WAY))
    };
    let password = match pending {
        Some(pending) if under_way(&pending) => {
            return Err(VaultError::invalid(
                "a rotation of this password is under way; try again in a minute",
            ));
        }
        Some(pending) => pending.password,
        None => generated::password(cx.random),
    };
    Ok(Pending {
        password,
        began: Some(cx.now),
    })
}

/// The statements that set a password.
fn statements(
    own: &[String],
    name: &str,
    password: &Password,
    authentication: Authentication,
    cx: &Cx<'_>,
) -> Result<Vec<Secret<String>>, VaultError> {
    let default = [STATEMENT.to_owned()];
    let texts = if own.is_empty() { &default[..] } else { own };
    let password = authentication.written(password, cx.random)?;
    statement::render(
        texts,
        &Values {
            name,
            password: Some(password.expose()),
            expiration: None,
        },
    )
}

/// Begins to rotate the password of a connection's own user.
pub(super) fn of_root(
    entry: &EntryName,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let mut connection: Connection = work.read(entry)?.ok_or(VaultError::NotFound)?;
    if connection.username.is_empty() || connection.password.is_none() {
        return Err(VaultError::invalid(
            "the connection has no `username` and `password` to rotate",
        )
        .into());
    }
    let pending = begin(connection.pending.take(), cx)?;
    let statements = statements(
        &connection.root_rotation_statements,
        &connection.username,
        &pending.password,
        connection.authentication,
        cx,
    )?;
    let password = pending.password.clone();
    connection.pending = Some(pending);
    work.put_until(entry, &connection, Some(cx.now.plus(UNDER_WAY)))?;
    let rotated = Rotated {
        entry: entry.clone(),
        password,
    };
    Ok(Outcome::Then(Box::new(Then {
        effect: connection.effect(statements),
        next: engine::Next::Database(Next::RootRotated(rotated)),
    })))
}

/// Begins to rotate the password of a static role, with what was read of its entry.
pub(super) fn of_static(
    entry: &EntryName,
    mut role: StaticRole,
    connection: &Connection,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let pending = begin(role.pending.take(), cx)?;
    let statements = statements(
        &role.rotation_statements,
        &role.username,
        &pending.password,
        connection.authentication,
        cx,
    )?;
    let password = pending.password.clone();
    role.pending = Some(pending);
    work.put_until(entry, &role, Some(cx.now.plus(UNDER_WAY)))?;
    let rotated = Rotated {
        entry: entry.clone(),
        password,
    };
    Ok(Outcome::Then(Box::new(Then {
        effect: connection.effect(statements),
        next: engine::Next::Database(Next::StaticRotated(rotated)),
    })))
}

/// A password that a statement was to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    entry: EntryName,
    password: Password,
}

impl Rotated {
    /// Confirms the password of a connection's own user, or says when it is tried again.
    pub(super) fn root(
        &self,
        result: &EffectResult,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Outcome, Stop> {
        let Some(mut connection) = work.read::<Connection>(&self.entry)? else {
            return Err(VaultError::NotFound.into());
        };
        if !self.is(connection.pending.as_ref()) {
            return Ok(Answer::nothing().into());
        }
        match result {
            EffectResult::Done | EffectResult::DataKey(_) => {
                connection.password = Some(self.password.clone());
                connection.pending = None;
                work.put(&self.entry, &connection)?;
                Ok(Answer::nothing().into())
            }
            EffectResult::Failed(_) => {
                connection.pending = Some(self.again());
                work.put_until(&self.entry, &connection, Some(cx.now.plus(UNDER_WAY)))?;
                Ok(failed().into())
            }
        }
    }

    /// Confirms the password of a static role, or says when it is tried again.
    pub(super) fn fixed(
        &self,
        result: &EffectResult,
        work: &mut Work<'_>,
        cx: &Cx<'_>,
    ) -> Result<Outcome, Stop> {
        let Some(mut role) = work.read::<StaticRole>(&self.entry)? else {
            return Err(VaultError::NotFound.into());
        };
        if !self.is(role.pending.as_ref()) {
            return Ok(Answer::nothing().into());
        }
        match result {
            EffectResult::Done | EffectResult::DataKey(_) => {
                role.password = Some(self.password.clone());
                role.pending = None;
                role.rotated = Some(cx.now);
                let due = cx.now.plus(role.rotation_period);
                work.put_until(&self.entry, &role, Some(due))?;
                Ok(Answer::nothing().into())
            }
            EffectResult::Failed(_) => {
                role.pending = Some(self.again());
                work.put_until(&self.entry, &role, Some(cx.now.plus(UNDER_WAY)))?;
                Ok(failed().into())
            }
        }
    }

    fn is(&self, pending: Option<&Pending>) -> bool {
        pending.is_some_and(|pending| pending.password == self.password)
    }

    fn again(&self) -> Pending {
        Pending {
            password: self.password.clone(),
            began: None,
        }
    }
}

/// The refusal that is committed: what is pending stays so, and is tried again.
fn failed() -> Answer {
    super::outside("the database did not confirm the new password; it is set again within a minute")
}
