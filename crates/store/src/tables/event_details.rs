//! The sealed query of a recorded decision. The log holds its salted commitment; here is what `explain` and `replay` read.

use super::{bytes, encode};
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

/// Adds details, with one statement however many they are.
pub async fn add_all(
    tx: &mut Transaction,
    details: &[(Tenant, EventDetail)],
) -> Result<(), StoreError> {
    let mut packed = Vec::new();
    let listed: Vec<_> = details
        .iter()
        .map(|(tenant, detail)| {
            let at = packed.len();
            packed.extend_from_slice(detail.event.as_bytes());
            packed.extend_from_slice(&detail.salt);
            let user = detail.user.map(|user| *user.as_bytes());
            packed.extend(user.iter().flatten());
            packed.extend_from_slice(&detail.sealed);
            let user_bytes = user.map_or(0, |user| user.len());
            let sealed_bytes = detail.sealed.len();
            (
                tenant.as_str(),
                at,
                sealed_bytes,
                user_bytes,
                detail.expires.0,
            )
        })
        .collect();
    let listed = encode("event_details", &listed)?;
    tx.execute(&sql::ADD_ALL, args![listed, packed])
        .await
        .map(drop)
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
