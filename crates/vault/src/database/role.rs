//! `roles/:name` and `creds/:name`: users that are made for one lease.

use super::connection::Connection;
use super::password::Password;
use super::statement::{self, Values};
use super::{Next, generated, revocation};
use crate::answer::{Answer, Effect, LeaseGiven, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::lease::{self, HeldThing, NewLease};
use crate::work::{EffectResult, Stop, Then, Work};
use crate::{VaultError, engine, named, timestamp};
use countersign_base::{Duration, Secret, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What renews a user, unless the role has statements of its own.
const RENEW: &str = "ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'";

/// A role as its entry keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    connection: String,
    creation: Vec<String>,
    revocation: Vec<String>,
    rollback: Vec<String>,
    renew: Vec<String>,
    default_ttl: Option<Duration>,
    max_ttl: Option<Duration>,
}

impl Role {
    fn entry(mount: &str, name: &str) -> EntryName {
        EntryName::of(&["mount", mount, "role", name])
    }

    /// The statements that take a user back once its role is shut, whether it was made or not.
    fn taking_back(&self, username: &str) -> Result<Vec<Secret<String>>, VaultError> {
        let mut statements = vec![Secret::new(revocation::ended(username))];
        if self.revocation.is_empty() {
            statements.push(Secret::new(revocation::dropped(username)));
        } else {
            statements.extend(statement::render(&self.revocation, &named_only(username))?);
        }
        Ok(statements)
    }
}

const fn named_only(name: &str) -> Values<'_> {
    Values {
        name,
        password: None,
        expiration: None,
    }
}

/// What `roles/:name` does.
pub(super) fn run(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = Role::entry(&call.mount.uuid, named::checked(name)?);
    let found: Option<Role> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => {
            let role = of_body(call, found.unwrap_or_default())?;
            work.put(&entry, &role)?;
            Ok(Answer::nothing().into())
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing().into())
        }
        Operation::Read => {
            let role = found.ok_or(VaultError::NotFound)?;
            let seconds = |span: Option<Duration>| span.unwrap_or_default().as_secs();
            Ok(Answer::data(json!({
                "creation_statements": role.creation,
                "credential_type": "password",
                "db_name": role.connection,
                "default_ttl": seconds(role.default_ttl),
                "max_ttl": seconds(role.max_ttl),
                "renew_statements": role.renew,
                "revocation_statements": role.revocation,
                "rollback_statements": role.rollback,
            }))
            .into())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn of_body(call: &Call, mut role: Role) -> Result<Role, VaultError> {
    let body = &call.body;
    if body
        .text("credential_type")?
        .is_some_and(|kind| kind != "password")
    {
        return Err(VaultError::invalid("`credential_type` must be `password`"));
    }
    if let Some(name) = body.text("db_name")? {
        named::checked(&name)?.clone_into(&mut role.connection);
    }
    if role.connection.is_empty() {
        return Err(VaultError::invalid("missing db_name"));
    }
    for (name, kept) in [
        ("creation_statements", &mut role.creation),
        ("renew_statements", &mut role.renew),
        ("revocation_statements", &mut role.revocation),
        ("rollback_statements", &mut role.rollback),
    ] {
        if let Some(statements) = statement::read(body, name)? {
            *kept = statements;
        }
    }
    if role.creation.is_empty() {
        return Err(VaultError::invalid("missing creation_statements"));
    }
    // Zero is what the API writes for none.
    let given = |name| {
        Ok::<_, VaultError>(
            body.duration(name)?
                .map(|ttl| Some(ttl).filter(|ttl| !ttl.is_zero())),
        )
    };
    role.default_ttl = given("default_ttl")?.unwrap_or(role.default_ttl);
    role.max_ttl = given("max_ttl")?.unwrap_or(role.max_ttl);
    if role
        .default_ttl
        .zip(role.max_ttl)
        .is_some_and(|(ttl, max)| ttl > max)
    {
        return Err(VaultError::invalid(
            "`default_ttl` must not be above `max_ttl`",
        ));
    }
    Ok(role)
}

/// An instant as PostgreSQL reads it.
fn expiration(time: UnixTime) -> String {
    timestamp::text(time)
        .replace('T', " ")
        .replace('Z', "+0000")
}

/// A user that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    lease: LeaseGiven,
    username: String,
    password: Password,
}

