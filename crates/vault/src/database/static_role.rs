//! `static-roles/:name`, `static-creds/:name` and `rotate-role/:name`: users that stay, whose passwords are changed on time.

use super::connection::{Connection, checked_username};
use super::password::Password;
use super::rotation::{self, Pending};
use super::statement;
use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use crate::{VaultError, named, timestamp};
use countersign_base::{Duration, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The shortest time between two rotations.
const PERIOD_MIN: Duration = Duration::from_secs(5);

/// A static role as its entry keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StaticRole {
    pub(super) connection: String,
    pub(super) username: String,
    pub(super) rotation_period: Duration,
    pub(super) rotation_statements: Vec<String>,
    /// The password that holds; none until the first rotation has ended.
    pub(super) password: Option<Password>,
    pub(super) pending: Option<Pending>,
    pub(super) rotated: Option<UnixTime>,
}

fn entry(call: &Call, name: &str) -> Result<EntryName, VaultError> {
    Ok(call.entry(&["static-role", named::checked(name)?]))
}

/// What `static-roles/:name` does.
pub(super) fn run(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let entry = entry(call, name)?;
    let found: Option<StaticRole> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => write(call, name, &entry, found, work, cx),
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing().into())
        }
        Operation::Read => {
            let role = found.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(json!({
                "credential_type": "password",
                "db_name": role.connection,
                "last_vault_rotation": role.rotated.map(timestamp::text),
                "rotation_period": role.rotation_period.as_secs(),
                "rotation_statements": role.rotation_statements,
                "username": role.username,
            }))
            .into())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn write(
    call: &Call,
    name: &str,
    entry: &EntryName,
    found: Option<StaticRole>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let body = &call.body;
    for unsupported in [
        "rotation_schedule",
        "rotation_window",
        "self_managed_password",
    ] {
        if body.has(unsupported) {
            return Err(VaultError::invalid(format!("`{unsupported}` is not supported")).into());
        }
    }
    let period = body.duration("rotation_period")?;
    if period.is_some_and(|period| period < PERIOD_MIN) {
        return Err(VaultError::invalid("`rotation_period` must be 5 seconds or more").into());
    }
    let statements = statement::read(body, "rotation_statements")?;
    let (connection, username) = (body.text("db_name")?, body.text("username")?);
    let is_new = found.is_none();
    let role = match found {
        Some(role) => {
            let differs =
                |given: Option<String>, own: &str| given.is_some_and(|given| given != own);
            if differs(connection, &role.connection) || differs(username, &role.username) {
                return Err(VaultError::invalid(
                    "`db_name` and `username` of a static role cannot be changed",
                )
                .into());
            }
            StaticRole {
                rotation_period: period.unwrap_or(role.rotation_period),
                rotation_statements: statements.unwrap_or_else(|| role.rotation_statements.clone()),
                ..role
            }
        }
        None => StaticRole {
            connection: connection.ok_or_else(|| VaultError::invalid("missing db_name"))?,
            username: checked_username(body.required_text("username")?)?,
            rotation_period: period
                .ok_or_else(|| VaultError::invalid("missing rotation_period"))?,
            rotation_statements: statements.unwrap_or_default(),
            password: None,
            pending: None,
            rotated: None,
        },
    };
    let connection = Connection::of(&call.mount.uuid, named::checked(&role.connection)?, work)?;
    connection.allows(name)?;
    if is_new {
        // A password that nobody here knows is of no use: the first rotation begins at once.
        return rotation::of_static(entry, role, &connection, work, cx);
    }
    let due = match (&role.pending, role.rotated) {
        (None, Some(rotated)) => rotated.plus(role.rotation_period),
        (Some(_), _) | (_, None) => cx.now.plus(Duration::from_secs(60)),
    };
    work.put_until(entry, &role, Some(due))?;
    Ok(Answer::nothing().into())
}

/// What `static-creds/:name` answers.
pub(super) fn credentials(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let role: StaticRole = work
        .read(&entry(call, name)?)?
        .ok_or(VaultError::NotFound)?;
    Connection::of(&call.mount.uuid, &role.connection, work)?.allows(name)?;
    let (Some(password), Some(rotated)) = (&role.password, role.rotated) else {
        return Err(VaultError::invalid(
            "the database has not confirmed the first password of this role yet",
        )
        .into());
    };
    let next = rotated.plus(role.rotation_period);
    Ok(Answer::data(json!({
        "last_vault_rotation": timestamp::text(rotated),
        "password": password.secret().expose(),
        "rotation_period": role.rotation_period.as_secs(),
        "ttl": next.since(cx.now).as_secs(),
        "username": role.username,
    }))
    .into())
}

/// What `rotate-role/:name` does.
pub(super) fn rotate(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let entry = entry(call, name)?;
    let role: StaticRole = work.read(&entry)?.ok_or(VaultError::NotFound)?;
    let connection = Connection::of(&call.mount.uuid, &role.connection, work)?;
    connection.allows(name)?;
    rotation::of_static(&entry, role, &connection, work, cx)
}

/// A static role whose time has come.
pub(super) fn due(
    entry: &EntryName,
    mount: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let Some(role) = work.read::<StaticRole>(entry)? else {
        return Ok(Answer::nothing().into());
    };
    let connection: Option<Connection> = work.read(&Connection::entry(mount, &role.connection))?;
    match connection {
        Some(connection) => rotation::of_static(entry, role, &connection, work, cx),
        // The connection was deleted: its static roles rest until they are written again.
        None => {
            work.put(entry, &role)?;
            Ok(Answer::nothing().into())
        }
    }
}
