//! Key-encryption keys, wrapped by the root key. They belong to the program, not to a tenant.

use crate::catalogue::keks as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::UnixTime;

/// One version of the key.
#[derive(Clone, PartialEq, Eq)]
pub struct KekRow {
    /// Its version, beginning with 1.
    pub version: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixTime,
}

/// Adds a version.
///
/// # Errors
/// [`StoreError::Conflict`] if there is one of this number: another node made it first.
pub async fn add(tx: &mut Transaction, row: &KekRow) -> Result<(), StoreError> {
    tx.execute(
        &sql::ADD,
        args![i64::from(row.version), row.wrapped.clone(), row.created.0],
    )
    .await
    .map(drop)
}

/// Replaces the wrapping of a version, when the root key changes.
///
/// # Errors
/// [`StoreError::Superseded`] when the row is not the one that was read.
pub async fn rewrap(
    tx: &mut Transaction,
    row: &KekRow,
    wrapped: Vec<u8>,
) -> Result<(), StoreError> {
    let values = args![i64::from(row.version), wrapped, row.wrapped.clone()];
    match tx.execute(&sql::REWRAP, values).await? {
        1 => Ok(()),
        _ => Err(StoreError::Superseded("keks")),
    }
}

/// Destroys a version: nothing that it sealed opens again. Whoever calls it has looked, in this transaction, that there is nothing.
pub(crate) async fn remove(tx: &mut Transaction, version: u32) -> Result<(), StoreError> {
    tx.execute(&sql::REMOVE, args![i64::from(version)])
        .await
        .map(drop)
}

/// Every version, oldest first.
pub async fn all(connection: &mut Connection) -> Result<Vec<KekRow>, StoreError> {
    let rows = connection.fetch_all(&sql::ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            let version = u32::try_from(row.get::<i64>(0)?)
                .map_err(|_| StoreError::corrupt("keks", "a version is out of range"))?;
            Ok(KekRow {
                version,
                wrapped: row.get(1)?,
                created: UnixTime(row.get(2)?),
            })
        })
        .collect()
}
