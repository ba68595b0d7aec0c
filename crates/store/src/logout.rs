//! What the end of a session causes: a logout token for each client that got a grant in it and wants to hear of it, from the transaction that ends it (LO-7).
//!
//! Whoever ends a session, by whatever way, comes through here. One transaction looks at a bounded number of sessions and clients; where there are more, it leaves a
//! row that says where to go on, and [`Store::tell_logouts`] goes on from there: nobody is forgotten, and a crash changes nothing. Not here: what a logout token
//! says, and sending it.

use crate::tables::deliveries::{self, DeliveryId, NewDelivery, Queued};
use crate::tables::{clients, grants, logout_fanouts, sessions};
use crate::{Store, StoreError, Transaction};
use countersign_base::{Bounded, ClientId, Duration, SessionId, Tenant, UnixTime, UserId};
use countersign_oauth::Session;
use countersign_oauth::logout::{BACKCHANNEL_LOGOUT, LogoutDelivery};
use serde::{Deserialize, Serialize};

/// Clients that one transaction looks at.
const CLIENTS_MAX: u16 = 64;
/// Sessions that one transaction looks at.
const SESSIONS_MAX: u16 = 64;
/// After this nobody tries any more: the client's own session has ended by then.
const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);
/// What rows that go on are named after.
const FANOUT: &str = "logout_fanout";

/// Whether clients are still to be told of sessions that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Told {
    /// All are, or other workers are at it.
    All,
    /// Perhaps more: come again at once.
    More,
}

/// Who is to be told of what ended, and how far that got.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fanout {
    user: UserId,
    ended: UnixTime,
    sessions: Which,
    /// The stored id of the session that is next.
    from: i64,
    /// The last of its clients that was looked at.
    after: Option<ClientId>,
}

/// Which sessions of the person ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// All that were alive.
    All,
    /// The one that is next.
    One,
}

/// Tells the clients of a session that it ends now. A session that had ended or run out before tells nobody again.
pub(crate) async fn of_session(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    match Fanout::of_session(tx, tenant, session, now).await? {
        Some(fanout) => begin(tx, tenant, fanout).await,
        None => Ok(()),
    }
}

/// The same, but nobody is told in this transaction: for one that ends many sessions.
pub(crate) async fn of_session_later(
    tx: &mut Transaction,
    tenant: &Tenant,
    session: SessionId,
    now: UnixTime,
) -> Result<(), StoreError> {
    match Fanout::of_session(tx, tenant, session, now).await? {
        Some(fanout) => fanout.keep(tx, tenant).await,
        None => Ok(()),
    }
}

/// Tells the clients of every session of a person that ended at this instant. One that had ended by itself in the same second may be told of twice, with one id.
pub(crate) async fn of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: UserId,
    ended: UnixTime,
) -> Result<(), StoreError> {
    let fanout = Fanout {
        user,
        ended,
        sessions: Which::All,
        from: i64::MIN,
        after: None,
    };
    begin(tx, tenant, fanout).await
}

impl Store {
    /// Goes on telling clients where an earlier transaction left off: one step, one transaction.
    ///
    /// # Errors
    /// When the database failed; nothing was told, and what is left stays where it is.
    pub async fn tell_logouts(&self) -> Result<Told, StoreError> {
        self.write(|tx| Box::pin(go_on(tx))).await
    }
}

async fn go_on(tx: &mut Transaction) -> Result<Told, StoreError> {
    let Some(held) = logout_fanouts::next::<Fanout>(tx).await? else {
        return Ok(Told::All);
    };
    match step(tx, &held.tenant, held.record).await? {
        Some(rest) => rest.keep(tx, &held.tenant).await?,
        None => logout_fanouts::remove(tx, &held.tenant, &held.id).await?,
    }
    Ok(Told::More)
}

async fn begin(tx: &mut Transaction, tenant: &Tenant, fanout: Fanout) -> Result<(), StoreError> {
    match step(tx, tenant, fanout).await? {
        Some(rest) => rest.keep(tx, tenant).await,
        None => Ok(()),
    }
}

