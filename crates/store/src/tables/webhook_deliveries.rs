//! A row for each endpoint that a message goes to: it waits, is taken with a lease, and is then due again, delivered or dead.
//!
//! A row with an order key waits behind those of its endpoint and key that wait already: its time is beyond all times until none of them is left to go before it. Of a key at
//! most one row has a time, so that taking what is due is taking in order, and what waits behind costs nobody a look.

mod lists;

pub use lists::{dead_of_endpoint, of_endpoint, of_message, waiting_for_endpoint};

use super::{bytes, decode, encode, parsed};
use crate::catalogue::webhooks::{webhook_deliveries as sql, webhook_endpoints as endpoints};
use crate::engine::{Row, args};
use crate::tables::webhook_endpoints::EndpointState;
use crate::tables::webhook_messages::{Addressee, WebhookMessage};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{EndpointId, EventPattern, MessageId, ParseError, Tenant, UnixTime};
use serde::{Deserialize, Serialize};
use std::fmt;

const TABLE: &str = "webhook_deliveries";

/// Endpoints that one message goes to.
pub const FAN_OUT_MAX: u16 = 1_000;
/// Rows that may wait for all endpoints of a tenant together, about: see [`crate::Store::accept_message`].
pub const WAITING_MAX: u32 = 2_000_000;
/// Attempts that a row tells of.
pub const LOGGED_MAX: usize = 32;
/// Rows that one replay brings back.
pub const REPLAY_MAX: u32 = 100_000;

/// The time of a row that waits behind another of its order key.
const NEVER: i64 = 9_000_000_000_000;

/// Which delivery: of which message, to which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookDeliveryId {
    /// The message.
    pub message: MessageId,
    /// The endpoint.
    pub endpoint: EndpointId,
}

impl fmt::Display for WebhookDeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.message, self.endpoint)
    }
}

impl std::str::FromStr for WebhookDeliveryId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = || ParseError::expected("64 lower-case hexadecimal digits");
        let (message, endpoint) = text.split_at_checked(32).ok_or_else(expected)?;
        Ok(Self {
            message: message.parse().map_err(|_| expected())?,
            endpoint: endpoint.parse().map_err(|_| expected())?,
        })
    }
}

/// An endpoint that something waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Of which tenant.
    pub tenant: Tenant,
    /// Which of its endpoints.
    pub endpoint: EndpointId,
}

/// How one attempt ended, as the delivery log shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedAttempt {
    /// When it ended.
    pub at: i64,
    /// What the receiver answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// Whether a row still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried no more.
    Dead,
    /// The receiver took it.
    Delivered,
    /// It is tried, now or later.
    Waiting,
}

impl DeliveryState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Delivered => "delivered",
            Self::Waiting => "waiting",
        }
    }
}

/// A row as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWebhook {
    /// Its place: where the next page of a list begins.
    pub sequence: i64,
    /// Which.
    pub id: WebhookDeliveryId,
    /// Whether it waits.
    pub state: DeliveryState,
    /// Attempts so far, since it was accepted or brought back last.
    pub attempts: u32,
    /// When it is tried next, if it waits and nothing goes before it.
    pub due: Option<UnixTime>,
    /// What the receiver answered last.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// The last attempts, the newest last.
    pub log: Vec<LoggedAttempt>,
    /// When it was accepted.
    pub created: UnixTime,
    /// When it was delivered or given up.
    pub ended: Option<UnixTime>,
}

/// A row that was taken, without its message.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) sequence: i64,
    pub(crate) lane: Lane,
    pub(crate) message: MessageId,
    pub(crate) is_ordered: bool,
    pub(crate) attempt: u32,
    pub(crate) created: UnixTime,
}

