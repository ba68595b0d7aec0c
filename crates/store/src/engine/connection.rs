//! One connection to either engine, the values that go in and the rows that come out.

use super::sqlite::{Column, Reader, SqliteConnection, SqliteRow};
use crate::StoreError;
use crate::catalogue::Statement;
use crate::parsed::ParsedClients;
use crate::tables::audit_outbox::{self, Added};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{Decode, PgConnection, Postgres, Row as _, Type};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A connection that can read. Table functions that only read take one; those that write take a [`Transaction`].
pub struct Connection {
    link: Link,
    /// Set by the first failed statement: SQLite may have rolled the whole transaction back by itself, so nothing more may run on it.
    failed: bool,
    parsed_clients: Arc<ParsedClients>,
}

enum Link {
    PostgresOwned(PgConnection),
    PostgresPooled(PoolConnection<Postgres>),
    PostgresTransaction(sqlx::Transaction<'static, Postgres>),
    SqliteReader(Reader),
    SqliteWriter(SqliteConnection),
}

/// A connection inside a transaction that the store began and will end. It is lent to a unit of work, which cannot end it.
pub struct Transaction {
    connection: Connection,
    /// Events of the units so far, for the outbox: written together before the commit.
    events: Vec<Added>,
    savepoint: Savepoint,
}

/// Whether the changes of the current unit can be undone alone. On SQLite only a unit that changes something gets a savepoint. On PostgreSQL a unit has its
/// whole transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Savepoint {
    /// The open one is the current unit's, or none is needed.
    Own,
    /// The open one is that of a unit before: to be released and begun anew before the first change.
    Earlier,
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Blob(Vec<u8>),
    BlobOrNull(Option<Vec<u8>>),
    Int(i64),
    IntOrNull(Option<i64>),
    Text(String),
    TextOrNull(Option<String>),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from! {
    &[u8] => Blob,
    &[u8; 12] => Blob,
    &[u8; 16] => Blob,
    &[u8; 32] => Blob,
    &str => Text,
    Option<Vec<u8>> => BlobOrNull,
    Option<i64> => IntOrNull,
    Option<String> => TextOrNull,
    String => Text,
    Vec<u8> => Blob,
    i64 => Int,
}

/// The parameters of a statement, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::engine::Value::from($value)),*] };
}
pub(crate) use args;

/// One row of an answer. Columns are taken by position, in the order the statement names them.
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// The value of the column at `index`.
    pub(crate) fn get<T>(&self, index: usize) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Column,
    {
        match self {
            Self::Postgres(row) => row.try_get(index).map_err(StoreError::from),
            Self::Sqlite(row) => row.get(index),
        }
    }
}

/// Binds the values to the statement for PostgreSQL.
macro_rules! query {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Blob(value) => query.bind(value),
                Value::BlobOrNull(value) => query.bind(value),
                Value::Int(value) => query.bind(value),
                Value::IntOrNull(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::TextOrNull(value) => query.bind(value),
            };
        }
        query
    }};
}

/// Runs `method` of the statement on whichever engine this is, and maps what comes out.
///
/// What `sqlx` needs to wait for a server is kilobytes, and stands in the future of whoever asks, and of whoever asks that: so it is on the heap.
macro_rules! run {
    ($link:expr, $statement:expr, $values:expr, $method:ident, $sqlite:expr, $postgres:expr) => {
        match $link {
            Link::PostgresOwned(link) => {
                Box::pin(query!($statement.postgres, $values).$method(link))
                    .await
                    .map($postgres)
                    .map_err(StoreError::from)
            }
            Link::PostgresPooled(link) => {
                Box::pin(query!($statement.postgres, $values).$method(&mut **link))
                    .await
                    .map($postgres)
                    .map_err(StoreError::from)
            }
            Link::PostgresTransaction(link) => {
                Box::pin(query!($statement.postgres, $values).$method(&mut **link))
                    .await
                    .map($postgres)
                    .map_err(StoreError::from)
            }
            Link::SqliteReader(link) => link.connection().and_then(|link| {
                link.$method($statement.sqlite, &$values)
                    .map($sqlite)
                    .map_err(StoreError::from)
            }),
            Link::SqliteWriter(link) => link
                .$method($statement.sqlite, &$values)
                .map($sqlite)
                .map_err(StoreError::from),
        }
    };
}

impl Connection {
    pub(crate) const fn sqlite_reader(link: Reader, parsed: Arc<ParsedClients>) -> Self {
        Self::of(Link::SqliteReader(link), parsed)
    }

    /// A connection of its own: what its session holds ends with it.
    pub(crate) const fn postgres_owned(link: PgConnection, parsed: Arc<ParsedClients>) -> Self {
        Self::of(Link::PostgresOwned(link), parsed)
    }

    pub(crate) const fn postgres_reader(
        link: PoolConnection<Postgres>,
        parsed: Arc<ParsedClients>,
    ) -> Self {
        Self::of(Link::PostgresPooled(link), parsed)
    }

    const fn of(link: Link, parsed_clients: Arc<ParsedClients>) -> Self {
        Self {
            link,
            failed: false,
            parsed_clients,
        }
    }

    /// What client records were parsed before, on any connection of the store.
    pub(crate) fn parsed_clients(&self) -> &ParsedClients {
        &self.parsed_clients
    }

