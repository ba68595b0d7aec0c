//! Tenants and their settings.

use super::{decode, encode};
use crate::catalogue::tenants as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};
use countersign_oauth::TenantRecord;

/// Adds or replaces a tenant.
pub async fn put(
    tx: &mut Transaction,
    record: &TenantRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let text = encode("tenants", record)?;
    tx.execute(&sql::PUT, args![record.name.as_str(), text, now.0])
        .await
        .map(drop)
}

/// The tenant of this name.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Option<TenantRecord>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str()])
        .await?;
    row.map(|row| decode("tenants", &row.get::<String>(0)?))
        .transpose()
}

/// Every tenant, for the program's own start.
pub async fn all(connection: &mut Connection) -> Result<Vec<TenantRecord>, StoreError> {
    let rows = connection.fetch_all(&sql::ALL, args![]).await?;
    rows.iter()
        .map(|row| decode("tenants", &row.get::<String>(0)?))
        .collect()
}
