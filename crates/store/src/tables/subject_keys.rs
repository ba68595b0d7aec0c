//! Keys of people, wrapped. What is personal in the details of an event is sealed under them; erasing the key erases the data.

use super::{bytes, parsed};
use crate::catalogue::subject_keys as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime, UserId};

/// What is known of a person's key.
#[derive(Clone, PartialEq, Eq)]
pub enum SubjectKey {
    /// There never was one.
    Absent,
    /// It was erased, at this time; there will never be another for this person.
    Erased(UnixTime),
    /// The wrapped key.
    Wrapped(Vec<u8>),
}

/// Stores the key unless the person has or had one, and returns what stands.
pub async fn put_first(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    (wrapped, epoch): (Vec<u8>, [u8; 8]),
    now: UnixTime,
) -> Result<SubjectKey, StoreError> {
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            user.as_bytes(),
            wrapped,
            now.0,
            epoch.to_vec()
        ],
    )
    .await?;
    find(tx, tenant, user).await
}

/// The person's key.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<SubjectKey, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), user.as_bytes()])
        .await?;
    let Some(row) = row else {
        return Ok(SubjectKey::Absent);
    };
    match (row.get::<Option<Vec<u8>>>(0)?, row.get::<Option<i64>>(1)?) {
        (Some(wrapped), None) => Ok(SubjectKey::Wrapped(wrapped)),
        (None, Some(at)) => Ok(SubjectKey::Erased(UnixTime(at))),
        (Some(_), Some(_)) | (None, None) => Err(StoreError::corrupt(
            "subject_keys",
            "a key is neither wrapped nor erased",
        )),
    }
}

/// A key that is wrapped under no epoch's.
pub struct OutsideEpochs {
    /// The person's tenant.
    pub tenant: Tenant,
    /// The person.
    pub user: UserId,
    /// Their key, wrapped.
    pub wrapped: Vec<u8>,
}

/// Up to `limit` keys from before there were epochs, across tenants.
pub async fn outside_epochs(
    connection: &mut Connection,
    limit: u16,
) -> Result<Vec<OutsideEpochs>, StoreError> {
    let rows = connection
        .fetch_all(&sql::OUTSIDE_EPOCHS, args![i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OutsideEpochs {
                tenant: parsed("subject_keys", &row.get::<String>(0)?)?,
                user: UserId::from_bytes(bytes("subject_keys", &row.get::<Vec<u8>>(1)?)?),
                wrapped: row.get(2)?,
            })
        })
        .collect()
}

/// Puts a key under an epoch's, unless it was erased or wrapped otherwise meanwhile.
pub async fn take_in(
    tx: &mut Transaction,
    key: &OutsideEpochs,
    wrapped: Vec<u8>,
    epoch: [u8; 8],
) -> Result<(), StoreError> {
    let tenant = key.tenant.as_str();
    tx.execute(
        &sql::TAKE_IN,
        args![
            tenant,
            key.user.as_bytes(),
            wrapped,
            key.wrapped.clone(),
            epoch.to_vec()
        ],
    )
    .await
    .map(drop)
}

/// Erases the key, and with it everything sealed under it. Whoever never had one will never have one either.
pub async fn erase(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(&sql::ERASE, args![tenant.as_str(), user.as_bytes(), now.0])
        .await
        .map(drop)
}