    /// The row that the statement finds, if it finds one.
    pub(crate) async fn fetch_optional(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        self.usable()?;
        let found = run!(
            &mut self.link,
            statement,
            values,
            fetch_optional,
            |row: Option<SqliteRow>| row.map(Row::Sqlite),
            |row: Option<PgRow>| row.map(Row::Postgres)
        );
        self.noted(found)
    }

    /// Every row that the statement finds. Statements that may find many carry a `LIMIT`.
    pub(crate) async fn fetch_all(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.usable()?;
        let found = run!(
            &mut self.link,
            statement,
            values,
            fetch_all,
            |rows: Vec<SqliteRow>| rows.into_iter().map(Row::Sqlite).collect(),
            |rows: Vec<PgRow>| rows.into_iter().map(Row::Postgres).collect()
        );
        self.noted(found)
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::NotCommitted(
                "an earlier statement of the same unit failed".to_owned(),
            ));
        }
        Ok(())
    }

    fn noted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|_| self.failed = true)
    }
}

impl Transaction {
    pub(crate) const fn sqlite(link: SqliteConnection, parsed: Arc<ParsedClients>) -> Self {
        Self::of(Connection::of(Link::SqliteWriter(link), parsed))
    }

    pub(crate) const fn postgres(
        link: sqlx::Transaction<'static, Postgres>,
        parsed: Arc<ParsedClients>,
    ) -> Self {
        Self::of(Connection::of(Link::PostgresTransaction(link), parsed))
    }

    const fn of(connection: Connection) -> Self {
        Self {
            connection,
            events: Vec::new(),
            savepoint: Savepoint::Own,
        }
    }

    /// Leaves an event for the outbox: it is written before the commit, unless the unit fails.
    pub(crate) fn add_to_outbox(&mut self, event: Added) {
        self.events.push(event);
    }

    /// How many events are left so far; what [`Self::forget_events_after`] goes back to.
    pub(crate) const fn events(&self) -> usize {
        self.events.len()
    }

    /// Drops the events of a unit that failed.
    pub(crate) fn forget_events_after(&mut self, events: usize) {
        self.events.truncate(events);
    }

    /// Writes the events that units left: the last thing before a commit.
    pub(crate) async fn write_events(&mut self) -> Result<(), StoreError> {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return Ok(());
        }
        audit_outbox::add_all(self, &events).await
    }

    /// Whose the open savepoint is.
    pub(crate) const fn savepoint(&self) -> Savepoint {
        self.savepoint
    }

    /// Says whose the open savepoint is.
    pub(crate) const fn set_savepoint(&mut self, savepoint: Savepoint) {
        self.savepoint = savepoint;
    }

    /// Begins a savepoint for the current unit, and with that ends the one before for good. Fails if SQLite has rolled the transaction back by itself.
    pub(crate) async fn begin_savepoint(&mut self) -> Result<(), StoreError> {
        self.control("RELEASE unit; SAVEPOINT unit").await?;
        self.savepoint = Savepoint::Own;
        Ok(())
    }

    /// Runs a statement that changes rows; returns how many it changed.
    pub(crate) async fn execute(
        &mut self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        self.usable()?;
        if self.savepoint == Savepoint::Earlier {
            let begun = self.begin_savepoint().await;
            self.connection.noted(begun)?;
        }
        let changed = run!(
            &mut self.connection.link,
            statement,
            values,
            execute,
            |changed: u64| changed,
            |done: sqlx::postgres::PgQueryResult| done.rows_affected()
        );
        self.connection.noted(changed)
    }

    /// Runs commands that are about the transaction itself (savepoints), divided by `; `; works after a failed statement too.
    pub(crate) async fn control(&mut self, commands: &'static str) -> Result<(), StoreError> {
        match &mut self.connection.link {
            Link::SqliteWriter(link) => link.control(commands)?,
            Link::SqliteReader(link) => link.connection()?.control(commands)?,
            Link::PostgresTransaction(link) => {
                Box::pin(sqlx::query(commands).execute(&mut **link)).await?;
            }
            Link::PostgresOwned(link) => {
                Box::pin(sqlx::query(commands).execute(link)).await?;
            }
            Link::PostgresPooled(link) => {
                Box::pin(sqlx::query(commands).execute(&mut **link)).await?;
            }
        }
        Ok(())
    }

    /// Whether a statement of the current unit failed, whatever the unit made of it.
    pub(crate) const fn has_failed(&self) -> bool {
        self.connection.failed
    }

    /// Makes the connection usable for the next unit, after the savepoint or the transaction of the failed one is gone.
    pub(crate) const fn forget_failure(&mut self) {
        self.connection.failed = false;
    }

    /// Ends the transaction of a unit on PostgreSQL, keeping its changes.
    pub(crate) async fn commit_postgres(self) -> Result<(), sqlx::Error> {
        match self.connection.link {
            Link::PostgresTransaction(link) => link.commit().await,
            Link::PostgresOwned(_)
            | Link::PostgresPooled(_)
            | Link::SqliteReader(_)
            | Link::SqliteWriter(_) => Ok(()),
        }
    }

    /// Closes the writer's connection to SQLite, which folds the write-ahead log into the database.
    pub(crate) fn close_sqlite(self) -> Result<(), StoreError> {
        match self.connection.link {
            Link::SqliteWriter(link) => link.close().map_err(StoreError::from),
            Link::PostgresOwned(_)
            | Link::PostgresPooled(_)
            | Link::PostgresTransaction(_)
            | Link::SqliteReader(_) => Ok(()),
        }
    }
}
