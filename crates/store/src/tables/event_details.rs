//! The sealed query of a recorded decision. The log holds its salted commitment; here is what `explain` and `replay` read.

use super::bytes;
use crate::catalogue::event_details as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{EventId, Tenant, UnixTime, UserId};

/// One sealed query.
#[derive(Clone, PartialEq, Eq)]
pub struct EventDetail {
    /// The event it belongs to.
    pub event: EventId,
    /// The person under whose key it is sealed; sealed under the tenant's if there is none.
    pub user: Option<UserId>,
    /// The salt of the commitment.
    pub salt: [u8; 16],
    /// The query, sealed.
    pub sealed: Vec<u8>,
    /// When it is deleted.
    pub expires: UnixTime,
}

/// Adds a detail.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    detail: &EventDetail,
) -> Result<(), StoreError> {
    let user = detail.user.map(|user| user.as_bytes().to_vec());
    let values = args![
        tenant.as_str(),
        detail.event.as_bytes(),
        user,
        &detail.salt,
        detail.sealed.clone(),
        detail.expires.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// The detail of an event: whose key seals it, the salt, and the sealed query.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    event: EventId,
) -> Result<Option<(Option<UserId>, [u8; 16], Vec<u8>)>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), event.as_bytes()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let user = row
        .get::<Option<Vec<u8>>>(0)?
        .map(|user| bytes("event_details", &user))
        .transpose()?
        .map(UserId::from_bytes);
    Ok(Some((
        user,
        bytes("event_details", &row.get::<Vec<u8>>(1)?)?,
        row.get(2)?,
    )))
}
