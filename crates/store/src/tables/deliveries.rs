//! The durable outbox: what is to be delivered elsewhere, written in the transaction of the change that causes it (DESIGN §5).
//!
//! A row waits until it is due, is taken by a worker with a lease, and is then gone, due again, or dead. A dead row stays for a month, so that it can be looked at.
//! How a kind is delivered is no matter of this table.

use super::{bytes, encode, page, parsed};
use crate::catalogue::deliveries as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Bounded, Duration, Tenant, UnixTime};
use countersign_crypto::digest::sha256_parts;
use serde::Serialize;

/// Rows that may wait for one destination of a tenant; one more is refused.
pub const WAITING_MAX: u32 = 10_000;
/// Rows that may wait for all destinations of a tenant together; then one more is refused, unless few wait for its own destination.
pub const WAITING_OF_TENANT_MAX: u32 = 100_000;
/// So few: destinations that are away never keep the tenant's others from being told.
pub const WAITING_RESERVED: u32 = 100;

/// How long a row that could not be delivered is kept.
pub const DEAD_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Which delivery: 16 bytes, random or derived from what caused it, so that one cause makes one row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId([u8; 16]);

impl DeliveryId {
    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id that stands for these parts, the same whenever they are.
    #[must_use]
    pub fn of(kind: &'static str, parts: &[&[u8]]) -> Self {
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|part| (part.len() as u64).to_be_bytes())
            .collect();
        let mut all: Vec<&[u8]> = vec![kind.as_bytes(), &[0]];
        for (part, length) in parts.iter().zip(&lengths) {
            all.extend([&length[..], part]);
        }
        let mut id = [0; 16];
        let digest = sha256_parts(&all);
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeliveryId({self})")
    }
}

/// Something to be delivered.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    id: DeliveryId,
    kind: &'static str,
    destination: Bounded<255>,
    record: String,
    deadline: UnixTime,
}

impl NewDelivery {
    /// A delivery of `kind` to `destination`, which is tried from now on and no more after `deadline`.
    ///
    /// # Errors
    /// When the record has no JSON form, which is a fault of its type.
    pub fn new(
        id: DeliveryId,
        kind: &'static str,
        destination: Bounded<255>,
        record: &impl Serialize,
        deadline: UnixTime,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id,
            kind,
            destination,
            record: encode("deliveries", record)?,
            deadline,
        })
    }
}

/// What became of a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Queued {
    /// It waits, now or since the same cause put it there before.
    Waits,
    /// Too many wait for its destination, or for its tenant's destinations together: it is dropped.
    Full,
}

/// Where deliveries of a tenant go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// Of which tenant.
    pub tenant: Tenant,
    /// Which of its destinations.
    pub name: String,
}

impl Delivery {
    /// Where it goes.
    #[must_use]
    pub fn place(&self) -> Destination {
        Destination {
            tenant: self.tenant.clone(),
            name: self.destination.clone(),
        }
    }
}

/// A row that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of which tenant.
    pub tenant: Tenant,
    /// Which.
    pub id: DeliveryId,
    /// What kind.
    pub kind: String,
    /// To whom.
    pub destination: String,
    /// What, as JSON.
    pub record: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// No attempt after this.
    pub deadline: UnixTime,
}

/// A row as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: DeliveryId,
    /// What kind.
    pub kind: String,
    /// To whom.
    pub destination: String,
    /// `waiting` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    pub due: UnixTime,
    /// Why the last attempt failed.
    pub reason: Option<String>,
}

/// Puts a row into the outbox. The same id a second time changes nothing.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewDelivery,
    now: UnixTime,
) -> Result<Queued, StoreError> {
    if room(tx, tenant, new.destination.as_str()).await? == Room::None {
        tracing::warn!(event = "outbox_full", kind = new.kind);
        return Ok(Queued::Full);
    }
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            new.id.as_bytes(),
            new.kind,
            new.destination.as_str(),
            new.record.clone(),
            now.0,
            now.0,
            new.deadline.0,
            new.deadline.plus(DEAD_KEPT_FOR).0
        ],
    )
    .await?;
    Ok(Queued::Waits)
}

/// Whether one more may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    None,
    One,
}

async fn room(
    tx: &mut Transaction,
    tenant: &Tenant,
    destination: &str,
) -> Result<Room, StoreError> {
    let of_destination = args![tenant.as_str(), destination, i64::from(WAITING_MAX)];
    let waiting = tx.fetch_optional(&sql::WAITING, of_destination).await?;
    let waiting: i64 = waiting.map_or(Ok(0), |row| row.get(0))?;
    if waiting < i64::from(WAITING_RESERVED) {
        return Ok(Room::One);
    }
    if waiting >= i64::from(WAITING_MAX) {
        return Ok(Room::None);
    }
    let of_tenant = args![tenant.as_str(), i64::from(WAITING_OF_TENANT_MAX)];
    let waiting = tx
        .fetch_optional(&sql::WAITING_OF_TENANT, of_tenant)
        .await?;
    let waiting: i64 = waiting.map_or(Ok(0), |row| row.get(0))?;
    Ok(if waiting < i64::from(WAITING_OF_TENANT_MAX) {
        Room::One
    } else {
        Room::None
    })
}

