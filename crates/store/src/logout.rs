//! What the end of a session causes: a logout token for each client that got a grant in it and wants to hear of it, in the transaction that ends it (LO-7).
//!
//! Whoever ends a session, by whatever way, comes through here. Not here: what a logout token says, and sending it.

use crate::tables::deliveries::{self, DeliveryId, NewDelivery, Queued};
use crate::tables::{clients, grants, sessions};
use crate::{StoreError, Transaction};
use countersign_base::{Bounded, ClientId, Duration, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::logout::{BACKCHANNEL_LOGOUT, LogoutDelivery};

/// Clients of one session that are told.
const CLIENTS_MAX: u16 = 64;
/// Sessions of one person that end at once.
const SESSIONS_MAX: u16 = 64;
/// After this nobody tries any more: the client's own session has ended by then.
const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Tells the clients of a session that it ends now. A session that had ended before tells nobody again.
pub(crate) async fn of_session(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    match sessions::find(tx, tenant, session).await? {
        Some(found) if found.ended.is_none() => tell(tx, tenant, found.user, session, now).await,
        Some(_) | None => Ok(()),
    }
}

/// Tells the clients of every live session of a person.
pub(crate) async fn of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    for session in sessions::of_user(tx, tenant, user, SESSIONS_MAX, now).await? {
        tell(tx, tenant, user, session.id, now).await?;
    }
    Ok(())
}

async fn tell(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    for client in grants::clients_of_session(tx, tenant, user, session, CLIENTS_MAX).await? {
        let Some(record) = clients::find(tx, tenant, &client).await? else {
            continue;
        };
        if record.logout.backchannel_uri.is_some() {
            let new = delivery(tenant, client, user, session, now)?;
            let _queued: Queued = deliveries::add(tx, tenant, &new, now).await?;
        }
    }
    Ok(())
}

fn delivery(
    tenant: &Tenant,
    client: ClientId,
    user: UserId,
    session: SessionId,
    now: UnixTime,
) -> Result<NewDelivery, StoreError> {
    let id = DeliveryId::of(
        BACKCHANNEL_LOGOUT,
        &[
            tenant.as_str().as_bytes(),
            client.as_str().as_bytes(),
            &session.as_u64().to_be_bytes(),
        ],
    );
    let destination = Bounded::parse(client.as_str())
        .map_err(|error| StoreError::corrupt("deliveries", error))?;
    let record = LogoutDelivery {
        client,
        user,
        session: Some(session),
    };
    NewDelivery::new(
        id,
        BACKCHANNEL_LOGOUT,
        destination,
        &record,
        now.plus(TRIED_FOR),
    )
}
