//! The keys that seal what the vault keeps of a tenant, wrapped. The newest seals; all open.

use crate::catalogue::vault_keys as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};

/// Stores a key; of two under one id the first stays.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    key: [u8; 8],
    wrapped: Vec<u8>,
    now: UnixTime,
) -> Result<(), StoreError> {
    let values = args![tenant.as_str(), key.as_slice(), wrapped, now.0];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// The ids of all keys of a tenant with the keys, wrapped; the newest last.
pub async fn all(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let rows = connection
        .fetch_all(&sql::ALL, args![tenant.as_str()])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}
