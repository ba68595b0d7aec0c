//! What was published or received, once, whatever it goes to. The body is sealed; a sweep takes a message when no delivery of it is left.

use super::{PAGE_MAX, bytes, encode, page, parsed};
use crate::catalogue::webhooks::webhook_messages as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Duration, EventTypeName, MessageId, PartnerName, Tenant, UnixTime};
use std::collections::BTreeMap;

const TABLE: &str = "webhook_messages";

/// How long a message is kept that has no delivery: so long the same key means the same message.
pub const MESSAGE_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Messages that one page of a list looks at.
pub const LOOKED_AT_MAX: u16 = 10_000;

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

/// A message without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHead {
    /// Which.
    pub id: MessageId,
    /// What it reports. Of one that came in: its source.
    pub event_type: EventTypeName,
    /// Which version of the type; 0 for one that came in.
    pub version: u32,
    /// To whom it goes.
    pub to: Addressee,
    /// A digest of all that was published.
    pub digest: [u8; 32],
    /// Bytes of the sealed body.
    pub sealed_bytes: u64,
    /// When it was accepted.
    pub created: UnixTime,
}

/// Which messages a list is of, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessagesOf {
    /// Those of this type.
    pub event_type: Option<EventTypeName>,
    /// Those that were accepted from then on.
    pub since: Option<UnixTime>,
    /// And before then.
    pub until: Option<UnixTime>,
    /// What the page before ended at.
    pub after: Option<MessagePlace>,
}

/// Where a page of messages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePlace {
    /// When the message was accepted.
    pub created: UnixTime,
    /// The message.
    pub id: MessageId,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHeads {
    /// The messages.
    pub rows: Vec<MessageHead>,
    /// Where the next page begins, if there may be one. A page that looked at [`LOOKED_AT_MAX`] messages ends there, however few of them it shows.
    pub next: Option<MessagePlace>,
}

/// What each of these messages reports, and which version of it; those that there are.
pub async fn kinds(
    connection: &mut Connection,
    tenant: &Tenant,
    wanted: &[MessageId],
) -> Result<BTreeMap<MessageId, (EventTypeName, u32)>, StoreError> {
    let values = args![tenant.as_str(), encode(TABLE, &wanted)?];
    let rows = connection.fetch_all(&sql::KINDS, values).await?;
    rows.iter()
        .map(|row| {
            let id = MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(0)?)?);
            let event_type = parsed(TABLE, &row.get::<String>(1)?)?;
            Ok((id, (event_type, version(row.get(2)?)?)))
        })
        .collect()
}

/// The message without what it says.
pub async fn head(
    connection: &mut Connection,
    tenant: &Tenant,
    id: MessageId,
) -> Result<Option<MessageHead>, StoreError> {
    let values = args![tenant.as_str(), id.as_bytes()];
    let row = connection.fetch_optional(&sql::HEAD, values).await?;
    row.as_ref().map(read_head).transpose()
}

/// A page of the tenant's messages. There is no index by type: rows are walked by their time, in steps, and no further than [`LOOKED_AT_MAX`].
pub async fn heads(
    connection: &mut Connection,
    tenant: &Tenant,
    of: &MessagesOf,
    limit: u16,
) -> Result<MessageHeads, StoreError> {
    let limit = usize::from(limit.min(PAGE_MAX));
    let mut found = MessageHeads {
        rows: Vec::new(),
        next: None,
    };
    // `until` is not among them: whatever id a message of that second has, it is not before the empty one.
    let until = of.until.map_or(i64::MAX, |until| until.0);
    let (mut time, mut id) = match of.after {
        Some(after) if after.created.0 < until => (after.created.0, after.id.as_bytes().to_vec()),
        Some(_) | None => (until, Vec::new()),
    };
    let since = of.since.map_or(i64::MIN, |since| since.0);
    for _ in 0..LOOKED_AT_MAX / PAGE_MAX {
        let values = args![tenant.as_str(), time, id.clone(), since, page(PAGE_MAX)];
        let rows = connection.fetch_all(&sql::HEADS, values).await?;
        let is_last = rows.len() < usize::from(PAGE_MAX);
        for row in &rows {
            if found.rows.len() >= limit {
                return Ok(found);
            }
            let head = read_head(row)?;
            let place = MessagePlace {
                created: head.created,
                id: head.id,
            };
            found.next = Some(place);
            (time, id) = (place.created.0, place.id.as_bytes().to_vec());
            let wanted = of.event_type.as_ref();
            if wanted.is_none_or(|wanted| *wanted == head.event_type) {
                found.rows.push(head);
            }
        }
        if is_last {
            found.next = None;
            return Ok(found);
        }
    }
    Ok(found)
}

fn read_head(row: &Row) -> Result<MessageHead, StoreError> {
    Ok(MessageHead {
        id: MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(0)?)?),
        event_type: parsed(TABLE, &row.get::<String>(1)?)?,
        version: version(row.get(2)?)?,
        to: addressee(row.get(3)?)?,
        digest: bytes(TABLE, &row.get::<Vec<u8>>(4)?)?,
        sealed_bytes: u64::try_from(row.get::<i64>(5)?).unwrap_or(0),
        created: UnixTime(row.get(6)?),
    })
}

fn read(row: &Row) -> Result<WebhookMessage, StoreError> {
    Ok(WebhookMessage {
        tenant: parsed(TABLE, &row.get::<String>(0)?)?,
        id: MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(1)?)?),
        event_type: parsed(TABLE, &row.get::<String>(2)?)?,
        version: version(row.get(3)?)?,
        to: addressee(row.get(4)?)?,
        digest: bytes(TABLE, &row.get::<Vec<u8>>(5)?)?,
        sealed: row.get(6)?,
        created: UnixTime(row.get(7)?),
    })
}

fn version(stored: i64) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| StoreError::corrupt(TABLE, "a version is no number of one"))
}

fn addressee(stored: Option<String>) -> Result<Addressee, StoreError> {
    Ok(match stored {
        None => Addressee::Everyone,
        Some(partner) => Addressee::Partner(parsed(TABLE, &partner)?),
    })
}
