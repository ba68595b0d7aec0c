//! Who may sign in: names and verifiers, in a file of their own, and the statements that change them.
//!
//! Passwords are kept as verifiers, whether a statement brings one or the password itself. Only the superuser's sessions reach this file.

use super::rows::SqlError;
use super::sign_in::Verifier;
use countersign_base::Secret;
use countersign_crypto::{Random, scram};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

/// The file.
pub(super) struct Roles(Connection);

/// `CREATE ROLE "name" [LOGIN] [PASSWORD '...']`, `ALTER ROLE "name" [WITH] PASSWORD '...'`.
pub(super) enum RoleStatement {
    Alter {
        name: String,
        password: String,
    },
    Create {
        name: String,
        password: Option<String>,
    },
}

impl Roles {
    pub(super) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        let connection = super::rows::connection(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS roles (name TEXT PRIMARY KEY, verifier TEXT) WITHOUT ROWID",
        )?;
        Ok(Self(connection))
    }

    /// Makes the first role.
    pub(super) fn found(
        &self,
        name: &str,
        password: &Secret<String>,
        random: &Random,
    ) -> Result<(), SqlError> {
        let password = Some(password.expose().clone());
        let name = name.to_owned();
        self.carry_out(&RoleStatement::Create { name, password }, random)
            .map(|_tag| ())
    }

    /// The verifier of a role that can sign in.
    pub(super) fn verifier(&self, name: &str) -> Result<Option<Verifier>, rusqlite::Error> {
        let mut query = self
            .0
            .prepare("SELECT verifier FROM roles WHERE name = ?1")?;
        let found: Option<Option<String>> = query.query_row([name], |row| row.get(0)).optional()?;
        Ok(found.flatten().as_deref().and_then(Verifier::parse))
    }

    /// Begins, commits or takes back a transaction.
    pub(super) fn transaction(&self, statement: &str) -> Result<(), SqlError> {
        Ok(self.0.execute_batch(statement)?)
    }

    /// What a statement is called once it is done.
    pub(super) fn carry_out(
        &self,
        statement: &RoleStatement,
        random: &Random,
    ) -> Result<&'static str, SqlError> {
        match statement {
            RoleStatement::Alter { name, password } => {
                let verifier = kept(password, random)?;
                let changed = self.0.execute(
                    "UPDATE roles SET verifier = ?2 WHERE name = ?1",
                    params![name, verifier.expose()],
                )?;
                match changed {
                    0 => Err(SqlError::new("42704", "role does not exist")),
                    _ => Ok("ALTER ROLE"),
                }
            }
            RoleStatement::Create { name, password } => {
                let verifier = password.as_deref().map(|text| kept(text, random));
                let verifier = verifier.transpose()?;
                self.0.execute(
                    "INSERT INTO roles (name, verifier) VALUES (?1, ?2)",
                    params![name, verifier.as_ref().map(|kept| kept.expose())],
                )?;
                Ok("CREATE ROLE")
            }
        }
    }
}

/// The verifier of a password, which may have come as one.
fn kept(password: &str, random: &Random) -> Result<Secret<String>, SqlError> {
    if Verifier::parse(password).is_some() {
        return Ok(Secret::new(password.to_owned()));
    }
    scram::verifier(&Secret::new(password.to_owned()), random)
        .map_err(|_| SqlError::new("22023", "the password holds other characters than ASCII"))
}

impl RoleStatement {
    /// The statement, if it is one about roles. What follows what is known here makes it none.
    pub(super) fn parse(sql: &str) -> Option<Self> {
        let (creates, rest) = match (after(sql, "CREATE ROLE"), after(sql, "ALTER ROLE")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        let (name, mut rest) = quoted(rest, '"')?;
        let mut password = None;
        while !rest.trim().is_empty() {
            if let Some(next) = after(rest, "WITH").or_else(|| after(rest, "LOGIN")) {
                rest = next;
            } else {
                let (text, next) = quoted(after(rest, "PASSWORD")?, '\'')?;
                password = Some(text);
                rest = next;
            }
        }
        if creates {
            return Some(Self::Create { name, password });
        }
        password.map(|password| Self::Alter { name, password })
    }
}

/// What stands after these words.
fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (begin, rest) = text.trim_start().split_at_checked(words.len())?;
    begin.eq_ignore_ascii_case(words).then_some(rest)
}

/// What stands between two quotes, in which a doubled one is one, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = text.trim_start().strip_prefix(quote)?;
    let mut taken = String::new();
    loop {
        let (part, next) = rest.split_once(quote)?;
        taken.push_str(part);
        match next.strip_prefix(quote) {
            Some(more) => {
                taken.push(quote);
                rest = more;
            }
            None => return Some((taken, next)),
        }
    }
}
