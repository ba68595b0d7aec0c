//! `config/:name`: how a database is reached, who may use it, and the password of the user that makes the others.
//!
//! The password stands in the entry, which the shell seals, and in no answer. The URL holds `{{username}}` and `{{password}}` in its place, and nothing in it
//! names a file or a socket of this machine.

use super::generated::NAME_BYTES_MAX;
use super::password::Password;
use super::rotation::Pending;
use super::statement;
use super::{Authentication, Next};
use crate::answer::{Answer, Effect, Outcome, SqlEffect};
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::entry::EntryName;
use crate::work::{EffectResult, Stop, Then, Work};
use crate::{VaultError, engine, glob, named};
use countersign_base::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The one kind of database.
const PLUGIN: &str = "postgresql-database-plugin";
/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2048;
/// Connections that one database may be given at most.
const CONNECTIONS_MAX: u16 = 64;
/// Parameters that a URL may have; others name files, sockets, other hosts or passwords.
const PARAMETERS: [&str; 2] = ["application_name", "sslmode"];

/// A connection as its entry keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connection {
    pub(super) url: String,
    pub(super) username: String,
    pub(super) password: Option<Password>,
    /// The password that the user has, or is about to have, once a rotation that began has ended.
    pub(super) pending: Option<Pending>,
    pub(super) allowed_roles: Vec<String>,
    pub(super) root_rotation_statements: Vec<String>,
    pub(super) authentication: Authentication,
    pub(super) connections_max: u16,
    /// The authorities behind the server's certificate, in PEM.
    pub(super) authorities: Option<String>,
}

impl Connection {
    /// The entry of a connection.
    pub(super) fn entry(mount: &str, name: &str) -> EntryName {
        EntryName::of(&["mount", mount, "config", name])
    }

    /// The connection of that name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(mount: &str, name: &str, work: &mut Work<'_>) -> Result<Self, Stop> {
        let found = work.read(&Self::entry(mount, name))?;
        found.ok_or_else(|| {
            VaultError::invalid(format!(
                "failed to find entry for connection with name `{name}`"
            ))
            .into()
        })
    }

    /// Whether roles of that name may use it.
    ///
    /// # Errors
    /// When they may not.
    pub(super) fn allows(&self, role: &str) -> Result<&Self, VaultError> {
        if self
            .allowed_roles
            .iter()
            .any(|allowed| glob::fits(allowed, role))
        {
            Ok(self)
        } else {
            Err(VaultError::invalid(format!(
                "`{role}` is not an allowed role"
            )))
        }
    }

    /// Statements for this database. While a rotation of the own password is under way, either password may be the one that holds.
    pub(super) fn effect(&self, statements: Vec<Secret<String>>) -> Effect {
        self.effect_after(Vec::new(), statements)
    }

    /// The same after others, which are committed by themselves.
    pub(super) fn effect_after(
        &self,
        before: Vec<Secret<String>>,
        statements: Vec<Secret<String>>,
    ) -> Effect {
        let pending = self.pending.as_ref();
        Effect::Sql(SqlEffect {
            connection: self.with_password(self.password.as_ref()),
            otherwise: pending.map(|pending| self.with_password(Some(&pending.password))),
            authorities: self.authorities.clone(),
            connections_max: self.connections_max,
            before,
            statements,
        })
    }

    fn with_password(&self, password: Option<&Password>) -> Secret<String> {
        let password = password.map_or("", |password| password.secret().expose());
        let url = self
            .url
            .replace("{{username}}", &escaped(&self.username))
            .replace("{{password}}", &escaped(password));
        Secret::new(url)
    }

    fn shown(&self) -> serde_json::Value {
        json!({
            "allowed_roles": self.allowed_roles,
            "connection_details": {
                "connection_url": self.url,
                "max_open_connections": self.connections_max,
                "password_authentication": self.authentication.name(),
                "tls_ca": self.authorities.as_deref().unwrap_or_default(),
                "username": self.username,
            },
            "password_policy": "",
            "plugin_name": PLUGIN,
            "plugin_version": "",
            "root_credentials_rotate_statements": self.root_rotation_statements,
        })
    }
}

/// What `config/:name` does.
pub(super) fn run(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let name = named::checked(name)?;
    let entry = Connection::entry(&call.mount.uuid, name);
    let found: Option<Connection> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => write(call, entry, found, work),
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing().into())
        }
        Operation::Read => {
            let connection = found.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(connection.shown()).into())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

/// A connection that is about to be stored, once the database has answered over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    entry: EntryName,
    /// What stood there when it was made: what was changed meanwhile is not overwritten.
    was: Option<Connection>,
    connection: Connection,
}

fn write(
    call: &Call,
    entry: EntryName,
    was: Option<Connection>,
    work: &mut Work<'_>,
) -> Result<Outcome, Stop> {
    if was.as_ref().is_some_and(|was| was.pending.is_some()) {
        return Err(VaultError::invalid(
            "the password of this connection is being rotated; try again in a minute",
        )
        .into());
    }
    let connection = of_body(&call.body, was.clone())?;
    refuse_taking_along(&call.body, was.as_ref(), &connection)?;
    if call.body.truth("verify_connection")? == Some(false) {
        work.put(&entry, &connection)?;
        return Ok(written(&call.body).into());
    }
    let effect = connection.effect(Vec::new());
    let candidate = Candidate {
        entry,
        was,
        connection,
    };
    Ok(Outcome::Then(Box::new(Then {
        effect,
        next: engine::Next::Database(Next::Connected(Box::new(candidate))),
    })))
}

