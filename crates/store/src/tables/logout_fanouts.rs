//! Where the telling of clients that sessions ended goes on: a row for each end that had more clients or sessions than one transaction tells.
//!
//! What a row says is its writer's; see [`crate::logout`].

use super::{bytes, decode, encode, parsed};
use crate::catalogue::logout_fanouts as sql;
use crate::engine::args;
use crate::{StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A row, held by this transaction.
pub(crate) struct Held<R> {
    /// Of which tenant.
    pub(crate) tenant: Tenant,
    /// Which.
    pub(crate) id: [u8; 16],
    /// Where it goes on.
    pub(crate) record: R,
}

/// The row that has waited longest and that no other transaction holds.
pub(crate) async fn next<R: DeserializeOwned>(
    tx: &mut Transaction,
) -> Result<Option<Held<R>>, StoreError> {
    let Some(row) = tx.fetch_optional(&sql::NEXT, args![]).await? else {
        return Ok(None);
    };
    Ok(Some(Held {
        tenant: parsed("logout_fanouts", &row.get::<String>(0)?)?,
        id: bytes("logout_fanouts", &row.get::<Vec<u8>>(1)?)?,
        record: decode("logout_fanouts", &row.get::<String>(2)?)?,
    }))
}

/// Puts a row, new or further on.
pub(crate) async fn put<R: Serialize>(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: &[u8; 16],
    record: &R,
    begun: UnixTime,
) -> Result<(), StoreError> {
    let record = encode("logout_fanouts", record)?;
    tx.execute(&sql::PUT, args![tenant.as_str(), id, record, begun.0])
        .await
        .map(drop)
}

/// Removes a row that is done.
pub(crate) async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: &[u8; 16],
) -> Result<(), StoreError> {
    tx.execute(&sql::REMOVE, args![tenant.as_str(), id])
        .await
        .map(drop)
}
