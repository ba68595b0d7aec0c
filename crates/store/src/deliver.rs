//! Workers take rows of the outbox and settle them: each step one transaction, so that a crash at any instant loses nothing and at worst delivers again.

use crate::tables::deliveries::{self, Delivery, Destination};
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
    /// It was not tried: it is due then, and nothing counts against it.
    Released(UnixTime),
}

impl Store {
    /// The destinations in the order of their names, beginning after `after`, of up to `limit` that something waits for: those for which something is due. Beside them
    /// the last one that was looked at, if there may be more.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn due_destinations(
        &self,
        mut after: Option<Destination>,
        limit: u16,
        now: UnixTime,
    ) -> Result<(Vec<Destination>, Option<Destination>), StoreError> {
        let mut connection = self.read().await?;
        let mut due = Vec::new();
        for _ in 0..limit {
            let next = deliveries::next_destination(&mut connection, after.as_ref()).await?;
            let Some((destination, earliest)) = next else {
                return Ok((due, None));
            };
            if earliest <= now {
                due.push(destination.clone());
            }
            after = Some(destination);
        }
        Ok((due, after))
    }

    /// Takes deliveries that are due, up to `limit` of each of the destinations.
    ///
    /// # Errors
    /// When the database failed; nothing was taken.
    pub async fn claim_deliveries(
        &self,
        destinations: Vec<Destination>,
        lease: Lease,
        limit: u16,
        now: UnixTime,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut taken = Vec::new();
                for destination in &destinations {
                    let (token, until) = (&lease.token, lease.until);
                    let of_it = deliveries::claim(tx, destination, token, limit, until, now);
                    taken.extend(of_it.await?);
                }
                Ok(taken)
            })
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
                    Settlement::Released(due) => {
                        (deliveries::release(tx, &delivery, token, due).await?, None)
                    }
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