/// Who may write a connection may not read its password. So the password that is stored is shown to nobody but the server and the user it was stored for: to name
/// another takes one of its own.
fn refuse_taking_along(
    body: &Body,
    was: Option<&Connection>,
    connection: &Connection,
) -> Result<(), VaultError> {
    let stored = was.filter(|was| was.password.is_some());
    let elsewhere = stored.is_some_and(|was| {
        was.url != connection.url
            || was.username != connection.username
            || was.authorities != connection.authorities
    });
    if elsewhere && body.text("password")?.is_none() {
        return Err(VaultError::invalid(
            "`password` must be sent again where `connection_url`, `username` or `tls_ca` changes: the stored password is not sent to another address",
        ));
    }
    Ok(())
}

/// Stores a connection over which the database has answered.
pub(super) fn connected(
    candidate: &Candidate,
    result: &EffectResult,
    work: &mut Work<'_>,
) -> Result<Outcome, Stop> {
    if let EffectResult::Failed(_) = result {
        return Err(VaultError::invalid("error verifying connection: the database does not answer with this URL, user name and password").into());
    }
    let stands: Option<Connection> = work.read(&candidate.entry)?;
    if stands != candidate.was {
        return Err(
            VaultError::invalid("the connection was changed meanwhile; write it again").into(),
        );
    }
    work.put(&candidate.entry, &candidate.connection)?;
    Ok(Answer::nothing().into())
}

fn written(body: &Body) -> Answer {
    let unused = ["max_idle_connections", "max_connection_lifetime"];
    let given = unused.into_iter().filter(|name| body.has(name));
    given.fold(Answer::nothing(), |answer, name| {
        answer.warning(format!("`{name}` has no effect here"))
    })
}

fn of_body(body: &Body, was: Option<Connection>) -> Result<Connection, VaultError> {
    for unsupported in ["username_template", "password_policy"] {
        if body.text(unsupported)?.is_some_and(|text| !text.is_empty()) {
            return Err(VaultError::invalid(format!(
                "`{unsupported}` is not supported: names and passwords are generated as by default"
            )));
        }
    }
    match body.text("plugin_name")? {
        Some(name) if name == PLUGIN => {}
        None if was.is_some() => {}
        Some(_) | None => {
            return Err(VaultError::invalid(format!(
                "`plugin_name` must be `{PLUGIN}`"
            )));
        }
    }
    let mut connection = was.unwrap_or_else(empty);
    if let Some(url) = body.text("connection_url")? {
        connection.url = checked_url(url)?;
    }
    if connection.url.is_empty() {
        return Err(VaultError::invalid("missing connection_url"));
    }
    if let Some(username) = body.text("username")? {
        connection.username = checked_username(username)?;
    }
    if let Some(password) = body.text("password")? {
        connection.password = Some(Password::new(password));
    }
    if let Some(roles) = body.texts("allowed_roles")? {
        connection.allowed_roles = roles;
    }
    for name in [
        "root_rotation_statements",
        "root_credentials_rotate_statements",
    ] {
        if let Some(statements) = statement::read(body, name)? {
            connection.root_rotation_statements = statements;
        }
    }
    if let Some(name) = body.text("password_authentication")? {
        connection.authentication = Authentication::from_name(&name)?;
    }
    if let Some(count) = body.count("max_open_connections")? {
        let count = u16::try_from(count).unwrap_or(CONNECTIONS_MAX);
        connection.connections_max = count.clamp(1, CONNECTIONS_MAX);
    }
    if let Some(pem) = body.text("tls_ca")? {
        connection.authorities = Some(pem).filter(|pem| !pem.trim().is_empty());
    }
    Ok(connection)
}

fn empty() -> Connection {
    Connection {
        url: String::new(),
        username: String::new(),
        password: None,
        pending: None,
        allowed_roles: Vec::new(),
        root_rotation_statements: Vec::new(),
        authentication: Authentication::Password,
        connections_max: 4,
        authorities: None,
    }
}

/// The name of a user of the database that others made. It may hold quotes; it never stands in a statement without being quoted.
pub(super) fn checked_username(name: String) -> Result<String, VaultError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(VaultError::invalid(
            "`username` must be 1 to 63 bytes without control characters",
        ));
    }
    Ok(name)
}

fn checked_url(url: String) -> Result<String, VaultError> {
    let refused = |text: &'static str| Err(VaultError::invalid(text));
    let Some(rest) = url
        .strip_prefix("postgresql://")
        .or_else(|| url.strip_prefix("postgres://"))
    else {
        return refused("`connection_url` must begin with `postgresql://`");
    };
    if url.len() > URL_BYTES_MAX
        || !url.bytes().all(|byte| byte.is_ascii_graphic())
        || url.contains('#')
    {
        return refused("`connection_url` holds characters that a URL cannot, or is too long");
    }
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = address.split_once('/').unwrap_or((address, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if !matches!(user, "" | "{{username}}" | "{{username}}:{{password}}") {
        return refused(
            "the user in `connection_url` must be `{{username}}:{{password}}`, with `username` and `password` beside it",
        );
    }
    let named =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    if host.is_empty() || host.starts_with(':') || !host.chars().all(named) {
        return refused("`connection_url` must name one host");
    }
    if database.contains("{{") || database.contains('/') {
        return refused("`connection_url` must name one database");
    }
    let known = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(name, value)| PARAMETERS.contains(&name) && !value.contains("{{"))
    };
    if !query.split('&').filter(|pair| !pair.is_empty()).all(known) {
        return refused(
            "`connection_url` may have the parameters `sslmode` and `application_name`",
        );
    }
    Ok(url)
}

/// A text as a part of a URL: everything but unreserved characters percent-encoded (RFC 3986 §2).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
