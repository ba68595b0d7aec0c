//! Who was erased. Nodes read it by sequence, forget what they have at hand, and forget the person's place in their epoch key.

use super::{bytes, parsed};
use crate::catalogue::erasures as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime, UserId};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its place in the order of insertion.
    pub sequence: i64,
    /// The person's tenant.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// When.
    pub at: UnixTime,
}

/// Notes that a person was erased. A second time is the first.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(&sql::ADD, args![tenant.as_str(), user.as_bytes(), now.0])
        .await
        .map(drop)
}

/// Up to `limit` after `sequence`, across tenants.
///
/// On PostgreSQL a row of a lower sequence may appear later than one of a higher: a reader looks at [`since`] too.
pub async fn after(
    connection: &mut Connection,
    sequence: i64,
    limit: u16,
) -> Result<Vec<Erasure>, StoreError> {
    let rows = connection
        .fetch_all(&sql::AFTER, args![sequence, i64::from(limit)])
        .await?;
    rows.iter().map(erasure).collect()
}

/// Up to `limit` from `time` on, beginning after `sequence`, across tenants.
pub async fn since(
    connection: &mut Connection,
    time: UnixTime,
    sequence: i64,
    limit: u16,
) -> Result<Vec<Erasure>, StoreError> {
    let rows = connection
        .fetch_all(&sql::RECENT, args![time.0, sequence, i64::from(limit)])
        .await?;
    rows.iter().map(erasure).collect()
}

/// How many there are, across tenants.
pub async fn count(connection: &mut Connection) -> Result<u64, StoreError> {
    let row = connection.fetch_optional(&sql::COUNT, args![]).await?;
    let count = row.map_or(Ok(0), |row| row.get::<i64>(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn erasure(row: &Row) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        sequence: row.get(0)?,
        tenant: parsed("erasures", &row.get::<String>(1)?)?,
        user: UserId::from_bytes(bytes("erasures", &row.get::<Vec<u8>>(2)?)?),
        at: UnixTime(row.get(3)?),
    })
}
