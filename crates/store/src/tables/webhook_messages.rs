//! What was published or received, once, whatever it goes to. The body is sealed; a sweep takes a message when no delivery of it is left.

use super::{bytes, encode, page, parsed};
use crate::catalogue::webhooks::webhook_messages as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Duration, EventTypeName, MessageId, PartnerName, Tenant, UnixTime};

const TABLE: &str = "webhook_messages";

/// How long a message is kept that has no delivery: so long the same key means the same message.
pub const MESSAGE_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// To whom a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// To every endpoint of the tenant that wants its type, whoever's it is.
    Everyone,
    /// To this partner's endpoints, and to those of the tenant itself.
    Partner(PartnerName),
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Of which tenant.
    pub tenant: Tenant,
    /// Which.
    pub id: MessageId,
    /// What it reports. Of one that came in: its source.
    pub event_type: EventTypeName,
    /// Which version of the type; 0 for one that came in.
    pub version: u32,
    /// To whom it goes.
    pub to: Addressee,
    /// A digest of all that was published: what the same key with another body differs in.
    pub digest: [u8; 32],
    /// The body, sealed for the column `webhook_messages.sealed` and the row of its id.
    pub sealed: Vec<u8>,
    /// When it was accepted.
    pub created: UnixTime,
}

/// Whether a message was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    There,
}

pub(crate) async fn add(
    tx: &mut Transaction,
    message: &WebhookMessage,
) -> Result<Added, StoreError> {
    let partner = match &message.to {
        Addressee::Everyone => None,
        Addressee::Partner(partner) => Some(partner.as_str().to_owned()),
    };
    let values = args![
        message.tenant.as_str(),
        message.id.as_bytes(),
        message.event_type.as_str(),
        i64::from(message.version),
        partner,
        &message.digest,
        message.sealed.as_slice(),
        message.created.0,
        message.created.plus(MESSAGE_KEPT_FOR).0
    ];
    Ok(match tx.execute(&sql::ADD, values).await? {
        0 => Added::There,
        _ => Added::New,
    })
}

/// The message.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    id: MessageId,
) -> Result<Option<WebhookMessage>, StoreError> {
    let values = args![tenant.as_str(), id.as_bytes()];
    let row = connection.fetch_optional(&sql::FIND, values).await?;
    row.as_ref().map(read).transpose()
}

/// Those of the messages that there are, of whatever tenants.
pub(crate) async fn find_all(
    connection: &mut Connection,
    wanted: &[(&Tenant, MessageId)],
) -> Result<Vec<WebhookMessage>, StoreError> {
    let listed = encode(TABLE, &wanted)?;
    let rows = connection.fetch_all(&sql::FIND_ALL, args![listed]).await?;
    rows.iter().map(read).collect()
}

/// A page of the tenant's messages, the newest first, beginning after `after`.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
    after: Option<(UnixTime, MessageId)>,
    limit: u16,
) -> Result<Vec<WebhookMessage>, StoreError> {
    let (time, id) = after.map_or((i64::MAX, Vec::new()), |(time, id)| {
        (time.0, id.as_bytes().to_vec())
    });
    let values = args![tenant.as_str(), time, id, page(limit)];
    let rows = connection.fetch_all(&sql::LIST, values).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<WebhookMessage, StoreError> {
    let version: i64 = row.get(3)?;
    let to = match row.get::<Option<String>>(4)? {
        None => Addressee::Everyone,
        Some(partner) => Addressee::Partner(parsed(TABLE, &partner)?),
    };
    Ok(WebhookMessage {
        tenant: parsed(TABLE, &row.get::<String>(0)?)?,
        id: MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(1)?)?),
        event_type: parsed(TABLE, &row.get::<String>(2)?)?,
        version: u32::try_from(version)
            .map_err(|_| StoreError::corrupt(TABLE, "a version is no number of one"))?,
        to,
        digest: bytes(TABLE, &row.get::<Vec<u8>>(5)?)?,
        sealed: row.get(6)?,
        created: UnixTime(row.get(7)?),
    })
}
