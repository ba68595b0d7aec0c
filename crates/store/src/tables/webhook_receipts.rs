//! What came in, once: the memory that makes a message that comes again a duplicate, on every node and over restarts.

use super::bytes;
use crate::catalogue::webhooks::webhook_receipts as sql;
use crate::engine::args;
use crate::{StoreError, Transaction};
use countersign_base::{MessageId, SourceName, Tenant, UnixTime};

const TABLE: &str = "webhook_receipts";

/// What is remembered of something that came in.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// From where.
    pub source: SourceName,
    /// A digest of the sender's id of it.
    pub event_id: [u8; 32],
    /// A digest of what was signed, its time included. Absent where the scheme signs no time: then nobody can tell a replay from another attempt.
    pub attempt: Option<[u8; 32]>,
    /// A digest of the body.
    pub body: [u8; 32],
    /// Until when it is remembered.
    pub expires: UnixTime,
}

/// What is known of it.
pub(crate) enum Known {
    /// The very same signed attempt.
    Attempt(MessageId),
    /// It came with another body.
    OtherBody,
    /// Nothing: now it is remembered.
    New,
    /// The same, in another attempt.
    Same(MessageId),
}

pub(crate) async fn remember(
    tx: &mut Transaction,
    tenant: &Tenant,
    receipt: &Receipt,
    message: MessageId,
    now: UnixTime,
) -> Result<Known, StoreError> {
    let key = args![tenant.as_str(), receipt.source.as_str(), &receipt.event_id];
    let mut values = key.clone();
    values.extend(args![
        &receipt.attempt.unwrap_or_default(),
        &receipt.body,
        message.as_bytes(),
        now.0,
        receipt.expires.0
    ]);
    if tx.execute(&sql::ADD, values).await? > 0 {
        return Ok(Known::New);
    }
    // On PostgreSQL a sweep may have taken it in between: then whoever sends it sends it again.
    let row = tx.fetch_optional(&sql::FIND, key).await?;
    let row = row.ok_or(StoreError::Superseded(TABLE))?;
    let attempt: [u8; 32] = bytes(TABLE, &row.get::<Vec<u8>>(0)?)?;
    let body: [u8; 32] = bytes(TABLE, &row.get::<Vec<u8>>(1)?)?;
    let message = MessageId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(2)?)?);
    Ok(if body != receipt.body {
        Known::OtherBody
    } else if receipt.attempt == Some(attempt) {
        Known::Attempt(message)
    } else {
        Known::Same(message)
    })
}