/// The first destination after `after` that something waits for, and since or until when. Whatever waits for one destination costs one look.
pub async fn next_destination(
    connection: &mut Connection,
    after: Option<&Destination>,
) -> Result<Option<(Destination, UnixTime)>, StoreError> {
    let (tenant, name) = after.map_or(("", ""), |after| {
        (after.tenant.as_str(), after.name.as_str())
    });
    let row = connection
        .fetch_optional(&sql::NEXT_DESTINATION, args![tenant, name])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let destination = Destination {
        tenant: parsed("deliveries", &row.get::<String>(0)?)?,
        name: row.get(1)?,
    };
    Ok(Some((destination, UnixTime(row.get(2)?))))
}

/// Takes up to `limit` rows of a destination that are due, for as long as `leased_until`; rows that another worker is taking are passed over.
pub(crate) async fn claim(
    tx: &mut Transaction,
    destination: &Destination,
    lease: &[u8; 16],
    limit: u16,
    leased_until: UnixTime,
    now: UnixTime,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = tx
        .fetch_all(
            &sql::DUE,
            args![
                destination.tenant.as_str(),
                destination.name.as_str(),
                now.0,
                i64::from(limit)
            ],
        )
        .await?;
    let mut taken = Vec::new();
    for row in &rows {
        let tenant: Tenant = parsed("deliveries", &row.get::<String>(0)?)?;
        let id = DeliveryId(bytes("deliveries", &row.get::<Vec<u8>>(1)?)?);
        tx.execute(
            &sql::LEASE,
            args![tenant.as_str(), id.as_bytes(), leased_until.0, lease],
        )
        .await?;
        let attempts: i64 = row.get(5)?;
        taken.push(Delivery {
            tenant,
            id,
            kind: row.get(2)?,
            destination: row.get(3)?,
            record: row.get(4)?,
            attempt: count(attempts.saturating_add(1)),
            deadline: UnixTime(row.get(6)?),
        });
    }
    Ok(taken)
}

/// Removes a row that was delivered. `false`: the lease had ended, and somebody else has it.
pub(crate) async fn done(
    tx: &mut Transaction,
    delivery: &Delivery,
    lease: &[u8; 16],
) -> Result<u64, StoreError> {
    tx.execute(
        &sql::DONE,
        args![delivery.tenant.as_str(), delivery.id.as_bytes(), lease],
    )
    .await
}

/// Gives a row back until it is due again.
pub(crate) async fn later(
    tx: &mut Transaction,
    delivery: &Delivery,
    lease: &[u8; 16],
    due: UnixTime,
    reason: &'static str,
) -> Result<u64, StoreError> {
    tx.execute(
        &sql::LATER,
        args![
            delivery.tenant.as_str(),
            delivery.id.as_bytes(),
            due.0,
            reason,
            lease
        ],
    )
    .await
}

/// Gives a row back until it is due again, as if it had not been taken.
pub(crate) async fn release(
    tx: &mut Transaction,
    delivery: &Delivery,
    lease: &[u8; 16],
    due: UnixTime,
) -> Result<u64, StoreError> {
    tx.execute(
        &sql::RELEASE,
        args![
            delivery.tenant.as_str(),
            delivery.id.as_bytes(),
            due.0,
            lease
        ],
    )
    .await
}

/// Gives a row up.
pub(crate) async fn dead(
    tx: &mut Transaction,
    delivery: &Delivery,
    lease: &[u8; 16],
    reason: &'static str,
) -> Result<u64, StoreError> {
    tx.execute(
        &sql::DEAD,
        args![
            delivery.tenant.as_str(),
            delivery.id.as_bytes(),
            reason,
            lease
        ],
    )
    .await
}

/// A page of the tenant's rows in the order of their ids, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<DeliveryId>,
    limit: u16,
) -> Result<Vec<Listed>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
    let rows = connection
        .fetch_all(&sql::LIST, args![tenant.as_str(), after, page(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                id: DeliveryId(bytes("deliveries", &row.get::<Vec<u8>>(0)?)?),
                kind: row.get(1)?,
                destination: row.get(2)?,
                state: row.get(3)?,
                attempts: count(row.get(4)?),
                due: UnixTime(row.get(5)?),
                reason: row.get(6)?,
            })
        })
        .collect()
}

fn count(attempts: i64) -> u32 {
    u32::try_from(attempts).unwrap_or(u32::MAX)
}
