//! Sign-ins of browsers. The cookie's value is not here, only a keyed hash of it.

use super::{decode, encode, page};
use crate::catalogue::{Statement, sessions as sql};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_oauth::Session;

/// Adds a session that the cookie with this keyed hash belongs to.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &Tag,
    session: &Session,
) -> Result<(), StoreError> {
    let text = encode("sessions", session)?;
    let id = session.id.as_u64().cast_signed();
    let ended = session.ended.map(|at| at.0);
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            handle.as_bytes(),
            id,
            session.user.as_bytes(),
            text,
            session.kept_until().0,
            ended
        ],
    )
    .await
    .map(drop)
}

/// Puts another record and the keyed hash of another cookie in the place of a session's own. The cookie from before is nobody's from then on.
///
/// # Errors
/// [`StoreError::Superseded`] if the session has ended.
pub async fn raise(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &Tag,
    session: &Session,
) -> Result<(), StoreError> {
    let text = encode("sessions", session)?;
    let id = session.id.as_u64().cast_signed();
    let rows = tx
        .execute(
            &sql::RAISE,
            args![tenant.as_str(), id, handle.as_bytes(), text],
        )
        .await?;
    match rows {
        1 => Ok(()),
        _ => Err(StoreError::Superseded("sessions")),
    }
}

/// Ends a session; nothing happens if it has ended.
pub async fn end(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::END,
        args![tenant.as_str(), session.as_u64().cast_signed(), now.0],
    )
    .await
    .map(drop)
}

/// Ends every session of a person.
pub(crate) async fn end_of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::END_OF_USER,
        args![tenant.as_str(), user.as_bytes(), now.0],
    )
    .await
    .map(drop)
}

/// Sessions of a person that ended at this instant, in the order of their stored ids, from `from` on.
pub(crate) async fn ended_of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    ended: UnixTime,
    from: i64,
    limit: u16,
) -> Result<Vec<Session>, StoreError> {
    let rows = tx
        .fetch_all(
            &sql::ENDED_OF_USER,
            args![tenant.as_str(), user.as_bytes(), ended.0, from, page(limit)],
        )
        .await?;
    rows.iter().map(record).collect()
}

/// A page of the sessions of a person beside one of them, expired ones too: refresh tokens may outlive them.
pub(crate) async fn others_of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    beside: SessionId,
    limit: u16,
) -> Result<Vec<SessionId>, StoreError> {
    let beside = beside.as_u64().cast_signed();
    let rows = tx
        .fetch_all(
            &sql::OTHERS_OF_USER,
            args![tenant.as_str(), user.as_bytes(), beside, page(limit)],
        )
        .await?;
    let id = |row: &Row| Ok(SessionId::from_u64(row.get::<i64>(0)?.cast_unsigned()));
    rows.iter().map(id).collect()
}

/// The session of this id.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    session: SessionId,
) -> Result<Option<Session>, StoreError> {
    read(connection, &sql::FIND, tenant, session).await
}

/// The session of this id, unchanged until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
) -> Result<Option<Session>, StoreError> {
    read(tx, &sql::HOLD, tenant, session).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    session: SessionId,
) -> Result<Option<Session>, StoreError> {
    let row = connection
        .fetch_optional(
            statement,
            args![tenant.as_str(), session.as_u64().cast_signed()],
        )
        .await?;
    row.map(|row| record(&row)).transpose()
}

/// The session whose cookie has this keyed hash.
pub async fn find_by_handle(
    connection: &mut Connection,
    tenant: &Tenant,
    handle: &Tag,
) -> Result<Option<Session>, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::FIND_BY_HANDLE,
            args![tenant.as_str(), handle.as_bytes()],
        )
        .await?;
    row.map(|row| record(&row)).transpose()
}

/// The live sessions of a person.
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<Session>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::OF_USER,
            args![tenant.as_str(), user.as_bytes(), now.0, page(limit)],
        )
        .await?;
    let sessions: Result<Vec<Session>, StoreError> = rows.iter().map(record).collect();
    Ok(sessions?
        .into_iter()
        .filter(|session| session.is_live(now))
        .collect())
}

fn record(row: &Row) -> Result<Session, StoreError> {
    let mut session: Session = decode("sessions", &row.get::<String>(0)?)?;
    session.ended = row.get::<Option<i64>>(1)?.map(UnixTime);
    Ok(session)
}
