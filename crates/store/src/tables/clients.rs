//! Registered clients.

use super::{decode, encode, page};
use crate::catalogue::{Statement, clients as sql, registered_clients};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, Tenant, UnixTime};
use countersign_oauth::ClientRecord;
use std::sync::Arc;

/// Adds a client.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a client of this id.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    write(tx, &sql::ADD, tenant, record, now).await
}

/// Adds many clients with one statement: what a migration from another server brings.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a client of one of these ids; then none is added.
pub async fn add_all(
    tx: &mut Transaction,
    tenant: &Tenant,
    records: &[ClientRecord],
    now: UnixTime,
) -> Result<(), StoreError> {
    let rows = records
        .iter()
        .map(|record| Ok((record.id.as_str(), encode("clients", record)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let listed = encode("clients", &rows)?;
    tx.execute(&sql::ADD_ALL, args![tenant.as_str(), listed, now.0])
        .await
        .map(drop)
}

/// Adds or replaces a client.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    write(tx, &sql::PUT, tenant, record, now).await
}

async fn write(
    tx: &mut Transaction,
    statement: &'static Statement,
    tenant: &Tenant,
    record: &ClientRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let text = encode("clients", record)?;
    tx.execute(
        statement,
        args![tenant.as_str(), record.id.as_str(), text, now.0],
    )
    .await
    .map(drop)
}

/// Removes a client with the consents given to it.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Removed, StoreError> {
    tx.execute(&sql::REMOVE, args![tenant.as_str(), client.as_str()])
        .await
        .map(Removed::from_count)
}

/// The client of this id.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<ClientRecord>, StoreError> {
    read(connection, &sql::FIND, tenant, client).await
}

/// The client of this id, unchanged until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<Arc<ClientRecord>>, StoreError> {
    read_known(tx, &sql::HOLD, tenant, client).await
}

/// The client of this id, parsed only if its row has changed since it was last asked for.
pub async fn find_known(
    connection: &mut Connection,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<Arc<ClientRecord>>, StoreError> {
    read_known(connection, &sql::FIND, tenant, client).await
}

async fn read_known(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<Arc<ClientRecord>>, StoreError> {
    let row = connection
        .fetch_optional(statement, args![tenant.as_str(), client.as_str()])
        .await?;
    row.map(|row| {
        connection
            .parsed_clients()
            .read(tenant, client, row.get::<String>(0)?)
    })
    .transpose()
}

/// The client of this id, which nobody else changes until the transaction ends.
pub(crate) async fn lock(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<ClientRecord>, StoreError> {
    read(tx, &sql::LOCK, tenant, client).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<Option<ClientRecord>, StoreError> {
    let row = connection
        .fetch_optional(statement, args![tenant.as_str(), client.as_str()])
        .await?;
    row.map(|row| decode("clients", &row.get::<String>(0)?))
        .transpose()
}

/// A page of the tenant's clients in the order of their ids, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<&ClientId>,
    limit: u16,
) -> Result<Vec<ClientRecord>, StoreError> {
    let after = after.map_or("", ClientId::as_str);
    let rows = connection
        .fetch_all(&sql::LIST, args![tenant.as_str(), after, page(limit)])
        .await?;
    rows.iter()
        .map(|row| decode("clients", &row.get::<String>(0)?))
        .collect()
}

/// Adds a client that registered itself, unless the tenant has `max` of those already. Registrations of a tenant wait for each other, so that none of them slips past.
///
/// # Errors
/// [`StoreError::Full`] when there are so many; nothing was added.
pub(crate) async fn add_registered(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ClientRecord,
    max: u32,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.fetch_optional(&crate::catalogue::tenants::LOCK, args![tenant.as_str()])
        .await?;
    let counted = tx
        .fetch_optional(
            &registered_clients::COUNT,
            args![tenant.as_str(), i64::from(max)],
        )
        .await?;
    let registered: i64 = counted.map_or(Ok(0), |row| row.get(0))?;
    if registered >= i64::from(max) {
        return Err(StoreError::Full("registered_clients"));
    }
    add(tx, tenant, record, now).await?;
    tx.execute(
        &registered_clients::ADD,
        args![tenant.as_str(), record.id.as_str()],
    )
    .await
    .map(drop)
}

/// Whether a removal or a change met a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Removed {
    /// There was none.
    Absent,
    /// There was one.
    Done,
}

impl Removed {
    pub(crate) const fn from_count(count: u64) -> Self {
        if count == 0 { Self::Absent } else { Self::Done }
    }
}