/// Puts a row for every endpoint that wants the message, in order behind what waits there. How many.
///
/// # Errors
/// [`StoreError::Full`] when more than [`FAN_OUT_MAX`] want it.
pub(crate) async fn fan_out(
    tx: &mut Transaction,
    message: &WebhookMessage,
    order_key: Option<&[u8; 16]>,
    nodes: Nodes,
) -> Result<u32, StoreError> {
    let patterns = encode(TABLE, &EventPattern::all_of(&message.event_type))?;
    let partner = match &message.to {
        Addressee::Everyone => None,
        Addressee::Partner(partner) => Some(partner.as_str().to_owned()),
    };
    if nodes == Nodes::Several {
        let tenant = message.tenant.as_str();
        let values = args![tenant, patterns.clone(), partner.clone()];
        tx.fetch_all(&endpoints::LOCK_ORDERED, values).await?;
    }
    let mut values = args![
        message.tenant.as_str(),
        message.id.as_bytes(),
        patterns,
        order_key.map(|key| key.to_vec()),
        Vec::<u8>::new(),
        message.created.0,
        NEVER,
        i64::from(FAN_OUT_MAX) + 1
    ];
    let put = match partner {
        None => tx.execute(&sql::FAN_OUT, values).await?,
        Some(partner) => {
            values.extend(args![partner]);
            tx.execute(&sql::FAN_OUT_TO, values).await?
        }
    };
    if put > u64::from(FAN_OUT_MAX) {
        return Err(StoreError::Full("webhook_subscriptions"));
    }
    Ok(u32::try_from(put).unwrap_or(u32::MAX))
}

/// Whether other processes may write to the database: then what has an order is held by a lock of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    One,
    Several,
}

/// Puts a row for one endpoint.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: WebhookDeliveryId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let values = args![
        tenant.as_str(),
        id.endpoint.as_bytes(),
        id.message.as_bytes(),
        now.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// How many rows of a tenant wait, at most `max`.
pub(crate) async fn waiting(
    connection: &mut Connection,
    tenant: &Tenant,
    max: u32,
) -> Result<u32, StoreError> {
    let values = args![tenant.as_str(), i64::from(max)];
    let row = connection.fetch_optional(&sql::WAITING, values).await?;
    row.map_or(Ok(0), |row| row.get(0)).map(count)
}

/// Up to `limit` endpoints after `after` that something waits for, each with the time of what is due first; those that are not served have no time.
pub(crate) async fn lanes(
    connection: &mut Connection,
    after: Option<&Lane>,
    limit: u16,
) -> Result<Vec<(Lane, Option<UnixTime>)>, StoreError> {
    let (tenant, endpoint) = after.map_or(("", Vec::new()), |after| {
        (after.tenant.as_str(), after.endpoint.as_bytes().to_vec())
    });
    let values = args![tenant, endpoint, i64::from(limit)];
    let rows = connection.fetch_all(&sql::LANES, values).await?;
    rows.iter()
        .map(|row| {
            let lane = lane(row, 0, 1)?;
            let due: i64 = row.get(2)?;
            let state = row.get::<Option<String>>(3)?;
            let state = state.as_deref().and_then(EndpointState::of);
            let is_served = matches!(state, Some(EndpointState::Enabled | EndpointState::Service));
            Ok((lane, (is_served && due < NEVER).then_some(UnixTime(due))))
        })
        .collect()
}

/// Takes what is due, of each endpoint up to so many, for as long as `until`; rows that another worker is taking are passed over.
pub(crate) async fn claim(
    tx: &mut Transaction,
    lanes: &[(Lane, u16)],
    (token, until): (&[u8; 16], UnixTime),
    now: UnixTime,
) -> Result<Vec<Claimed>, StoreError> {
    let mut by_room = std::collections::BTreeMap::<u16, Vec<(&Tenant, EndpointId)>>::new();
    for (lane, room) in lanes.iter().filter(|(_, room)| *room > 0) {
        let listed = by_room.entry(*room).or_default();
        listed.push((&lane.tenant, lane.endpoint));
    }
    let mut claimed = Vec::new();
    for (room, listed) in by_room {
        let values = args![encode(TABLE, &listed)?, now.0, i64::from(room)];
        for row in tx.fetch_all(&sql::DUE, values).await? {
            claimed.push(Claimed {
                sequence: row.get(0)?,
                lane: lane(&row, 1, 2)?,
                message: MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(3)?)?),
                is_ordered: row.get::<Option<Vec<u8>>>(4)?.is_some(),
                attempt: count(row.get(5)?).saturating_add(1),
                created: UnixTime(row.get(6)?),
            });
        }
    }
    if claimed.is_empty() {
        return Ok(claimed);
    }
    claimed.sort_unstable_by_key(|row| row.sequence);
    let sequences: Vec<i64> = claimed.iter().map(|row| row.sequence).collect();
    let values = args![encode(TABLE, &sequences)?, until.0.min(NEVER - 1), token];
    tx.execute(&sql::LEASE_ALL, values).await?;
    Ok(claimed)
}

