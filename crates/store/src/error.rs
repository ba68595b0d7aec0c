//! What can go wrong between this program and its database, and whose fault it is.
//!
//! A refusal (a spent code, a replayed assertion) is not an error: it is a result that the caller's `judge` decides on.

use crate::audit::AuditUnavailable;
use std::path::PathBuf;

/// Why the store could not do what was asked. Nothing of the unit that failed is in the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store was closed; the process is going down.
    #[error("the store is closed")]
    Closed,
    /// Another transaction held what this one needed for too long, or the database chose this one as the victim of a deadlock.
    #[error("the database is contended; nothing was changed, try again")]
    Contended(#[source] DatabaseError),
    /// A rule of the schema refused the change: a duplicate, or a reference to what does not exist.
    #[error("the change contradicts what is stored ({0})")]
    Conflict(Constraint, #[source] DatabaseError),
    /// A stored value does not have the form that this version of the program writes.
    #[error("stored data of table `{table}` is not readable: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with the value; never the value itself.
        reason: String,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] DatabaseError),
    /// There are as many rows of a kind as a tenant may have.
    #[error("table `{0}` has as many rows of this tenant as are allowed; nothing was changed")]
    Full(&'static str),
    /// The transaction that this unit shared with others could not be committed.
    #[error("the commit failed; nothing of it was kept: {0}")]
    NotCommitted(String),
    /// More work is waiting than the queue may hold.
    #[error("the store is overloaded: {0} units of work are waiting already")]
    Overloaded(usize),
    /// Every connection that reads was in use for too long.
    #[error("the database is busy: no connection became free in time")]
    NoReader,
    /// The audit log did not take the record of what was decided, so that it does not happen.
    #[error("the decision could not be recorded")]
    Unrecorded(#[from] AuditUnavailable),
    /// The code of a unit panicked; its changes were rolled back.
    #[error("a unit of work panicked; its changes were rolled back")]
    Panicked,
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema version {found}, and this version of countersign knows {known}: start the newer version, or restore the backup made before it ran"
    )]
    NewerSchema {
        /// The version in the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A migration that was applied is not the one that this program carries.
    #[error(
        "migration {version} was applied in another form than this version of countersign carries: do not edit migrations or mix builds on one database"
    )]
    ChangedMigration {
        /// The version of the migration.
        version: i64,
    },
    /// The database could not be opened.
    #[error("cannot open the database at `{at}`")]
    Open {
        /// The file, or the server without credentials.
        at: String,
        /// What the database answered.
        #[source]
        source: DatabaseError,
    },
    /// The directory of the database could not be made.
    #[error("cannot prepare the directory `{}`", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// A row is no longer what the change builds on; somebody else was first.
    #[error("table `{0}` changed meanwhile; nothing was changed, look again")]
    Superseded(&'static str),
    /// The thread of the database could not be started.
    #[error("the thread of the database cannot be started")]
    Thread(#[source] std::io::Error),
    /// The address of a store is none.
    #[error("`{0}` is no address of a store: expected `sqlite:PATH` or `postgres://...`")]
    Address(String),
}

/// What a database said.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL, or the way to it.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Which kind of rule refused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// A check or a missing value.
    Check,
    /// What it refers to does not exist, or is still referred to.
    Reference,
    /// There is one already.
    Unique,
}

impl std::fmt::Display for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Check => "a value is not allowed",
            Self::Reference => "what it refers to is missing or still in use",
            Self::Unique => "there is one already",
        })
    }
}

impl StoreError {
    /// A stored value that cannot be read back.
    pub(crate) fn corrupt(table: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            table,
            reason: reason.to_string(),
        }
    }

    /// Whether running the same unit again from its start can succeed.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

/// SQLSTATE codes after which the same transaction may be run again: serialization failure, deadlock, lock timeout.
const TRANSIENT: [&str; 3] = ["40001", "40P01", "55P03"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        let sqlx::Error::Database(database) = &error else {
            return if matches!(error, sqlx::Error::PoolTimedOut) {
                Self::Contended(error.into())
            } else {
                Self::Database(error.into())
            };
        };
        let kind = match database.kind() {
            ErrorKind::UniqueViolation => Some(Constraint::Unique),
            ErrorKind::ForeignKeyViolation => Some(Constraint::Reference),
            ErrorKind::CheckViolation
            | ErrorKind::NotNullViolation
            | ErrorKind::ExclusionViolation => Some(Constraint::Check),
            _ => None,
        };
        let transient = database
            .code()
            .is_some_and(|code| TRANSIENT.contains(&code.as_ref()));
        match kind {
            Some(kind) => Self::Conflict(kind, error.into()),
            None if transient => Self::Contended(error.into()),
            None => Self::Database(error.into()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let kind = match error.sqlite_error().map(|sqlite| sqlite.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => {
                Constraint::Unique
            }
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Constraint::Reference,
            Some(ffi::SQLITE_CONSTRAINT_CHECK | ffi::SQLITE_CONSTRAINT_NOTNULL) => {
                Constraint::Check
            }
            _ => return Self::Database(error.into()),
        };
        Self::Conflict(kind, error.into())
    }
}
