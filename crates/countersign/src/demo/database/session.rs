//! One client's session: the sign-in, and then one message after the other.
//!
//! SQLite's calls wait for the disk, so they run where waiting is allowed. After a statement that failed, messages are passed over up to the next `Sync`, and a transaction
//! takes nothing but its end, as in PostgreSQL.

use super::roles::{RoleStatement, Roles};
use super::rows::{Form, Rows, SqlError};
use super::sign_in::{self, Verifier};
use super::wire::{self, Fields, Message, Reply};
use super::{DATABASE, Files, SUPERUSER};
use countersign_crypto::Random;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The one way to sign in.
const MECHANISM: &str = "SCRAM-SHA-256";
/// Statements that one session may have prepared.
const STATEMENTS_MAX: usize = 1_000;

/// What the session's statements are about.
enum Reached {
    /// The superuser's: roles.
    Roles(Roles),
    /// Everybody else's: rows.
    Rows(Rows),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// A statement of it failed.
    Failed,
    None,
    Open,
}

#[derive(Clone)]
struct Prepared {
    sql: String,
    types: Vec<i32>,
}

/// A session that is signed in.
pub(super) struct Session<S> {
    stream: S,
    reached: Option<Reached>,
    random: Random,
    transaction: Transaction,
    statements: BTreeMap<String, Prepared>,
    bound: Option<(Prepared, Vec<Option<Vec<u8>>>)>,
    /// Messages are passed over until the next `Sync`.
    passes_over: Passing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    Heard,
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Signs a client in.
    pub(super) async fn open(mut stream: S, files: &Arc<Files>) -> io::Result<Self> {
        let startup = wire::startup(&mut stream).await?;
        let mut reply = Reply::default();
        if signed_in(&mut stream, &startup.user, files)
            .await?
            .is_none()
        {
            reply.error("28P01", "password authentication failed");
            reply.send(&mut stream).await?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let reached = match (startup.user.as_str(), startup.database.as_str()) {
            (SUPERUSER, _) => Roles::open(&files.roles()).map(Reached::Roles),
            (_, DATABASE) => Rows::open(&files.rows()).map(Reached::Rows),
            (_, _) => {
                reply.error("3D000", "there is no such database for this role");
                reply.send(&mut stream).await?;
                return Err(io::ErrorKind::NotFound.into());
            }
        };
        let reached = reached.map_err(io::Error::other)?;
        reply.authentication(0, &[]);
        // Nothing is cancelled: the key that would do it is nobody's.
        reply.message(b'K', &[0; 8]);
        reply.ready(b'I');
        reply.send(&mut stream).await?;
        Ok(Self {
            stream,
            reached: Some(reached),
            random: files.random.clone(),
            transaction: Transaction::None,
            statements: BTreeMap::new(),
            bound: None,
            passes_over: Passing::Heard,
        })
    }

    /// Answers messages until the client is gone.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut reply = Reply::default();
        while let Some(message) = wire::next(&mut self.stream).await? {
            match message {
                Message::Terminate => break,
                Message::Sync => {
                    self.passes_over = Passing::Heard;
                    reply.ready(self.state());
                    reply.send(&mut self.stream).await?;
                }
                Message::Flush => reply.send(&mut self.stream).await?,
                Message::Query(sql) => {
                    if let Err(error) = self.simple(&sql, &mut reply).await {
                        self.failed(&error, &mut reply);
                    }
                    reply.ready(self.state());
                    reply.send(&mut self.stream).await?;
                }
                message if self.passes_over == Passing::Heard => {
                    if let Err(error) = self.extended(message, &mut reply).await {
                        self.failed(&error, &mut reply);
                        self.passes_over = Passing::Over;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    const fn state(&self) -> u8 {
        match self.transaction {
            Transaction::Failed => b'E',
            Transaction::None => b'I',
            Transaction::Open => b'T',
        }
    }

    fn failed(&mut self, error: &SqlError, reply: &mut Reply) {
        reply.error(error.code, error.text);
        if self.transaction == Transaction::Open {
            self.transaction = Transaction::Failed;
        }
    }

    async fn simple(&mut self, sql: &str, reply: &mut Reply) -> Result<(), SqlError> {
        if sql.trim().is_empty() {
            reply.message(b'I', &[]);
            return Ok(());
        }
        let prepared = Prepared {
            sql: sql.to_owned(),
            types: Vec::new(),
        };
        let answer = self.run(prepared, Vec::new(), Form::Text).await?;
        if !answer.columns.is_empty() {
            reply.columns(&answer.columns, 0);
        }
        answer.rows.iter().for_each(|row| reply.row(row));
        reply.complete(&answer.tag);
        Ok(())
    }

    async fn extended(&mut self, message: Message, reply: &mut Reply) -> Result<(), SqlError> {
        let unknown = SqlError::new("26000", "there is no such prepared statement");
        match message {
            Message::Parse { name, sql, types } => {
                if self.statements.len() >= STATEMENTS_MAX {
                    return Err(SqlError::new("53000", "too many prepared statements"));
                }
                self.statements.insert(name, Prepared { sql, types });
                reply.message(b'1', &[]);
            }
            Message::DescribeStatement(name) => {
                let prepared = self.statements.get(&name).cloned().ok_or(unknown)?;
                reply.parameters(&prepared.types);
                self.columns(prepared, reply).await?;
            }
            Message::DescribePortal => {
                let (prepared, _) = self.bound.clone().ok_or(unknown)?;
                self.columns(prepared, reply).await?;
            }
            Message::Bind { statement, values } => {
                let prepared = self.statements.get(&statement).cloned().ok_or(unknown)?;
                self.bound = Some((prepared, values));
                reply.message(b'2', &[]);
            }
            Message::Execute => {
                let (prepared, values) = self.bound.clone().ok_or(unknown)?;
                let answer = self.run(prepared, values, Form::Binary).await?;
                answer.rows.iter().for_each(|row| reply.row(row));
                reply.complete(&answer.tag);
            }
            Message::CloseStatement(name) => {
                self.statements.remove(&name);
                reply.message(b'3', &[]);
            }
            Message::ClosePortal => {
                self.bound = None;
                reply.message(b'3', &[]);
            }
            Message::Flush
            | Message::Password(_)
            | Message::Query(_)
            | Message::Sync
            | Message::Terminate => {
                return Err(SqlError::new("08P01", "a message out of its place"));
            }
        }
        Ok(())
    }

    async fn columns(&mut self, prepared: Prepared, reply: &mut Reply) -> Result<(), SqlError> {
        let described = self
            .apart(move |reached| match reached {
                Reached::Roles(_) => Ok(Vec::new()),
                Reached::Rows(rows) => rows.describe(&prepared.sql),
            })
            .await?;
        if described.is_empty() {
            reply.message(b'n', &[]);
        } else {
            reply.columns(&described, 1);
        }
        Ok(())
    }

    async fn run(
        &mut self,
        prepared: Prepared,
        values: Vec<Option<Vec<u8>>>,
        form: Form,
    ) -> Result<super::rows::Answer, SqlError> {
        let word = prepared.sql.split([' ', ';']).next().unwrap_or_default();
        let word = word.to_ascii_uppercase();
        let failed = self.transaction == Transaction::Failed;
        if failed && !matches!(word.as_str(), "COMMIT" | "ROLLBACK") {
            return Err(SqlError::new(
                "25P02",
                "a statement of this transaction failed",
            ));
        }
        let (next, statement) = match word.as_str() {
            "BEGIN" => (Transaction::Open, Some("BEGIN IMMEDIATE")),
            // What failed is not committed, whatever is asked for.
            "COMMIT" if !failed => (Transaction::None, Some("COMMIT")),
            "COMMIT" | "ROLLBACK" => (Transaction::None, Some("ROLLBACK")),
            _ => (self.transaction, None),
        };
        let random = self.random.clone();
        let answer = self
            .apart(move |reached| match (reached, statement) {
                (Reached::Roles(roles), Some(statement)) => {
                    roles.transaction(statement).map(|()| done(&word))
                }
                (Reached::Roles(roles), None) => match RoleStatement::parse(&prepared.sql) {
                    Some(statement) => roles.carry_out(&statement, &random).map(done),
                    None => Err(SqlError::new("42601", "the superuser changes roles here")),
                },
                (Reached::Rows(rows), Some(statement)) => {
                    rows.run(statement, &[], &[], form).map(|_| done(&word))
                }
                (Reached::Rows(_), None) if RoleStatement::parse(&prepared.sql).is_some() => {
                    Err(SqlError::new("42501", "only the superuser changes roles"))
                }
                (Reached::Rows(rows), None) if prepared.sql == "CHECKPOINT" => {
                    rows.checkpoint().map(|()| done("CHECKPOINT"))
                }
                (Reached::Rows(rows), None) => {
                    rows.run(&prepared.sql, &prepared.types, &values, form)
                }
            })
            .await?;
        self.transaction = next;
        Ok(answer)
    }

    /// Runs what waits for the disk where waiting is allowed.
    async fn apart<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Reached) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let gone = SqlError::new("58000", "the session ended");
        let Some(reached) = self.reached.take() else {
            return Err(gone);
        };
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&reached);
            (reached, result)
        });
        let Ok((reached, result)) = worked.await else {
            return Err(gone);
        };
        self.reached = Some(reached);
        result
    }
}

