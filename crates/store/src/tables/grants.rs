//! What subjects allowed clients: the unit of revocation.
//!
//! Whether a grant is revoked is a column that is only ever set, never cleared; the record read back follows it.

use super::{decode, encode, page, parsed, refresh_families};
use crate::catalogue::{Statement, grants as sql};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::GrantRecord;

/// Adds or replaces a grant. A grant that was revoked stays revoked.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    grant: &GrantRecord,
) -> Result<(), StoreError> {
    let text = encode("grants", grant)?;
    let id = grant.id.as_u64().cast_signed();
    let session = grant.session.as_u64().cast_signed();
    let revoked = grant.revoked.map(|at| at.0);
    let values = args![
        tenant.as_str(),
        id,
        grant.client.as_str(),
        grant.user.as_bytes(),
        session,
        text,
        grant.expires.0,
        revoked
    ];
    tx.execute(&sql::PUT, values).await.map(drop)
}

/// Adds many grants with one statement: what a migration from another server brings.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a grant of one of these ids; then none is added.
pub async fn add_all(
    tx: &mut Transaction,
    tenant: &Tenant,
    grants: &[GrantRecord],
) -> Result<(), StoreError> {
    let rows = grants
        .iter()
        .map(|grant| {
            let text = encode("grants", grant)?;
            let id = grant.id.as_u64().cast_signed();
            let session = grant.session.as_u64().cast_signed();
            let revoked = grant.revoked.map(|at| at.0);
            Ok((
                id,
                grant.client.as_str(),
                session,
                text,
                grant.expires.0,
                revoked,
            ))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let users: Vec<u8> = grants
        .iter()
        .flat_map(|grant| *grant.user.as_bytes())
        .collect();
    let listed = encode("grants", &rows)?;
    tx.execute(&sql::ADD_ALL, args![tenant.as_str(), listed, users])
        .await
        .map(drop)
}

/// Revokes a grant and every refresh token of it. Nothing happens if it is revoked, or if there is none.
pub async fn revoke(
    tx: &mut Transaction,
    tenant: &Tenant,
    grant: GrantId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::REVOKE,
        args![tenant.as_str(), grant.as_u64().cast_signed(), now.0],
    )
    .await?;
    refresh_families::revoke_by_grant(tx, tenant, grant, now).await
}

/// The grant of this id.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    grant: GrantId,
) -> Result<Option<GrantRecord>, StoreError> {
    read(connection, &sql::FIND, tenant, grant).await
}

/// The grant of this id, for nobody else until the transaction ends.
pub(crate) async fn lock(
    tx: &mut Transaction,
    tenant: &Tenant,
    grant: GrantId,
) -> Result<Option<GrantRecord>, StoreError> {
    read(tx, &sql::LOCK, tenant, grant).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    grant: GrantId,
) -> Result<Option<GrantRecord>, StoreError> {
    let row = connection
        .fetch_optional(
            statement,
            args![tenant.as_str(), grant.as_u64().cast_signed()],
        )
        .await?;
    row.map(|row| record(&row)).transpose()
}

/// The live grants of a person.
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<GrantRecord>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::OF_USER,
            args![tenant.as_str(), user.as_bytes(), now.0, page(limit)],
        )
        .await?;
    rows.iter().map(record).collect()
}

/// The live grants that a person gave one client, all of them.
pub(crate) async fn of_user_and_client(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    client: &ClientId,
    now: UnixTime,
) -> Result<Vec<GrantId>, StoreError> {
    let values = args![tenant.as_str(), user.as_bytes(), client.as_str(), now.0];
    let rows = connection
        .fetch_all(&sql::OF_USER_AND_CLIENT, values)
        .await?;
    rows.iter()
        .map(|row| Ok(GrantId::from_u64(row.get::<i64>(0)?.cast_unsigned())))
        .collect()
}

/// The clients that got a grant in a session, live or not.
pub async fn clients_of_session(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    session: SessionId,
    after: Option<&ClientId>,
    limit: u16,
) -> Result<Vec<ClientId>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::OF_SESSION,
            args![
                tenant.as_str(),
                user.as_bytes(),
                session.as_u64().cast_signed(),
                after.map_or("", ClientId::as_str),
                page(limit)
            ],
        )
        .await?;
    rows.iter()
        .map(|row| parsed("grants", &row.get::<String>(0)?))
        .collect()
}

fn record(row: &Row) -> Result<GrantRecord, StoreError> {
    let mut grant: GrantRecord = decode("grants", &row.get::<String>(0)?)?;
    grant.revoked = row.get::<Option<i64>>(1)?.map(UnixTime);
    Ok(grant)
}