impl Fanout {
    async fn of_session(
        tx: &mut Transaction,
        tenant: &Tenant,
        session: SessionId,
        now: UnixTime,
    ) -> Result<Option<Self>, StoreError> {
        let found = sessions::find(tx, tenant, session).await?;
        let alive = found.filter(|found| found.is_live(now));
        Ok(alive.map(|found| Self {
            user: found.user,
            ended: now,
            sessions: Which::One,
            from: session.as_u64().cast_signed(),
            after: None,
        }))
    }

    async fn keep(&self, tx: &mut Transaction, tenant: &Tenant) -> Result<(), StoreError> {
        let which = match self.sessions {
            Which::All => i64::MIN,
            Which::One => self.from,
        };
        let id = DeliveryId::of(
            FANOUT,
            &[
                self.user.as_bytes(),
                &self.ended.0.to_be_bytes(),
                &which.to_be_bytes(),
            ],
        );
        logout_fanouts::put(tx, tenant, id.as_bytes(), self, self.ended).await
    }

    /// The sessions that are next, and until when each would have lived.
    async fn next(
        &self,
        tx: &mut Transaction,
        tenant: &Tenant,
    ) -> Result<Vec<(SessionId, Option<UnixTime>)>, StoreError> {
        match self.sessions {
            Which::One => Ok(vec![(SessionId::from_u64(self.from.cast_unsigned()), None)]),
            Which::All => {
                let (user, ended) = (self.user, self.ended);
                let found =
                    sessions::ended_of_user(tx, tenant, user, ended, self.from, SESSIONS_MAX);
                let until = |session: &Session| (session.id, Some(session.expires));
                Ok(found.await?.iter().map(until).collect())
            }
        }
    }
}

/// Tells so many clients as one transaction may, and gives what is left.
async fn step(
    tx: &mut Transaction,
    tenant: &Tenant,
    mut fanout: Fanout,
) -> Result<Option<Fanout>, StoreError> {
    let next = fanout.next(tx, tenant).await?;
    let mut budget = CLIENTS_MAX;
    for (session, until) in &next {
        fanout.from = session.as_u64().cast_signed();
        // What had run out by itself ends with the person's others, and is news to nobody.
        if until.is_some_and(|until| until <= fanout.ended) {
            fanout.after = None;
            continue;
        }
        let told = tell(tx, tenant, &fanout, *session, budget).await?;
        let count = u16::try_from(told.len()).unwrap_or(u16::MAX);
        fanout.after = told.into_iter().next_back();
        if count >= budget {
            return Ok(Some(fanout));
        }
        budget -= count;
        fanout.after = None;
    }
    let last = match fanout.sessions {
        Which::All => next.len() < usize::from(SESSIONS_MAX),
        Which::One => true,
    };
    fanout.from = fanout.from.saturating_add(1);
    Ok((!last).then_some(fanout))
}

/// Looks at up to `limit` clients of a session, and gives those that it looked at.
async fn tell(
    tx: &mut Transaction,
    tenant: &Tenant,
    fanout: &Fanout,
    session: SessionId,
    limit: u16,
) -> Result<Vec<ClientId>, StoreError> {
    let (user, after) = (fanout.user, fanout.after.as_ref());
    let found = grants::clients_of_session(tx, tenant, user, session, after, limit).await?;
    for client in &found {
        if wants_to_hear(tx, tenant, client).await? {
            let new = delivery(tenant, client.clone(), user, session, fanout.ended)?;
            let _queued: Queued = deliveries::add(tx, tenant, &new, fanout.ended).await?;
        }
    }
    Ok(found)
}

/// A client that cannot be read is told nothing, and keeps nobody else waiting.
async fn wants_to_hear(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<bool, StoreError> {
    match clients::find(tx, tenant, client).await {
        Ok(found) => Ok(found.is_some_and(|found| found.logout.backchannel_uri.is_some())),
        Err(StoreError::Corrupt { .. }) => {
            let (tenant, client) = (tenant.as_str(), client.as_str());
            tracing::warn!(event = "logout_not_told", tenant, client);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn delivery(
    tenant: &Tenant,
    client: ClientId,
    user: UserId,
    session: SessionId,
    ended: UnixTime,
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
        ended.plus(TRIED_FOR),
    )
}
