//! How attempts ended, many in one unit. A delivery whose lease has ended and that another worker took is not touched: whoever has it reports it.

use super::WebhookTicket;
use crate::tables::webhook_deliveries::{
    self as deliveries, DeliveryState, HeldRow, LOGGED_MAX, LoggedAttempt, Nodes, SettledRow,
};
use crate::write::record_event;
use crate::{Store, StoreError, Transaction};
use countersign_audit::Record;
use countersign_base::{Duration, UnixTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long what ended is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookKept {
    /// What was delivered.
    pub delivered: Duration,
    /// What was given up.
    pub dead: Duration,
}

impl Default for WebhookKept {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            delivered: Duration::from_secs(7 * DAY),
            dead: Duration::from_secs(30 * DAY),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// It is tried no more.
    Dead {
        /// Why.
        reason: &'static str,
        /// What the receiver answered.
        status: Option<u16>,
        /// How long the attempt took.
        took_ms: u32,
    },
    /// The receiver took it.
    Delivered {
        /// What it answered.
        status: u16,
        /// How long the attempt took.
        took_ms: u32,
    },
    /// It is tried again.
    Later {
        /// When.
        due: UnixTime,
        /// Why.
        reason: &'static str,
        /// What the receiver answered.
        status: Option<u16>,
        /// How long the attempt took.
        took_ms: u32,
    },
    /// It was not tried, and nothing counts against it.
    Released {
        /// When it is due.
        due: UnixTime,
    },
}

/// The end of an attempt.
#[derive(Debug)]
pub struct WebhookSettlement {
    /// What was taken.
    pub ticket: WebhookTicket,
    /// How it ended.
    pub outcome: WebhookOutcome,
    /// What the audit log says about it, if it was still whose it says.
    pub event: Option<Record>,
}

impl Store {
    /// Settles attempts, with their events, in one transaction. How many were still held by whoever settles them; the others are as they were.
    ///
    /// # Errors
    /// When the database failed; all of them are due again when their leases end, unless they are settled until then. To settle again what was settled after all changes nothing.
    pub async fn settle_webhooks(
        &self,
        settlements: impl Into<Arc<[WebhookSettlement]>>,
        kept: WebhookKept,
        now: UnixTime,
    ) -> Result<usize, StoreError> {
        let settlements = settlements.into();
        if settlements.is_empty() {
            return Ok(0);
        }
        let nodes = self.nodes();
        let frees = settlements
            .iter()
            .any(|settlement| settlement.ticket.is_ordered);
        let settled = self
            .write(move |tx| {
                Box::pin(async move { settle(tx, &settlements, kept, nodes, now).await })
            })
            .await?;
        self.outbox_changed();
        if frees {
            self.webhooks_changed();
        }
        Ok(settled)
    }
}

async fn settle(
    tx: &mut Transaction,
    settlements: &[WebhookSettlement],
    kept: WebhookKept,
    nodes: Nodes,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let sequence = |settlement: &WebhookSettlement| settlement.ticket.sequence;
    let mut sequences: Vec<i64> = settlements.iter().map(sequence).collect();
    sequences.sort_unstable();
    let mut ordered: Vec<i64> = settlements
        .iter()
        .filter(|settlement| settlement.ticket.is_ordered)
        .map(sequence)
        .collect();
    ordered.sort_unstable();
    let held = deliveries::held(tx, &sequences, &ordered, nodes).await?;
    let mut held: BTreeMap<i64, HeldRow> =
        held.into_iter().map(|row| (row.sequence, row)).collect();
    let mut rows = Vec::with_capacity(settlements.len());
    for settlement in settlements {
        let ticket = &settlement.ticket;
        let Some(row) = held.remove(&ticket.sequence) else {
            continue;
        };
        if row.lease != ticket.lease {
            continue;
        }
        if let Some(event) = &settlement.event {
            record_event(tx, &row.tenant, event);
        }
        rows.push(after(row, settlement.outcome, kept, now));
    }
    let settled: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    ordered.retain(|sequence| settled.contains(sequence));
    if !rows.is_empty() {
        deliveries::settle(tx, &rows, &ordered, now).await?;
    }
    Ok(rows.len())
}

/// What a row is after the attempt.
fn after(row: HeldRow, outcome: WebhookOutcome, kept: WebhookKept, now: UnixTime) -> SettledRow {
    let mut settled = SettledRow {
        sequence: row.sequence,
        state: DeliveryState::Waiting,
        due: now,
        counted: 0,
        status: row.status,
        reason: row.reason,
        log: row.log,
        ended: None,
    };
    let (status, reason, took_ms) = match outcome {
        WebhookOutcome::Released { due } => {
            settled.due = due;
            settled.counted = -1;
            return settled;
        }
        WebhookOutcome::Dead {
            reason,
            status,
            took_ms,
        } => {
            settled.state = DeliveryState::Dead;
            settled.ended = Some((now, now.plus(kept.dead)));
            (status, Some(reason), took_ms)
        }
        WebhookOutcome::Delivered { status, took_ms } => {
            settled.state = DeliveryState::Delivered;
            settled.ended = Some((now, now.plus(kept.delivered)));
            (Some(status), None, took_ms)
        }
        WebhookOutcome::Later {
            due,
            reason,
            status,
            took_ms,
        } => {
            settled.due = due;
            (status, Some(reason), took_ms)
        }
    };
    settled.status = status.map(i64::from);
    settled.reason = reason.map(str::to_owned);
    let surplus = (settled.log.len() + 1).saturating_sub(LOGGED_MAX);
    settled.log.drain(..surplus);
    settled.log.push(LoggedAttempt {
        at: now.0,
        status,
        reason: settled.reason.clone(),
        took_ms,
    });
    settled
}
