//! Expiry, off the request path: small deletes, each its own unit, never one large one.

use crate::catalogue::webhooks::{
    webhook_deliveries, webhook_endpoints, webhook_messages, webhook_receipts, webhook_secrets,
};
use crate::catalogue::{
    Statement, access_tokens, api_keys, assertions, browser_sessions, decoupled_requests,
    deliveries, event_details, exchanges, grant_assertions, grants, idempotency_keys, one_time,
    refresh_families, revocations, sessions, throttle, upstream_sessions, used_proofs,
};
use crate::engine::args;
use crate::tables::one_time::KEPT_AFTER_EXPIRY;
use crate::{Store, StoreError};
use countersign_base::{Duration, UnixTime};

/// Rows that one unit deletes.
const ROWS_MAX: i64 = 500;

/// Steps that one round takes in one table: with the rows of a step, 250,000 rows.
const STEPS_MAX: u32 = 500;
/// The pause after a step that left something.
const PAUSE: Duration = Duration::from_millis(10);

/// A table that is swept, and how long its rows stay after they expired.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// What is done first, in the same step: rows that others still need are put off.
    put_off: Option<&'static Statement>,
    statement: &'static Statement,
    kept: Duration,
}

impl Sweep {
    /// Every sweep. Grants and families stay for a day: what was revoked is still known as such when it is asked for. Sessions say
    /// themselves until when they are kept.
    pub const ALL: &[Self] = &[
        // A little longer than the leeway with which clocks are allowed to differ.
        Self {
            put_off: None,
            statement: &access_tokens::SWEEP,
            kept: Duration::from_secs(60),
        },
        // A key that ended is listed for a while, with the day of its last use.
        Self {
            put_off: None,
            statement: &api_keys::SWEEP,
            kept: Duration::from_secs(30 * 24 * 3600),
        },
        Self {
            put_off: None,
            statement: &assertions::SWEEP,
            kept: Duration::from_secs(60),
        },
        Self {
            put_off: None,
            statement: &browser_sessions::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &decoupled_requests::SWEEP,
            kept: KEPT_AFTER_EXPIRY,
        },
        Self {
            put_off: None,
            statement: &deliveries::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &event_details::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &exchanges::SWEEP,
            kept: Duration::from_secs(24 * 3600),
        },
        Self {
            put_off: None,
            statement: &grant_assertions::SWEEP,
            kept: Duration::from_secs(60),
        },
        Self {
            put_off: None,
            statement: &grants::SWEEP,
            kept: Duration::from_secs(24 * 3600),
        },
        Self {
            put_off: None,
            statement: &idempotency_keys::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &crate::catalogue::known_browsers::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &one_time::SWEEP,
            kept: KEPT_AFTER_EXPIRY,
        },
        Self {
            put_off: None,
            statement: &refresh_families::SWEEP,
            kept: Duration::from_secs(24 * 3600),
        },
        Self {
            put_off: None,
            statement: &revocations::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &sessions::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &throttle::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &used_proofs::SWEEP,
            kept: Duration::from_secs(60),
        },
        Self {
            put_off: None,
            statement: &upstream_sessions::SWEEP,
            kept: Duration::ZERO,
        },
        // First the deliveries, then what they were of.
        Self {
            put_off: None,
            statement: &webhook_deliveries::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &webhook_deliveries::SWEEP_REMOVED,
            kept: Duration::ZERO,
        },
        // Whoever saw it before it was removed may still be writing a delivery to it.
        Self {
            put_off: None,
            statement: &webhook_endpoints::SWEEP,
            kept: Duration::from_secs(600),
        },
        // A message stays as long as a delivery of it does.
        Self {
            put_off: Some(&webhook_messages::KEEP),
            statement: &webhook_messages::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &webhook_receipts::SWEEP,
            kept: Duration::ZERO,
        },
        Self {
            put_off: None,
            statement: &webhook_secrets::SWEEP,
            kept: Duration::ZERO,
        },
    ];

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.statement.table
    }
}

/// What one step of a sweep left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// Nothing that has expired.
    Clean,
    /// Perhaps more: come again soon.
    More,
}

impl Store {
    /// Sweeps every table until it is clean, or until this round has done its share; the rest is for the next round.
    ///
    /// # Errors
    /// When the database failed; what was deleted before stays deleted.
    pub async fn sweep_all(&self, now: UnixTime) -> Result<(), StoreError> {
        for sweep in Sweep::ALL.iter().copied() {
            for _ in 0..STEPS_MAX {
                if self.sweep(sweep, now).await? == Swept::Clean {
                    break;
                }
                // Other units have their turn first.
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// One step of one sweep: deletes a bounded number of rows. A job calls it for each of [`Sweep::ALL`], again while it answers
    /// [`Swept::More`], and pauses in between.
    ///
    /// # Errors
    /// When the database failed; nothing was deleted.
    pub async fn sweep(&self, sweep: Sweep, now: UnixTime) -> Result<Swept, StoreError> {
        let before = now.minus(sweep.kept).0;
        let deleted = self
            .write(move |tx| {
                Box::pin(async move {
                    let mut swept = 0;
                    for statement in sweep.put_off.into_iter().chain([sweep.statement]) {
                        swept += tx.execute(statement, args![before, ROWS_MAX]).await?;
                    }
                    Ok(swept)
                })
            })
            .await?;
        Ok(if deleted < u64::try_from(ROWS_MAX).unwrap_or(u64::MAX) {
            Swept::Clean
        } else {
            Swept::More
        })
    }
}
