//! Workers take rows of the outbox and settle them: each step one transaction, so that a crash at any instant loses nothing and at worst delivers again.

use crate::tables::deliveries::{self, Delivery};
use crate::write::record_event;
use crate::{Store, StoreError};
use countersign_audit::Record;
use countersign_base::UnixTime;

/// The right to settle what was taken with it, while it lasts.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// 16 random bytes: nobody else settles with them.
    pub token: [u8; 16],
    /// When others may take the rows again.
    pub until: UnixTime,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Settlement {
    /// It will never be delivered; the record says so.
    Dead(&'static str, Record),
    /// It was delivered; the record says so.
    Delivered(Record),
    /// It is tried again then.
    Later(&'static str, UnixTime),
}

impl Store {
    /// Takes up to `limit` deliveries of all tenants that are due.
    ///
    /// # Errors
    /// When the database failed; nothing was taken.
    pub async fn claim_deliveries(
        &self,
        lease: Lease,
        limit: u16,
        now: UnixTime,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.write(move |tx| {
            Box::pin(
                async move { deliveries::claim(tx, &lease.token, limit, lease.until, now).await },
            )
        })
        .await
    }

    /// Settles an attempt, with its event in the log's outbox. An attempt whose lease has ended settles nothing: another worker has the row, and reports it.
    ///
    /// # Errors
    /// When the database failed; the row is due again when the lease ends.
    pub async fn settle_delivery(
        &self,
        delivery: Delivery,
        lease: Lease,
        settlement: Settlement,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let token = &lease.token;
                let (met, event) = match settlement {
                    Settlement::Dead(reason, event) => (
                        deliveries::dead(tx, &delivery, token, reason).await?,
                        Some(event),
                    ),
                    Settlement::Delivered(event) => {
                        (deliveries::done(tx, &delivery, token).await?, Some(event))
                    }
                    Settlement::Later(reason, due) => (
                        deliveries::later(tx, &delivery, token, due, reason).await?,
                        None,
                    ),
                };
                if let (Some(event), 1) = (event, met) {
                    record_event(tx, &delivery.tenant, &event);
                }
                Ok(())
            })
        })
        .await?;
        self.outbox_changed();
        Ok(())
    }
}
