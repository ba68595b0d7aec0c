//! People of a tenant, with the groups they are in.
//!
//! The record names the groups; the table `memberships` repeats them as rows, so that a person cannot be in a group that does not exist.

use super::clients::Removed;
use super::{decode, encode, page};
use crate::catalogue::{Statement, memberships, users as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{GroupName, SessionId, Tenant, UnixTime, UserId, Username};
use countersign_oauth::client::Origin;
use countersign_oauth::{StoredPassword, UserRecord};

/// What has to stand of a person for a unit to happen.
#[derive(Clone)]
pub enum Held {
    /// They may do anything at all.
    Enabled,
    /// And their password is this one.
    Password(StoredPassword),
}

/// A password that its owner chose.
#[derive(Clone)]
pub struct NewPassword {
    /// Whose.
    pub user: UserId,
    /// The one that they had when they were asked who they are.
    pub before: Option<StoredPassword>,
    /// The one that they have from now on.
    pub after: StoredPassword,
    /// The session in which they chose it. Every other one ends.
    pub session: SessionId,
}

/// Puts a password in the place of the one before.
///
/// # Errors
/// [`StoreError::Superseded`] when the person is disabled or gone, is declared in the configuration, or has another password than before.
pub(crate) async fn set_password(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewPassword,
    now: UnixTime,
) -> Result<(), StoreError> {
    let found = read(tx, &sql::LOCK, tenant, new.user).await?;
    let theirs = found.filter(|user| {
        user.enabled && user.origin != Origin::Configuration && user.password == new.before
    });
    let Some(mut record) = theirs else {
        return Err(StoreError::Superseded("users"));
    };
    record.password = Some(new.after.clone());
    put(tx, tenant, &record, now).await
}

/// A stronger hash of the password that a person has.
#[derive(Clone)]
pub struct RenewedPassword {
    /// Whose.
    pub user: UserId,
    /// The hash that their password was compared with.
    pub before: StoredPassword,
    /// Another of the same password.
    pub after: StoredPassword,
}

/// Puts a stronger hash in the place of the one that the same password was compared with. It is no change of the password: no session ends.
///
/// # Errors
/// [`StoreError::Superseded`] when the person is disabled or gone, or has another password by now.
pub(crate) async fn renew_password(
    tx: &mut Transaction,
    tenant: &Tenant,
    renewed: &RenewedPassword,
    now: UnixTime,
) -> Result<(), StoreError> {
    let found = read(tx, &sql::LOCK, tenant, renewed.user).await?;
    let same = |user: &UserRecord| user.enabled && user.password.as_ref() == Some(&renewed.before);
    let Some(mut record) = found.filter(same) else {
        return Err(StoreError::Superseded("users"));
    };
    record.password = Some(renewed.after.clone());
    put(tx, tenant, &record, now).await
}

/// Adds a person.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has somebody of this id or username, or no group of a name in the record.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &UserRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    write(tx, &sql::ADD, tenant, record, now).await
}

/// Adds or replaces a person.
///
/// # Errors
/// [`StoreError::Conflict`] if somebody else of the tenant has the username, or the tenant has no group of a name in the record.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &UserRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    write(tx, &sql::PUT, tenant, record, now).await
}

async fn write(
    tx: &mut Transaction,
    statement: &'static Statement,
    tenant: &Tenant,
    record: &UserRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let text = encode("users", record)?;
    let id = record.id.as_bytes();
    tx.execute(
        statement,
        args![tenant.as_str(), id, record.username.as_str(), text, now.0],
    )
    .await?;
    tx.execute(&memberships::CLEAR, args![tenant.as_str(), id])
        .await?;
    for group in &record.groups {
        tx.execute(
            &memberships::ADD,
            args![tenant.as_str(), id, group.as_str()],
        )
        .await?;
    }
    Ok(())
}

/// Removes a person with memberships and consents.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
) -> Result<Removed, StoreError> {
    tx.execute(&sql::REMOVE, args![tenant.as_str(), user.as_bytes()])
        .await
        .map(Removed::from_count)
}

/// The person of this id.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Option<UserRecord>, StoreError> {
    read(connection, &sql::FIND, tenant, user).await
}

/// The person of this id, unchanged until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
) -> Result<Option<UserRecord>, StoreError> {
    read(tx, &sql::HOLD, tenant, user).await
}

/// Holds a person as they were judged: whoever disabled them meanwhile, or gave them another password, was first.
///
/// # Errors
/// [`StoreError::Superseded`] when they are not as `held` says.
pub(crate) async fn hold_as(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    held: &Held,
) -> Result<(), StoreError> {
    let found = hold(tx, tenant, user).await?.filter(|user| user.enabled);
    let stands = found.is_some_and(|user| match held {
        Held::Enabled => true,
        Held::Password(password) => user.password.as_ref() == Some(password),
    });
    match stands {
        true => Ok(()),
        false => Err(StoreError::Superseded("users")),
    }
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    user: UserId,
) -> Result<Option<UserRecord>, StoreError> {
    let row = connection
        .fetch_optional(statement, args![tenant.as_str(), user.as_bytes()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut record: UserRecord = decode("users", &row.get::<String>(0)?)?;
    // A group that was removed took its memberships along; the record follows.
    let rows = connection
        .fetch_all(
            &memberships::OF_USER,
            args![tenant.as_str(), user.as_bytes()],
        )
        .await?;
    let names: Result<Vec<GroupName>, StoreError> = rows
        .iter()
        .map(|row| super::parsed("memberships", &row.get::<String>(0)?))
        .collect();
    record.groups = names?.into_iter().collect();
    Ok(Some(record))
}

/// The person who signs in with this name.
pub async fn find_by_name(
    connection: &mut Connection,
    tenant: &Tenant,
    username: &Username,
) -> Result<Option<UserRecord>, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::FIND_BY_NAME,
            args![tenant.as_str(), username.as_str()],
        )
        .await?;
    match row {
        Some(row) => {
            let record: UserRecord = decode("users", &row.get::<String>(0)?)?;
            find(connection, tenant, record.id).await
        }
        None => Ok(None),
    }
}

/// A page of the tenant's people in the order of their usernames, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<&Username>,
    limit: u16,
) -> Result<Vec<UserRecord>, StoreError> {
    let after = after.map_or("", Username::as_str);
    let rows = connection
        .fetch_all(&sql::LIST, args![tenant.as_str(), after, page(limit)])
        .await?;
    rows.iter()
        .map(|row| decode("users", &row.get::<String>(0)?))
        .collect()
}
