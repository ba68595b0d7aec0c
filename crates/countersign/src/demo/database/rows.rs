//! Statements on the rows, carried out by SQLite: what they are, what they answer, and in which form.
//!
//! A column of an answer has the type of the table's column of that name, and is text where no table has one. What is overwritten or deleted is overwritten with zeros
//! (`secure_delete`): a key that was erased is not to lie in a free page.

use rusqlite::types::{Value as Sqlite, ValueRef};
use rusqlite::{Connection, ErrorCode};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long one session waits for another's transaction.
const BUSY: Duration = Duration::from_secs(5);

/// The types that there are, by PostgreSQL's numbers.
pub(super) const BYTEA: i32 = 17;
pub(super) const BIGINT: i32 = 20;
pub(super) const TEXT: i32 = 25;

/// A statement that failed: SQLSTATE, and a text without what the statement holds.
#[derive(Debug)]
pub(super) struct SqlError {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

impl SqlError {
    pub(super) const fn new(code: &'static str, text: &'static str) -> Self {
        Self { code, text }
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => {
                Self::new("23505", "a constraint does not hold")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::new("55P03", "another session's transaction holds the rows")
            }
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                Self::new("58030", "the file cannot be written")
            }
            Some(_) | None => Self::new("42601", "a statement that this server does not know"),
        }
    }
}

/// The form of values in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Binary,
    Text,
}

/// What a statement answers.
pub(super) struct Answer {
    pub(super) columns: Vec<(String, i32)>,
    pub(super) rows: Vec<Vec<Option<Vec<u8>>>>,
    /// `SELECT 3`, as clients are told.
    pub(super) tag: String,
}

/// One session's connection to the file.
pub(super) struct Rows(Connection);

/// A file, written so that what is acknowledged is on the disk.
pub(super) fn connection(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(connection)
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        connection(path).map(Self)
    }

    /// The columns that a statement answers with.
    pub(super) fn describe(&self, sql: &str) -> Result<Vec<(String, i32)>, SqlError> {
        let statement = self.0.prepare(sql)?;
        let known = self.types()?;
        let names = statement.column_names();
        let typed = |name: &str| (name.to_owned(), known.get(name).copied().unwrap_or(TEXT));
        Ok(names.into_iter().map(typed).collect())
    }

    fn types(&self) -> Result<BTreeMap<String, i32>, rusqlite::Error> {
        let mut query = self.0.prepare(
            "SELECT c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
        )?;
        let named = |row: &rusqlite::Row<'_>| {
            let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
            let kind = match declared.as_str() {
                "BIGINT" => BIGINT,
                "BYTEA" => BYTEA,
                _ => TEXT,
            };
            Ok((name, kind))
        };
        query.query_map([], named)?.collect()
    }

    /// Carries a statement out.
    pub(super) fn run(
        &self,
        sql: &str,
        types: &[i32],
        values: &[Option<Vec<u8>>],
        form: Form,
    ) -> Result<Answer, SqlError> {
        let columns = self.describe(sql)?;
        let mut statement = self.0.prepare(sql)?;
        for (place, value) in values.iter().enumerate() {
            let kind = types.get(place).copied().unwrap_or(TEXT);
            let name = format!("${}", place.saturating_add(1));
            let index = statement.parameter_index(&name)?;
            let index = index.ok_or(SqlError::new("42P02", "there is no such parameter"))?;
            statement.raw_bind_parameter(index, read(value.as_deref(), kind)?)?;
        }
        let mut rows = Vec::new();
        let mut found = statement.raw_query();
        while let Some(row) = found.next()? {
            let written = columns.iter().enumerate().map(|(place, (_, kind))| {
                let value = row.get_ref(place)?;
                written(value, *kind, form).ok_or(SqlError::new("42804", "a value of another type"))
            });
            rows.push(written.collect::<Result<_, SqlError>>()?);
        }
        drop(found);
        let changed = self.0.changes();
        let tag = tag(sql, rows.len(), changed);
        Ok(Answer { columns, rows, tag })
    }

    /// Empties the write-ahead log into the file, so that what was overwritten is in neither. Where somebody reads, the next commit does it.
    pub(super) fn checkpoint(&self) -> Result<(), SqlError> {
        Ok(self
            .0
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// A parameter in PostgreSQL's binary form.
fn read(value: Option<&[u8]>, kind: i32) -> Result<Sqlite, SqlError> {
    let wrong = SqlError::new(
        "22P03",
        "a parameter is not of the type that it is said to be",
    );
    let Some(bytes) = value else {
        return Ok(Sqlite::Null);
    };
    match kind {
        BIGINT => match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => Ok(Sqlite::Integer(i64::from_be_bytes(bytes))),
            Err(_) => Err(wrong),
        },
        BYTEA => Ok(Sqlite::Blob(bytes.to_vec())),
        TEXT => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(Sqlite::Text(text)),
            Err(_) => Err(wrong),
        },
        _ => Err(SqlError::new(
            "0A000",
            "a parameter's type is not known here",
        )),
    }
}

/// A value for a client; none where it is not of the column's type.
fn written(value: ValueRef<'_>, kind: i32, form: Form) -> Option<Option<Vec<u8>>> {
    Some(Some(match (value, kind, form) {
        (ValueRef::Null, _, _) => return Some(None),
        (ValueRef::Integer(number), BIGINT, Form::Binary) => number.to_be_bytes().to_vec(),
        (ValueRef::Integer(number), BIGINT | TEXT, _) => number.to_string().into_bytes(),
        (ValueRef::Text(text), TEXT, _) => text.to_vec(),
        (ValueRef::Blob(bytes), BYTEA, Form::Binary) => bytes.to_vec(),
        (ValueRef::Blob(bytes), BYTEA, Form::Text) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("\\x{}", digits.collect::<String>()).into_bytes()
        }
        _ => return None,
    }))
}

fn tag(sql: &str, rows: usize, changed: u64) -> String {
    let words = sql.split_whitespace().next().unwrap_or_default();
    match words.to_ascii_uppercase().as_str() {
        "SELECT" => format!("SELECT {rows}"),
        "INSERT" => format!("INSERT 0 {changed}"),
        word @ ("UPDATE" | "DELETE") => format!("{word} {changed}"),
        word => word.to_owned(),
    }
}
