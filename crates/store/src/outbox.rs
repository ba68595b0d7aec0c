//! The table `audit_outbox` as the sequencer of the audit log sees it.

use crate::Store;
use crate::audit::{Outbox, OutboxError, OutboxFuture, OutboxRow};
use crate::tables::audit_outbox;

impl Outbox for Store {
    fn peek(&self, limit: usize) -> OutboxFuture<'_, Vec<OutboxRow>> {
        Box::pin(async move {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let rows = self
                .outbox(limit)
                .await
                .map_err(|error| OutboxError::new(&error))?;
            Ok(rows
                .into_iter()
                .map(|row| OutboxRow {
                    id: row.sequence,
                    record: row.record,
                })
                .collect())
        })
    }

    fn remove(&self, ids: Vec<i64>) -> OutboxFuture<'_, ()> {
        Box::pin(async move {
            let removed = self
                .write(move |tx| Box::pin(async move { audit_outbox::remove(tx, &ids).await }))
                .await;
            removed.map_err(|error| OutboxError::new(&error))
        })
    }
}
