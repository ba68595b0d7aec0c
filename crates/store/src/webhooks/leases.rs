//! The leases of a process that is no more.
//!
//! A process that was killed leaves what it was sending taken, and the next one would wait for those leases to end: for an endpoint with an order that is a standstill of its
//! keys, once a crash. A database that belongs to one process knows better at its start: whoever took anything is gone.

use crate::tables::webhook_deliveries::{self as deliveries, Lane, Nodes};
use crate::{Store, StoreError};
use countersign_base::{Duration, UnixTime};

/// Endpoints that one unit looks through.
const LANES_TOGETHER: u16 = 256;

impl Store {
    /// Gives back what processes of before had taken for up to `longest`: it is due now, and the attempt that nobody knows the end of does not count. How many they were.
    ///
    /// For the start of a process, before it takes anything itself. Of a database that several processes share this says nothing and does nothing: what somebody took there, they
    /// may be sending, and it is due again when its lease ends.
    ///
    /// # Errors
    /// When the database failed; leases that were not given back end in their time.
    pub async fn give_back_webhooks(
        &self,
        longest: Duration,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        if self.nodes() == Nodes::Several {
            return Ok(0);
        }
        let (mut after, mut given_back) = (None, 0);
        loop {
            let mut connection = self.read().await?;
            let looked_at =
                deliveries::lanes(&mut connection, after.as_ref(), LANES_TOGETHER).await?;
            drop(connection);
            let lanes: Vec<Lane> = looked_at.into_iter().map(|(lane, _)| lane).collect();
            let Some(last) = lanes.last().cloned() else {
                return Ok(given_back);
            };
            after = Some(last);
            let ends = (now, now.plus(longest));
            given_back += self
                .write(move |tx| {
                    Box::pin(async move { deliveries::give_back(tx, &lanes, ends).await })
                })
                .await?;
        }
    }
}
