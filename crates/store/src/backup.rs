//! A copy of a SQLite database while it is written: consistent, of one instant, without holding up its writer.
//!
//! PostgreSQL has `pg_dump` for that. Not here: encryption and the audit log's files, which `countersign backup` adds.

use crate::StoreError;
use countersign_base::EventId;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

fn opened(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(connection)
    };
    open().map_err(|source: rusqlite::Error| StoreError::Open {
        at: path.display().to_string(),
        source: source.into(),
    })
}

/// Copies the database at `from` to `to`, which does not exist. It reads one snapshot (`VACUUM INTO`): what is committed meanwhile is not in it.
///
/// # Errors
/// When a file cannot be opened or written.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    let to = to
        .to_str()
        .ok_or_else(|| StoreError::corrupt("database", "the path of the copy is not UTF-8 text"))?;
    opened(from)?.execute("VACUUM INTO ?1", [to])?;
    Ok(())
}

/// Takes events out of the outbox of a copy that the copied log has already; how many they were. The log is copied later than the database, so that nothing is
/// missing from it; without this, it would get them twice.
///
/// # Errors
/// When the copy cannot be opened or written.
pub fn forget_outbox(copy: &Path, logged: &[EventId]) -> Result<usize, StoreError> {
    let mut connection = opened(copy)?;
    let unit = connection.transaction()?;
    let mut forgotten = 0;
    for event in logged {
        let id = event.as_bytes().as_slice();
        forgotten += unit.execute("DELETE FROM audit_outbox WHERE event_id = ?1", [id])?;
    }
    unit.commit()?;
    Ok(forgotten)
}

/// Checks every page and index of a database.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn check_sqlite(path: &Path) -> Result<(), StoreError> {
    let connection = opened(path)?;
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match said.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::corrupt("database", said)),
    }
}
