//! What people allowed clients, so that they are not asked again.

use super::clients::Removed;
use super::{decode, encode, page};
use crate::catalogue::consents as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, Tenant, UserId};
use countersign_oauth::ConsentRecord;

/// Adds or replaces a consent.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ConsentRecord,
) -> Result<(), StoreError> {
    let text = encode("consents", record)?;
    tx.execute(
        &sql::PUT,
        args![
            tenant.as_str(),
            record.user.as_bytes(),
            record.client.as_str(),
            text
        ],
    )
    .await
    .map(drop)
}

/// Forgets a consent.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    client: &ClientId,
) -> Result<Removed, StoreError> {
    tx.execute(
        &sql::REMOVE,
        args![tenant.as_str(), user.as_bytes(), client.as_str()],
    )
    .await
    .map(Removed::from_count)
}

/// What this person allowed this client.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    client: &ClientId,
) -> Result<Option<ConsentRecord>, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::FIND,
            args![tenant.as_str(), user.as_bytes(), client.as_str()],
        )
        .await?;
    row.map(|row| decode("consents", &row.get::<String>(0)?))
        .transpose()
}

/// What this person allowed, in the order of the clients' names (R57).
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    limit: u16,
) -> Result<Vec<ConsentRecord>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::OF_USER,
            args![tenant.as_str(), user.as_bytes(), page(limit)],
        )
        .await?;
    rows.iter()
        .map(|row| decode("consents", &row.get::<String>(0)?))
        .collect()
}
