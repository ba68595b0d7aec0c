//! What kinds of things webhooks report: each version of an event type with what it says of itself.
//!
//! A version stays as it was published; what may change is that it is retired. What a record says is its writer's (`control`).

use super::{decode, encode, page};
use crate::catalogue::webhooks::webhook_event_types as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Bounded, EventTypeName, Tenant, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const TABLE: &str = "webhook_event_types";

/// Versions of event types that a tenant may have, of all types together.
pub const EVENT_TYPES_MAX: u32 = 10_000;

/// What a version of an event type says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeRecord {
    /// For people.
    pub description: Bounded<1024>,
    /// The JSON schema (draft 2020-12) that every payload fits; without one, every JSON object does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A payload as an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// Whether nothing of this version is published any more.
    #[serde(default)]
    pub retired: bool,
}

/// A version of an event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTypeRow {
    /// Its name.
    pub name: EventTypeName,
    /// Which version, from 1.
    pub version: u32,
    /// What it says of itself.
    pub record: EventTypeRecord,
    /// When it was added.
    pub created: UnixTime,
}

/// Adds a version.
///
/// # Errors
/// [`StoreError::Conflict`] when there is one already, [`StoreError::Full`] when the tenant has as many as it may have.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    row: &EventTypeRow,
) -> Result<(), StoreError> {
    let max = i64::from(EVENT_TYPES_MAX);
    let known = tx
        .fetch_optional(&sql::COUNT, args![tenant.as_str(), max])
        .await?;
    if known.map_or(Ok(0), |row| row.get::<i64>(0))? >= max {
        return Err(StoreError::Full(TABLE));
    }
    let values = args![
        tenant.as_str(),
        row.name.as_str(),
        i64::from(row.version),
        encode(TABLE, &row.record)?,
        row.created.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Retires one version of a type, or all that there are.
///
/// # Errors
/// [`StoreError::Superseded`] when there is none, or none that is not retired.
pub(crate) async fn retire(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &EventTypeName,
    version: Option<u32>,
) -> Result<(), StoreError> {
    let values = args![tenant.as_str(), name.as_str()];
    let mut retired = 0;
    for row in tx.fetch_all(&sql::OF_NAME, values).await? {
        let mut row = read(name.clone(), &row, 0)?;
        let is_meant = version.is_none_or(|version| version == row.version);
        if !is_meant || row.record.retired {
            continue;
        }
        row.record.retired = true;
        let values = args![
            tenant.as_str(),
            name.as_str(),
            i64::from(row.version),
            encode(TABLE, &row.record)?
        ];
        retired += tx.execute(&sql::REPLACE, values).await?;
    }
    match retired {
        0 => Err(StoreError::Superseded(TABLE)),
        _ => Ok(()),
    }
}

/// All versions of a type, the oldest first.
pub async fn of_name(
    connection: &mut Connection,
    tenant: &Tenant,
    name: &EventTypeName,
) -> Result<Vec<EventTypeRow>, StoreError> {
    let values = args![tenant.as_str(), name.as_str()];
    let rows = connection.fetch_all(&sql::OF_NAME, values).await?;
    rows.iter().map(|row| read(name.clone(), row, 0)).collect()
}

/// The version of that number.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    name: &EventTypeName,
    version: u32,
) -> Result<Option<EventTypeRow>, StoreError> {
    let values = args![tenant.as_str(), name.as_str(), i64::from(version)];
    let row = connection.fetch_optional(&sql::FIND, values).await?;
    row.map(|row| read(name.clone(), &row, 0)).transpose()
}

/// The version with the highest number, retired or not.
pub async fn newest(
    connection: &mut Connection,
    tenant: &Tenant,
    name: &EventTypeName,
) -> Result<Option<EventTypeRow>, StoreError> {
    let values = args![tenant.as_str(), name.as_str()];
    let row = connection.fetch_optional(&sql::NEWEST, values).await?;
    row.map(|row| read(name.clone(), &row, 0)).transpose()
}

/// A page of the tenant's versions in the order of their names and numbers, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<(&EventTypeName, u32)>,
    limit: u16,
) -> Result<Vec<EventTypeRow>, StoreError> {
    let (name, version) = after.map_or(("", 0), |(name, version)| (name.as_str(), version));
    let values = args![tenant.as_str(), name, i64::from(version), page(limit)];
    let rows = connection.fetch_all(&sql::LIST, values).await?;
    rows.iter()
        .map(|row| read(super::parsed(TABLE, &row.get::<String>(0)?)?, row, 1))
        .collect()
}

fn read(name: EventTypeName, row: &Row, at: usize) -> Result<EventTypeRow, StoreError> {
    let version: i64 = row.get(at)?;
    Ok(EventTypeRow {
        name,
        version: u32::try_from(version)
            .map_err(|_| StoreError::corrupt(TABLE, "a version is no number of one"))?,
        record: decode(TABLE, &row.get::<String>(at + 1)?)?,
        created: UnixTime(row.get(at + 2)?),
    })
}
