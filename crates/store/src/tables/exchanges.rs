//! What was exchanged for what: the edges of each grant's exchange graph, kept as long as the grant.

use super::{decode, encode, page};
use crate::catalogue::exchanges as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{GrantId, Tenant};
use countersign_oauth::ExchangeRecord;

/// Adds an exchange.
///
/// # Errors
/// [`StoreError::Conflict`] if the grant has one that made a token of this name.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ExchangeRecord,
) -> Result<(), StoreError> {
    let text = encode("exchanges", record)?;
    let grant = record.grant.as_u64().cast_signed();
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            grant,
            record.child.as_str(),
            text,
            record.at.0,
            record.kept_until.0
        ],
    )
    .await
    .map(drop)
}

/// Up to `limit` exchanges of a grant, the oldest first.
pub async fn of_grant(
    connection: &mut Connection,
    tenant: &Tenant,
    grant: GrantId,
    limit: u16,
) -> Result<Vec<ExchangeRecord>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::OF_GRANT,
            args![tenant.as_str(), grant.as_u64().cast_signed(), page(limit)],
        )
        .await?;
    rows.iter()
        .map(|row| decode("exchanges", &row.get::<String>(0)?))
        .collect()
}
