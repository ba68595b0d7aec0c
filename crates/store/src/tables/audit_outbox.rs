//! Audit records written in the transaction of what they describe, until the sequencer has taken them into the log.

use super::{bytes, encode};
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

/// A record that a unit adds.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) tenant: Tenant,
    pub(crate) event: EventId,
    pub(crate) record: Vec<u8>,
}

/// Adds the records in their order, with one statement however many they are.
pub(crate) async fn add_all(tx: &mut Transaction, added: &[Added]) -> Result<(), StoreError> {
    if let [one] = added {
        let values = args![
            one.tenant.as_str(),
            one.event.as_bytes(),
            one.record.as_slice()
        ];
        return tx.execute(&sql::ADD, values).await.map(drop);
    }
    let mut packed = Vec::new();
    let listed: Vec<_> = added
        .iter()
        .map(|one| {
            let at = packed.len();
            packed.extend_from_slice(one.event.as_bytes());
            packed.extend_from_slice(&one.record);
            (one.tenant.as_str(), at, one.record.len())
        })
        .collect();
    let listed = encode("audit_outbox", &listed)?;
    tx.execute(&sql::ADD_ALL, args![listed, packed])
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
    let listed = encode("audit_outbox", &sequences)?;
    tx.execute(&sql::REMOVE_ALL, args![listed]).await.map(drop)
}

/// How many records wait.
pub async fn waiting(connection: &mut Connection) -> Result<i64, StoreError> {
    let row = connection.fetch_optional(&sql::WAITING, args![]).await?;
    row.map_or(Ok(0), |row| row.get(0))
}