/// What `creds/:name` does: gives the lease; then the statements run.
pub(super) fn credentials(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let holder = call.caller.token()?;
    let mount = &call.mount;
    let entry = Role::entry(&mount.uuid, named::checked(name)?);
    let role: Role = work
        .read(&entry)?
        .ok_or_else(|| VaultError::invalid(format!("unknown role: {name}")))?;
    let connection = Connection::of(&mount.uuid, &role.connection, work)?;
    connection.allows(name)?;
    let username = generated::username(&holder.display_name, name, cx.random, cx.now);
    let password = generated::password(cx.random);
    let held = HeldThing::DatabaseRole {
        mount: mount.uuid.clone(),
        connection: role.connection.clone(),
        role: name.to_owned(),
        username: username.clone(),
    };
    let lease = lease::give(
        NewLease {
            path: call.path.as_str().to_owned(),
            token: holder.id.clone(),
            ttl: role.default_ttl.unwrap_or_default(),
            max_ttl: role.max_ttl.unwrap_or_default(),
            renewable: true,
            held,
        },
        work,
        cx,
    )?;
    let written = connection.authentication.written(&password, cx.random)?;
    let statements = statement::render(
        &role.creation,
        &Values {
            name: &username,
            password: Some(written.expose()),
            expiration: Some(&expiration(cx.now.plus(lease.lasts))),
        },
    )?;
    let created = Created {
        lease,
        username,
        password,
    };
    Ok(Outcome::Then(Box::new(Then {
        effect: connection.effect(statements),
        next: engine::Next::Database(Next::Created(Box::new(created))),
    })))
}

/// Answers the credentials. When the statements failed, or nobody knows, the lease ends, and takes back what may be there.
pub(super) fn created(
    created: &Created,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    match result {
        EffectResult::Done | EffectResult::DataKey(_) => {
            lease::settle(&created.lease.id, work, cx)?;
            Ok(Answer {
                lease: Some(created.lease.clone()),
                ..Answer::data(json!({
                    "password": created.password.secret().expose(),
                    "username": created.username,
                }))
            }
            .into())
        }
        EffectResult::Failed(_) => {
            lease::revoke(&created.lease.id, work, cx)?;
            Ok(super::outside("the database did not make the user").into())
        }
    }
}

/// What takes a user back: its role is shut, which is committed; then come the statements of its role here as they are now, or the usual ones.
pub(super) fn take_back(held: &HeldThing, work: &mut Work<'_>) -> Result<Effect, Stop> {
    let HeldThing::DatabaseRole {
        mount,
        connection,
        role,
        username,
    } = held;
    let connection = Connection::of(mount, connection, work)?;
    let role: Role = work.read(&Role::entry(mount, role))?.unwrap_or_default();
    let shut = vec![Secret::new(revocation::shut(username))];
    Ok(connection.effect_after(shut, role.taking_back(username)?))
}

/// What makes a user last until `until`.
pub(super) fn renew(
    held: &HeldThing,
    until: UnixTime,
    work: &mut Work<'_>,
) -> Result<Effect, Stop> {
    let HeldThing::DatabaseRole {
        mount,
        connection,
        role,
        username,
    } = held;
    let connection = Connection::of(mount, connection, work)?;
    let role: Role = work.read(&Role::entry(mount, role))?.unwrap_or_default();
    let default = [RENEW.to_owned()];
    let texts = if role.renew.is_empty() {
        &default[..]
    } else {
        &role.renew
    };
    let statements = statement::render(
        texts,
        &Values {
            name: username,
            password: None,
            expiration: Some(&expiration(until)),
        },
    )?;
    Ok(connection.effect(statements))
}
