//! Where the sequencer takes the records that were written in a transaction: table `audit_outbox`, behind a trait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What an [`Outbox`] answers with.
pub type OutboxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, OutboxError>> + Send + 'a>>;

/// One committed record that waits to be sequenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its key in the table: unique for ever, never used again for another record.
    pub id: i64,
    /// The canonical bytes, as [`countersign_audit::CanonicalRecord::as_bytes`] gave them.
    pub record: Vec<u8>,
}

/// The table `audit_outbox`.
///
/// The sequencer takes rows, makes them part of the log, and removes them after that is durable. Between the two it may be killed; it remembers
/// in its own state which rows of its last batch are in the log, so each is sequenced exactly once whatever happens.
pub trait Outbox: Send + Sync + 'static {
    /// The oldest `limit` committed rows, in the order of their ids. Rows that an earlier call returned come again until they are removed.
    fn peek(&self, limit: usize) -> OutboxFuture<'_, Vec<OutboxRow>>;

    /// Removes rows durably. Ids that are not there any more are passed over.
    fn remove(&self, ids: Vec<i64>) -> OutboxFuture<'_, ()>;
}

/// The outbox could not be read or emptied.
#[derive(Debug, thiserror::Error)]
#[error("the outbox of audit records cannot be reached: {cause}")]
pub struct OutboxError {
    cause: String,
}

impl OutboxError {
    /// An error with its cause in words.
    pub fn new(cause: &impl fmt::Display) -> Self {
        Self {
            cause: cause.to_string(),
        }
    }
}

/// The outbox of a node without a database: always empty.
#[derive(Debug, Clone, Copy)]
pub struct NoOutbox;

impl Outbox for NoOutbox {
    fn peek(&self, _limit: usize) -> OutboxFuture<'_, Vec<OutboxRow>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove(&self, _ids: Vec<i64>) -> OutboxFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
