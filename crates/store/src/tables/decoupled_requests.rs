//! Requests that wait for a person on another device: device codes (RFC 8628) and `auth_req_id`s (CIBA).
//!
//! Looking is a read, so that a poll that finds nothing new writes nothing. An answer is written only while there is none, and an allowed request is spent in the
//! transaction that redeems it.

use super::one_time::{HandleHash, Kind, UserCode};
use super::{decode, encode, page};
use crate::catalogue::{Statement, decoupled_requests as sql};
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, GrantId, Tenant, UnixTime, UserId};
use countersign_oauth::decoupled::{Answer, DecoupledRequest, Polled};

/// A kind of handle that clients poll with.
pub trait Pollable: Kind {}

impl Pollable for super::one_time::AuthReqId {}
impl Pollable for super::one_time::DeviceCode {}

/// A request that is about to be stored, the kind of its handle checked when it was made.
#[derive(Debug, Clone)]
pub struct NewDecoupled {
    kind: &'static str,
    handle: [u8; 32],
    user_code: Option<[u8; 32]>,
    request: Box<DecoupledRequest>,
}

impl NewDecoupled {
    /// A request that a client polls for under `handle`, and that a person finds by a user code if it has one.
    #[must_use]
    pub fn new<K: Pollable>(
        handle: &HandleHash<K>,
        user_code: Option<&HandleHash<UserCode>>,
        request: DecoupledRequest,
    ) -> Self {
        Self {
            kind: K::KIND,
            handle: *handle.as_bytes(),
            user_code: user_code.map(|code| *code.as_bytes()),
            request: Box::new(request),
        }
    }
}

/// A request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is asked.
    pub request: DecoupledRequest,
    /// What the person said, if they did.
    pub answer: Option<Answer>,
    /// When it was redeemed, if it was.
    pub spent: Option<UnixTime>,
}

impl Found {
    fn polled(self, now: UnixTime) -> Polled {
        let request = Box::new(self.request);
        match (self.spent, self.answer) {
            (Some(_), _) => Polled::Spent(request),
            (None, _) if request.expires <= now => Polled::Expired(request),
            (None, Some(answer)) => Polled::Answered(request, answer),
            (None, None) => Polled::Waiting(request),
        }
    }
}

/// Stores a new request.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a request of this handle, grant or user code.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewDecoupled,
) -> Result<(), StoreError> {
    let values = args![
        tenant.as_str(),
        new.kind,
        &new.handle,
        new.request.grant.as_u64().cast_signed(),
        new.user_code.map(|code| code.to_vec()),
        new.request.user.map(|user| user.as_bytes().to_vec()),
        encode("decoupled_requests", &*new.request)?,
        new.request.expires.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Writes what a person said.
///
/// # Errors
/// [`StoreError::Superseded`] when somebody answered before, or the request has expired: nothing is written.
pub async fn answer(
    tx: &mut Transaction,
    tenant: &Tenant,
    grant: GrantId,
    answer: &Answer,
    now: UnixTime,
) -> Result<(), StoreError> {
    let user = answer.user();
    let written = tx
        .execute(
            &sql::ANSWER,
            args![
                tenant.as_str(),
                grant.as_u64().cast_signed(),
                encode("decoupled_requests", answer)?,
                user.as_bytes(),
                now.0
            ],
        )
        .await?;
    if written == 1 {
        Ok(())
    } else {
        Err(StoreError::Superseded("decoupled_requests"))
    }
}

/// Looks at the request that a client polls for, without spending it.
pub async fn look<K: Pollable>(
    connection: &mut Connection,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    now: UnixTime,
) -> Result<Polled, StoreError> {
    let found = read::<K>(connection, &sql::FIND, tenant, handle).await?;
    Ok(found.map_or(Polled::Unknown, |found| found.polled(now)))
}

/// Takes the request that `client` polls for: if the person allowed it, of any number of transactions one finds the answer, and spends it.
///
/// A request that waits, was denied or is another client's stays as it is, so that polling and mistakes cost nobody anything.
pub(crate) async fn take<K: Pollable>(
    tx: &mut Transaction,
    tenant: &Tenant,
    handle: &HandleHash<K>,
    client: &ClientId,
    now: UnixTime,
) -> Result<Polled, StoreError> {
    let found = read::<K>(tx, &sql::LOCK, tenant, handle).await?;
    let polled = found.map_or(Polled::Unknown, |found| found.polled(now));
    if let Polled::Answered(request, Answer::Allowed(_)) = &polled
        && request.client == *client
    {
        let spent = tx
            .execute(
                &sql::SPEND,
                args![tenant.as_str(), K::KIND, handle.as_bytes(), now.0],
            )
            .await?;
        if spent != 1 {
            return Err(StoreError::corrupt(
                "decoupled_requests",
                "a locked request was spent by somebody else",
            ));
        }
    }
    Ok(polled)
}

/// The request that a person means by a user code.
pub async fn find_by_user_code(
    connection: &mut Connection,
    tenant: &Tenant,
    user_code: &HandleHash<UserCode>,
) -> Result<Option<Found>, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::FIND_BY_USER_CODE,
            args![tenant.as_str(), user_code.as_bytes()],
        )
        .await?;
    row.map(|row| found(&row)).transpose()
}

/// The request that a page names.
pub async fn find_by_grant(
    connection: &mut Connection,
    tenant: &Tenant,
    grant: GrantId,
) -> Result<Option<Found>, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::FIND_BY_GRANT,
            args![tenant.as_str(), grant.as_u64().cast_signed()],
        )
        .await?;
    row.map(|row| found(&row)).transpose()
}

/// What waits for an answer of this person, oldest first.
pub async fn waiting_for(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<DecoupledRequest>, StoreError> {
    let rows = connection
        .fetch_all(
            &sql::WAITING_FOR,
            args![tenant.as_str(), user.as_bytes(), now.0, page(limit)],
        )
        .await?;
    rows.iter().map(|row| Ok(found(row)?.request)).collect()
}

/// How many requests of one person wait: what bounds how often somebody can be bothered.
pub async fn count_waiting_for(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    now: UnixTime,
) -> Result<i64, StoreError> {
    let row = connection
        .fetch_optional(
            &sql::COUNT_WAITING_FOR,
            args![tenant.as_str(), user.as_bytes(), now.0],
        )
        .await?;
    row.map_or(Ok(0), |row| row.get(0))
}

async fn read<K: Pollable>(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    handle: &HandleHash<K>,
) -> Result<Option<Found>, StoreError> {
    let row = connection
        .fetch_optional(
            statement,
            args![tenant.as_str(), K::KIND, handle.as_bytes()],
        )
        .await?;
    row.map(|row| found(&row)).transpose()
}

fn found(row: &Row) -> Result<Found, StoreError> {
    let answer: Option<String> = row.get(1)?;
    Ok(Found {
        request: decode("decoupled_requests", &row.get::<String>(0)?)?,
        answer: answer
            .map(|text| decode("decoupled_requests", &text))
            .transpose()?,
        spent: row.get::<Option<i64>>(2)?.map(UnixTime),
    })
}