/// An answer without rows.
fn done(tag: &str) -> super::rows::Answer {
    super::rows::Answer {
        columns: Vec::new(),
        rows: Vec::new(),
        tag: tag.to_owned(),
    }
}

/// Evidence that a client knows the password of the role.
#[must_use]
struct SignedIn(());

async fn signed_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    user: &str,
    files: &Arc<Files>,
) -> io::Result<Option<SignedIn>> {
    let known = Roles::open(&files.roles())
        .and_then(|roles| roles.verifier(user))
        .map_err(io::Error::other)?;
    let verifier = known.or_else(|| Verifier::of_nobody(&files.random));
    let verifier = verifier.ok_or(io::ErrorKind::Other)?;
    let mut reply = Reply::default();
    reply.authentication(10, format!("{MECHANISM}\0\0").as_bytes());
    reply.send(stream).await?;
    let Some(first) = said(stream).await?.as_deref().and_then(initial) else {
        return Ok(None);
    };
    let Some(begun) = sign_in::begin(&first, &verifier, &files.random) else {
        return Ok(None);
    };
    reply.authentication(11, begun.server_first().as_bytes());
    reply.send(stream).await?;
    let last = said(stream)
        .await?
        .and_then(|body| String::from_utf8(body).ok());
    let Some(known) = last.and_then(|last| begun.finish(&last, &verifier)) else {
        return Ok(None);
    };
    reply.authentication(12, known.server_final.as_bytes());
    reply.send(stream).await?;
    Ok(Some(SignedIn(())))
}

/// What a client answers in the sign-in.
async fn said(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    match wire::next(stream).await? {
        Some(Message::Password(body)) => Ok(Some(body)),
        _ => Ok(None),
    }
}

/// The mechanism's first message, if the mechanism is ours.
fn initial(body: &[u8]) -> Option<String> {
    let mut fields = Fields(body);
    let (mechanism, length) = (fields.text()?, fields.long()?);
    let length = usize::try_from(length).ok()?;
    (mechanism == MECHANISM && fields.0.len() == length)
        .then(|| String::from_utf8(fields.0.to_vec()).ok())
        .flatten()
}
