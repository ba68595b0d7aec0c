//! What the writer, the sequencer and those who wait for a checkpoint tell each other.

use super::{AuditOptions, AuditUnavailable};
use countersign_audit::journal::Position;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The meeting place.
pub(super) struct Progress {
    inner: Mutex<Inner>,
    changed: Condvar,
    published: watch::Sender<Published>,
    pace: Pace,
}

struct Inner {
    durable: Position,
    sequenced: u64,
    writer_ended: bool,
    outbox_hints: u64,
    requested: u64,
}

/// How far the published checkpoint has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    /// The last request that was fulfilled.
    pub(super) request: u64,
    /// Records under the checkpoint.
    pub(super) size: u64,
    /// The sequencer runs no more.
    pub(super) ended: bool,
}

struct Pace {
    records: u64,
    delay: Duration,
    interval_min: Duration,
}

impl Pace {
    /// The shortest time from one round's beginning to the next one's, so that rounds take at most a fifth of the disk's time from the journal.
    fn after(&self, took: Duration) -> Duration {
        self.interval_min
            .max(took.saturating_mul(5))
            .min(self.interval_min.max(self.delay))
    }
}

/// When the last round began, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRound {
    pub(super) began: Instant,
    pub(super) took: Duration,
}

/// Why the sequencer was woken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wake {
    pub(super) durable: Position,
    pub(super) request: u64,
    pub(super) writer_ended: bool,
}

impl Progress {
    pub(super) fn new(options: &AuditOptions, durable: Position, size: u64) -> Self {
        let inner = Inner {
            durable,
            sequenced: 0,
            writer_ended: false,
            outbox_hints: 0,
            requested: 0,
        };
        let pace = Pace {
            records: options.checkpoint_records,
            delay: options.checkpoint_delay,
            interval_min: options.checkpoint_interval_min,
        };
        let published = watch::Sender::new(Published {
            request: 0,
            size,
            ended: false,
        });
        Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            published,
            pace,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// The writer made everything before `durable` durable.
    pub(super) fn advance(&self, durable: Position) {
        let mut inner = self.lock();
        inner.durable = durable;
        // The sequencer looks by itself when the delay is over; it is woken early only for enough records.
        let waiting = durable.sequence.saturating_sub(inner.sequenced);
        drop(inner);
        if waiting >= self.pace.records {
            self.changed.notify_one();
        }
    }

    pub(super) fn writer_ended(&self) {
        self.change(|inner| inner.writer_ended = true);
    }

    pub(super) fn outbox_changed(&self) {
        self.change(|inner| inner.outbox_hints += 1);
    }

    /// Asks for everything so far to be published; the answer is in [`Self::reached`] of the number returned.
    pub(super) fn request(&self) -> u64 {
        let mut inner = self.lock();
        inner.requested += 1;
        let request = inner.requested;
        drop(inner);
        self.changed.notify_one();
        request
    }

    /// Waits until a request is fulfilled.
    pub(super) async fn reached(&self, request: u64) -> Result<(), AuditUnavailable> {
        let mut published = self.published.subscribe();
        let reached = published
            .wait_for(|published| published.ended || published.request >= request)
            .await;
        match reached {
            Ok(published) if published.request >= request => Ok(()),
            Ok(_) | Err(_) => Err(AuditUnavailable::Failed),
        }
    }

    /// Waits until the sequencer ended.
    pub(super) async fn ended(&self) {
        // The sender lives in `self`, so the channel cannot close while somebody waits here.
        let _ = self
            .published
            .subscribe()
            .wait_for(|published| published.ended)
            .await;
    }

    pub(super) fn publish(&self, published: Published) {
        self.published.send_replace(published);
    }

    pub(super) fn published(&self) -> Published {
        *self.published.borrow()
    }

    /// Sleeps until a round is due: at once on request or at the end, at the number of records (but not too often), else at the longest delay.
    pub(super) fn wait(&self, sequenced: u64, last: LastRound, fulfilled: u64) -> Wake {
        let mut inner = self.lock();
        inner.sequenced = sequenced;
        loop {
            let wake = Wake {
                durable: inner.durable,
                request: inner.requested,
                writer_ended: inner.writer_ended,
            };
            let waiting = inner
                .durable
                .sequence
                .saturating_sub(sequenced)
                .saturating_add(inner.outbox_hints);
            let pause = if waiting >= self.pace.records {
                self.pace.after(last.took)
            } else {
                self.pace.delay
            };
            let left = pause.saturating_sub(last.began.elapsed());
            if wake.request > fulfilled || wake.writer_ended || left.is_zero() {
                inner.outbox_hints = 0;
                return wake;
            }
            inner = self
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