/// Lets what is taken at these endpoints, for a time that ends after the first of these and not after the second, be due at the first, as if it had not been tried. How many.
pub(crate) async fn give_back(
    tx: &mut Transaction,
    lanes: &[Lane],
    (now, last): (UnixTime, UnixTime),
) -> Result<u64, StoreError> {
    let mut given_back = 0;
    for lane in lanes {
        let values = args![
            lane.tenant.as_str(),
            lane.endpoint.as_bytes(),
            now.0,
            last.0
        ];
        given_back += tx.execute(&sql::GIVE_BACK, values).await?;
    }
    Ok(given_back)
}

/// What somebody still holds of what they took.
pub(crate) struct HeldRow {
    pub(crate) sequence: i64,
    pub(crate) tenant: Tenant,
    pub(crate) lease: Vec<u8>,
    pub(crate) status: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) log: Vec<LoggedAttempt>,
}

/// Those of the rows that somebody holds, which nobody else changes until the transaction ends. `ordered` are those among them that have an order key.
pub(crate) async fn held(
    tx: &mut Transaction,
    sequences: &[i64],
    ordered: &[i64],
    nodes: Nodes,
) -> Result<Vec<HeldRow>, StoreError> {
    if nodes == Nodes::Several && !ordered.is_empty() {
        let values = args![encode(TABLE, &ordered)?];
        tx.fetch_all(&sql::LOCK_ORDERED, values).await?;
    }
    let values = args![encode(TABLE, &sequences)?];
    let rows = tx.fetch_all(&sql::HELD, values).await?;
    rows.iter()
        .map(|row| {
            Ok(HeldRow {
                sequence: row.get(0)?,
                tenant: parsed(TABLE, &row.get::<String>(1)?)?,
                lease: row.get(2)?,
                status: row.get(3)?,
                reason: row.get(4)?,
                log: decode(TABLE, &row.get::<String>(5)?)?,
            })
        })
        .collect()
}

/// What a row is after an attempt.
pub(crate) struct SettledRow {
    pub(crate) sequence: i64,
    pub(crate) state: DeliveryState,
    pub(crate) due: UnixTime,
    /// What is added to its attempts: -1 where the attempt does not count.
    pub(crate) counted: i64,
    pub(crate) status: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) log: Vec<LoggedAttempt>,
    /// When it ended, and until when it is kept.
    pub(crate) ended: Option<(UnixTime, UnixTime)>,
}

/// Writes what became of rows that are held, and lets those go on that waited behind them.
pub(crate) async fn settle(
    tx: &mut Transaction,
    rows: &[SettledRow],
    ordered: &[i64],
    now: UnixTime,
) -> Result<(), StoreError> {
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        listed.push((
            row.sequence,
            row.state.as_str(),
            row.due.0.min(NEVER - 1),
            row.counted,
            row.status,
            row.reason.as_deref(),
            encode(TABLE, &row.log)?,
            row.ended.map(|(ended, _)| ended.0),
            row.ended.map(|(_, kept)| kept.0),
        ));
    }
    tx.execute(&sql::SETTLE_ALL, args![encode(TABLE, &listed)?])
        .await?;
    promote(tx, ordered, now).await
}

/// Of the order keys of these rows: where no row has a time, the first that waits gets one.
async fn promote(tx: &mut Transaction, rows: &[i64], now: UnixTime) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let values = args![encode(TABLE, &rows)?, now.0, NEVER];
    tx.execute(&sql::PROMOTE, values).await.map(drop)
}

/// Which ended rows a replay brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// Those that were delivered too.
    All,
    /// Those that were given up.
    Dead,
}

/// Where a replay is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) created: i64,
    pub(crate) sequence: i64,
}

/// Ended rows of an endpoint that were accepted from `place` on and before `until`: up to `limit`, and where the next begin.
pub(crate) async fn ended(
    tx: &mut Transaction,
    (tenant, endpoint): (&Tenant, EndpointId),
    which: Replayed,
    (place, until): (Place, UnixTime),
    limit: u16,
) -> Result<(Vec<i64>, Place), StoreError> {
    let mut values = args![tenant.as_str(), endpoint.as_bytes()];
    let rows = match which {
        Replayed::All => {
            values.extend(args![
                place.created,
                place.sequence,
                until.0,
                i64::from(limit)
            ]);
            tx.fetch_all(&sql::ENDED_BETWEEN, values).await?
        }
        Replayed::Dead => {
            values.extend(args![
                place.sequence,
                place.created,
                until.0,
                i64::from(limit)
            ]);
            tx.fetch_all(&sql::DEAD_BETWEEN, values).await?
        }
    };
    let sequences: Result<Vec<i64>, _> = rows.iter().map(|row| row.get(0)).collect();
    let sequences = sequences?;
    let mut next = place;
    if let (Some(row), Some(last)) = (rows.last(), sequences.last()) {
        next.sequence = *last;
        if which == Replayed::All {
            next.created = row.get(1)?;
        }
    }
    Ok((sequences, next))
}

