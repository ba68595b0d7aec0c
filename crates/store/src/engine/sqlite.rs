//! SQLite, called where the caller stands: no thread in between.
//!
//! Statements are prepared once a connection, and most are a few microseconds of work on pages that are in memory: handing each to another thread cost more
//! than the statement itself. What waits for the disk, the commit, happens on the writer's own thread; what reads is bounded by its `LIMIT`.

use super::connection::Value;
use crate::StoreError;
use countersign_base::Duration;
use rusqlite::types::{ToSql, ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{CachedStatement, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Prepared statements that a connection keeps: more than the catalogue has.
const STATEMENTS_MAX: usize = 512;

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// One connection to a file.
pub(crate) struct SqliteConnection(rusqlite::Connection);

/// One row, its values copied out of SQLite's memory.
pub(crate) struct SqliteRow(Vec<Stored>);

impl SqliteConnection {
    /// Opens the file, which exists, with the settings of this program.
    pub(crate) fn open(path: &Path, access: Access, lock_wait: Duration) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::with_settings(
            rusqlite::Connection::open_with_flags(path, flags)?,
            access,
            lock_wait,
        )
    }

    #[cfg(test)]
    pub(crate) fn in_memory() -> rusqlite::Result<Self> {
        let connection = rusqlite::Connection::open_in_memory()?;
        Self::with_settings(connection, Access::Write, Duration::from_secs(1))
    }

    fn with_settings(
        connection: rusqlite::Connection,
        access: Access,
        lock_wait: Duration,
    ) -> rusqlite::Result<Self> {
        connection.busy_timeout(std::time::Duration::from_secs(lock_wait.as_secs()))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        match access {
            Access::Read => connection.pragma_update(None, "query_only", true)?,
            Access::Write => {}
        }
        Ok(Self(connection))
    }

    /// Every row that the statement finds.
    pub(crate) fn fetch_all(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> rusqlite::Result<Vec<SqliteRow>> {
        let mut statement = self.bound(sql, values)?;
        let columns = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            found.push(SqliteRow::of(row, columns)?);
        }
        Ok(found)
    }

    /// The first row that the statement finds.
    pub(crate) fn fetch_optional(
        &mut self,
        sql: &str,
        values: &[Value],
    ) -> rusqlite::Result<Option<SqliteRow>> {
        let mut statement = self.bound(sql, values)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        rows.next()?
            .map(|row| SqliteRow::of(row, columns))
            .transpose()
    }

    /// Runs a statement that changes rows; returns how many it changed.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value]) -> rusqlite::Result<u64> {
        let changed = self.bound(sql, values)?.raw_execute()?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// Runs commands about the transaction itself, divided by `; `.
    pub(crate) fn control(&mut self, commands: &str) -> rusqlite::Result<()> {
        for command in commands.split("; ") {
            self.0.prepare_cached(command)?.raw_execute()?;
        }
        Ok(())
    }

    /// Reads the statement and runs nothing.
    pub(crate) fn prepare(&mut self, sql: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(sql).map(drop)
    }

    /// Runs a whole file of statements.
    pub(crate) fn execute_batch(&mut self, sql: &str) -> rusqlite::Result<()> {
        self.0.execute_batch(sql)
    }

    /// Closes the connection. The last one of a file folds its write-ahead log into the database.
    pub(crate) fn close(self) -> rusqlite::Result<()> {
        self.0.close().map_err(|(_, error)| error)
    }

    /// The statement with its parameters. SQLite numbers `$1` and `$2` in the order in which a statement names them, so that each is bound by its name.
    fn bound(&self, sql: &str, values: &[Value]) -> rusqlite::Result<CachedStatement<'_>> {
        let mut statement = self.0.prepare_cached(sql)?;
        for index in 1..=statement.parameter_count() {
            let value = statement
                .parameter_name(index)
                .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
                .and_then(|number| values.get(number.checked_sub(1)?))
                .ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(statement)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Blob(bytes) | Self::BlobOrNull(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Int(number) | Self::IntOrNull(Some(number)) => ValueRef::Integer(*number),
            Self::Text(text) | Self::TextOrNull(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::BlobOrNull(None) | Self::IntOrNull(None) | Self::TextOrNull(None) => {
                ValueRef::Null
            }
        }))
    }
}

impl SqliteRow {
    fn of(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Self> {
        (0..columns)
            .map(|column| row.get(column))
            .collect::<rusqlite::Result<_>>()
            .map(Self)
    }

    /// The value of the column at `index`.
    pub(crate) fn get<T: Column>(&self, index: usize) -> Result<T, StoreError> {
        self.0.get(index).and_then(T::of).ok_or_else(|| {
            StoreError::corrupt(
                "of the answer",
                format_args!("column {index} is missing or of another type"),
            )
        })
    }
}

/// What a column of SQLite is read as. Nothing is converted, but that a truth is a number.
pub(crate) trait Column: Sized {
    /// The value, if it is of this type.
    fn of(stored: &Stored) -> Option<Self>;
}

impl Column for bool {
    fn of(stored: &Stored) -> Option<Self> {
        i64::of(stored).map(|number| number != 0)
    }
}

impl Column for i64 {
    fn of(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Integer(number) => Some(*number),
            Stored::Blob(_) | Stored::Null | Stored::Real(_) | Stored::Text(_) => None,
        }
    }
}

impl Column for String {
    fn of(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Text(text) => Some(text.clone()),
            Stored::Blob(_) | Stored::Integer(_) | Stored::Null | Stored::Real(_) => None,
        }
    }
}

impl Column for Vec<u8> {
    fn of(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Blob(bytes) => Some(bytes.clone()),
            Stored::Integer(_) | Stored::Null | Stored::Real(_) | Stored::Text(_) => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn of(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Null => Some(None),
            Stored::Blob(_) | Stored::Integer(_) | Stored::Real(_) | Stored::Text(_) => {
                T::of(stored).map(Some)
            }
        }
    }
}

/// The connections that read.
#[derive(Clone)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
    permits: Arc<Semaphore>,
    connections: u32,
    wait: Duration,
}

/// A connection of [`Readers`], which goes back when it is dropped.
pub(crate) struct Reader {
    connection: Option<SqliteConnection>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    /// Readers that are waited for as long as `wait`.
    pub(crate) fn of(connections: Vec<SqliteConnection>, wait: Duration) -> Self {
        Self {
            connections: u32::try_from(connections.len()).unwrap_or(u32::MAX),
            permits: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            wait,
        }
    }

    /// A connection, when one is free.
    pub(crate) async fn acquire(&self) -> Result<Reader, StoreError> {
        let wait = std::time::Duration::from_secs(self.wait.as_secs());
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(wait, Arc::clone(&self.permits).acquire_owned())
                .await
                .map_err(|_| StoreError::NoReader)?
                .map_err(|_| StoreError::Closed)?,
        };
        let connection = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Ok(Reader {
            connection: Some(connection.ok_or(StoreError::Closed)?),
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    /// Closes every connection; those that are out first come back.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(self.connections).await;
        self.permits.close();
        drop(all);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Reader {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.connection.as_mut().ok_or(StoreError::Closed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}
