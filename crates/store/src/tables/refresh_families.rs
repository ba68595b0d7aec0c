//! Refresh token families: one row, whatever number of rotations it has seen. No token is stored, not even hashed.
//!
//! Whether a family is revoked is a column that is only ever set, never cleared, and the row outlives every token of the family, so
//! that a revoked token stays revoked after a restart and on every node (R38).

use super::{decode, encode};
use crate::catalogue::{Statement, refresh_families as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{GrantId, Tenant, UnixTime};
use countersign_oauth::{FamilyId, RefreshFamily};

/// Adds a family.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    family: &RefreshFamily,
) -> Result<(), StoreError> {
    let text = encode("refresh_families", family)?;
    let (id, grant) = (
        family.id.as_u64().cast_signed(),
        family.grant.as_u64().cast_signed(),
    );
    let revoked = family.revoked.map(|at| at.0);
    tx.execute(
        &sql::ADD,
        args![tenant.as_str(), id, grant, text, family.expires.0, revoked],
    )
    .await
    .map(drop)
}

/// Adds many families with one statement: what a migration from another server brings.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a family of one of these ids; then none is added.
pub async fn add_all(
    tx: &mut Transaction,
    tenant: &Tenant,
    families: &[RefreshFamily],
) -> Result<(), StoreError> {
    let rows = families
        .iter()
        .map(|family| {
            let text = encode("refresh_families", family)?;
            let (id, grant) = (
                family.id.as_u64().cast_signed(),
                family.grant.as_u64().cast_signed(),
            );
            let revoked = family.revoked.map(|at| at.0);
            Ok((id, grant, text, family.expires.0, revoked))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let listed = encode("refresh_families", &rows)?;
    tx.execute(&sql::ADD_ALL, args![tenant.as_str(), listed])
        .await
        .map(drop)
}

/// Stores the next generation of a family, which the transaction has locked and judged.
///
/// # Errors
/// [`StoreError::Superseded`] if there is no such family or it is revoked: the judge overlooked it.
pub(crate) async fn rotate(
    tx: &mut Transaction,
    tenant: &Tenant,
    family: &RefreshFamily,
) -> Result<(), StoreError> {
    let text = encode("refresh_families", family)?;
    let id = family.id.as_u64().cast_signed();
    let values = args![tenant.as_str(), id, text, family.expires.0];
    let rotated = tx.execute(&sql::ROTATE, values).await?;
    if rotated == 1 {
        Ok(())
    } else {
        Err(StoreError::Superseded("refresh_families"))
    }
}

/// Revokes every family of a grant.
pub(crate) async fn revoke_by_grant(
    tx: &mut Transaction,
    tenant: &Tenant,
    grant: GrantId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::REVOKE_BY_GRANT,
        args![tenant.as_str(), grant.as_u64().cast_signed(), now.0],
    )
    .await
    .map(drop)
}

/// The family of this id.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    family: FamilyId,
) -> Result<Option<RefreshFamily>, StoreError> {
    read(connection, &sql::FIND, tenant, family).await
}

/// The family of this id, for nobody else until the transaction ends. The grant it serves is locked before it, as revocation does.
pub(crate) async fn lock(
    tx: &mut Transaction,
    tenant: &Tenant,
    family: FamilyId,
) -> Result<Option<RefreshFamily>, StoreError> {
    read(tx, &sql::LOCK, tenant, family).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    family: FamilyId,
) -> Result<Option<RefreshFamily>, StoreError> {
    let row = connection
        .fetch_optional(
            statement,
            args![tenant.as_str(), family.as_u64().cast_signed()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut record: RefreshFamily = decode("refresh_families", &row.get::<String>(0)?)?;
    record.revoked = row.get::<Option<i64>>(1)?.map(UnixTime);
    Ok(Some(record))
}
