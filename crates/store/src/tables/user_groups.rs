//! Groups of people and the roles they give.

use super::clients::Removed;
use super::{decode, encode, page, users};
use crate::catalogue::user_groups as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{GroupName, Tenant, UnixTime, UserId};
use countersign_oauth::{GroupRecord, ResolvedUser};

/// Adds or replaces a group.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &GroupRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let text = encode("user_groups", record)?;
    tx.execute(
        &sql::PUT,
        args![tenant.as_str(), record.name.as_str(), text, now.0],
    )
    .await
    .map(drop)
}

/// Removes a group with its memberships.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    group: &GroupName,
) -> Result<Removed, StoreError> {
    tx.execute(&sql::REMOVE, args![tenant.as_str(), group.as_str()])
        .await
        .map(Removed::from_count)
}

/// The group of this name.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    group: &GroupName,
) -> Result<Option<GroupRecord>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), group.as_str()])
        .await?;
    row.map(|row| decode("user_groups", &row.get::<String>(0)?))
        .transpose()
}

/// The groups that a person is in.
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Vec<GroupRecord>, StoreError> {
    let rows = connection
        .fetch_all(&sql::OF_USER, args![tenant.as_str(), user.as_bytes()])
        .await?;
    rows.iter()
        .map(|row| decode("user_groups", &row.get::<String>(0)?))
        .collect()
}

/// A page of the tenant's groups in the order of their names, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<&GroupName>,
    limit: u16,
) -> Result<Vec<GroupRecord>, StoreError> {
    let after = after.map_or("", GroupName::as_str);
    let rows = connection
        .fetch_all(&sql::LIST, args![tenant.as_str(), after, page(limit)])
        .await?;
    rows.iter()
        .map(|row| decode("user_groups", &row.get::<String>(0)?))
        .collect()
}

/// A person with the roles of their groups, unchanged until the transaction ends.
pub(crate) async fn resolve(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
) -> Result<Option<ResolvedUser>, StoreError> {
    let Some(record) = users::hold(tx, tenant, user).await? else {
        return Ok(None);
    };
    let groups = of_user(tx, tenant, user).await?;
    Ok(Some(ResolvedUser::new(record, &groups)))
}