/// Brings ended rows back, as if they had never been tried; those with an order key behind what waits of it.
pub(crate) async fn bring_back(
    tx: &mut Transaction,
    tenant: &Tenant,
    rows: &[i64],
    nodes: Nodes,
    now: UnixTime,
) -> Result<u64, StoreError> {
    if nodes == Nodes::Several {
        tx.fetch_all(&sql::LOCK_ORDERED, args![encode(TABLE, &rows)?])
            .await?;
    }
    let values = args![tenant.as_str(), encode(TABLE, &rows)?, now.0, NEVER];
    let brought = tx.execute(&sql::REPLAY_ALL, values).await?;
    promote(tx, rows, now).await?;
    Ok(brought)
}

/// The delivery.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    id: WebhookDeliveryId,
) -> Result<Option<ListedWebhook>, StoreError> {
    let values = args![
        tenant.as_str(),
        id.message.as_bytes(),
        id.endpoint.as_bytes()
    ];
    let row = connection.fetch_optional(&sql::FIND, values).await?;
    row.as_ref().map(listed).transpose()
}

/// Whether an endpoint takes what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Something failed that was accepted between those times, and nothing was taken since.
    Nothing,
    /// It took something since, or nothing of that time failed.
    Something,
}

/// Whether an endpoint at which something failed that was accepted from `from` on and before `until` has taken anything since that was accepted. What was delivered has to be kept
/// from `from` on. It walks the endpoint's rows until it finds one: for now and then, not for each attempt.
pub async fn taking(
    connection: &mut Connection,
    tenant: &Tenant,
    endpoint: EndpointId,
    (from, until): (UnixTime, UnixTime),
) -> Result<Taking, StoreError> {
    let of = args![tenant.as_str(), endpoint.as_bytes()];
    let mut values = of.clone();
    values.extend(args![from.0, until.0]);
    let failed = connection.fetch_optional(&sql::FAILED_BETWEEN, values);
    let Some(failed) = failed.await? else {
        return Ok(Taking::Something);
    };
    let mut values = of;
    values.extend(args![failed.get::<i64>(0)?]);
    let taken = connection.fetch_optional(&sql::TAKEN_SINCE, values);
    Ok(taken.await?.map_or(Taking::Nothing, |_| Taking::Something))
}

fn listed(row: &Row) -> Result<ListedWebhook, StoreError> {
    let state: String = row.get(3)?;
    let state = [
        DeliveryState::Dead,
        DeliveryState::Delivered,
        DeliveryState::Waiting,
    ]
    .into_iter()
    .find(|known| known.as_str() == state)
    .ok_or_else(|| StoreError::corrupt(TABLE, "a delivery is in no known state"))?;
    let due: i64 = row.get(5)?;
    let is_due = state == DeliveryState::Waiting && due < NEVER;
    let status = row.get::<Option<i64>>(6)?;
    Ok(ListedWebhook {
        sequence: row.get(0)?,
        id: WebhookDeliveryId {
            endpoint: EndpointId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(1)?)?),
            message: MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(2)?)?),
        },
        state,
        attempts: count(row.get(4)?),
        due: is_due.then_some(UnixTime(due)),
        status: status.and_then(|status| u16::try_from(status).ok()),
        reason: row.get(7)?,
        log: decode(TABLE, &row.get::<String>(8)?)?,
        created: UnixTime(row.get(9)?),
        ended: row.get::<Option<i64>>(10)?.map(UnixTime),
    })
}

fn lane(row: &Row, tenant: usize, endpoint: usize) -> Result<Lane, StoreError> {
    Ok(Lane {
        tenant: parsed(TABLE, &row.get::<String>(tenant)?)?,
        endpoint: EndpointId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(endpoint)?)?),
    })
}

fn count(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(u32::MAX)
}
