//! Audit records written in the transaction of what they describe, until the sequencer has taken them into the log.

use super::bytes;
use crate::catalogue::{Reach, Statement, audit_outbox as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{EventId, Tenant};

/// One waiting record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order of insertion.
    pub sequence: i64,
    /// Which event it is.
    pub event: EventId,
    /// The canonical record.
    pub record: Vec<u8>,
}

/// Adds a record.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    event: EventId,
    record: Vec<u8>,
) -> Result<(), StoreError> {
    tx.execute(&sql::ADD, args![tenant.as_str(), event.as_bytes(), record])
        .await
        .map(drop)
}

/// Takes the lease of the outbox for the session of `connection`, on PostgreSQL; `false` if another session holds it.
pub(crate) async fn lease(connection: &mut Connection) -> Result<bool, StoreError> {
    let row = connection.fetch_optional(&LEASE, args![]).await?;
    row.map_or(Ok(false), |row| row.get(0))
}

/// Not in the catalogue: SQLite knows no such lock and needs none. The number is "countsgn" in ASCII.
static LEASE: Statement = Statement {
    table: "audit_outbox",
    name: "LEASE",
    reach: Reach::AllTenants,
    postgres: "SELECT pg_try_advisory_lock(hashtextextended(current_schema(), 7165064744912774254))",
    sqlite: "SELECT FALSE",
};

/// Up to `limit` waiting records, oldest first, across tenants. Reading takes nothing away.
pub async fn oldest(connection: &mut Connection, limit: u32) -> Result<Vec<Waiting>, StoreError> {
    let rows = connection
        .fetch_all(&sql::OLDEST, args![i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            let event = EventId::from_bytes(bytes("audit_outbox", &row.get::<Vec<u8>>(1)?)?);
            Ok(Waiting {
                sequence: row.get(0)?,
                event,
                record: row.get(2)?,
            })
        })
        .collect()
}

/// Removes records that are durable in the log.
pub async fn remove(tx: &mut Transaction, sequences: &[i64]) -> Result<(), StoreError> {
    for sequence in sequences {
        tx.execute(&sql::REMOVE, args![*sequence]).await?;
    }
    Ok(())
}

/// How many records wait.
pub async fn waiting(connection: &mut Connection) -> Result<i64, StoreError> {
    let row = connection.fetch_optional(&sql::WAITING, args![]).await?;
    row.map_or(Ok(0), |row| row.get(0))
}
