//! The bounded queue before the journal: appenders write into the frame that is being filled, the writer takes it whole.
//!
//! One frame and one ticket a batch: an append is a copy into the frame's buffer, and a whole batch is woken with one notification.

use super::{AuditOptions, AuditUnavailable};
use countersign_audit::journal::{BODY_BYTES_MAX, FrameBuffer};
use countersign_audit::{CanonicalRecord, Class};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes in a frame at which records that nobody waits for are written without waiting for company.
const EAGER_BYTES: usize = 256 * 1024;

/// What becomes of a batch.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    outcome: AtomicU8,
    done: Notify,
}

const PENDING: u8 = 0;
const DURABLE: u8 = 1;
const FULL: u8 = 2;
const FAILED: u8 = 3;

impl Ticket {
    /// Waits until the batch is durable or lost.
    pub(super) async fn durable(&self) -> Result<(), AuditUnavailable> {
        loop {
            let done = self.done.notified();
            match self.outcome.load(Ordering::Acquire) {
                PENDING => done.await,
                DURABLE => return Ok(()),
                FULL => return Err(AuditUnavailable::Full),
                _ => return Err(AuditUnavailable::Failed),
            }
        }
    }

    pub(super) fn settle(&self, outcome: Result<(), AuditUnavailable>) {
        let outcome = match outcome {
            Ok(()) => DURABLE,
            Err(AuditUnavailable::Full) => FULL,
            Err(AuditUnavailable::Closing | AuditUnavailable::Failed) => FAILED,
        };
        self.outcome.store(outcome, Ordering::Release);
        self.done.notify_waiters();
    }
}

/// Whether somebody waits for a record's durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    No,
    Yes,
}

struct Filling {
    frame: FrameBuffer,
    ticket: Arc<Ticket>,
    /// The batch that the writer took last; it may not be durable yet.
    taken: Option<Arc<Ticket>>,
    awaited: Awaited,
    refuse: Option<AuditUnavailable>,
    writer: Writer,
}

/// What the writer is doing, so that it is woken only when that helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Writing, or woken already.
    Busy,
    /// Sleeping until a record is awaited, or many have come, or the delay is over.
    Delaying,
    /// Sleeping until there is something to do.
    Idle,
}

/// The queue.
pub(super) struct Queue {
    filling: Mutex<Filling>,
    work: Condvar,
    /// Bytes of durable frames that are not sequenced yet.
    backlog: AtomicU64,
    limits: Limits,
}

struct Limits {
    queue: usize,
    queue_reserved: usize,
    journal: u64,
    journal_reserved: u64,
    delay: Duration,
}

/// A batch that the writer took.
pub(super) struct Taken {
    pub(super) frame: FrameBuffer,
    pub(super) ticket: Arc<Ticket>,
}

impl Queue {
    pub(super) fn new(options: &AuditOptions, backlog: u64) -> Self {
        let limits = Limits {
            queue: options.queue_bytes_max.min(BODY_BYTES_MAX),
            queue_reserved: options.queue_bytes_reserved,
            journal: options.journal_bytes_max,
            journal_reserved: options.journal_bytes_reserved,
            delay: options.queued_delay,
        };
        let filling = Filling {
            frame: FrameBuffer::with_capacity(64 * 1024),
            ticket: Arc::new(Ticket::default()),
            taken: None,
            awaited: Awaited::No,
            refuse: None,
            writer: Writer::Busy,
        };
        Self {
            filling: Mutex::new(filling),
            work: Condvar::new(),
            backlog: AtomicU64::new(backlog),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Filling> {
        // A panicking appender leaves the frame as it was before or after a whole record.
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record to the batch that is being filled.
    pub(super) fn append(
        &self,
        record: &CanonicalRecord,
        class: Class,
        awaited: Awaited,
    ) -> Result<Arc<Ticket>, AuditUnavailable> {
        let mut filling = self.lock();
        if let Some(reason) = filling.refuse {
            return Err(reason);
        }
        if !self.has_room(&filling, record.as_bytes().len(), class) {
            return Err(AuditUnavailable::Full);
        }
        filling.frame.push(record.as_bytes());
        if awaited == Awaited::Yes {
            filling.awaited = Awaited::Yes;
        }
        let ticket = Arc::clone(&filling.ticket);
        let wake = match filling.writer {
            Writer::Busy => false,
            Writer::Delaying => {
                filling.awaited == Awaited::Yes || filling.frame.length() >= EAGER_BYTES
            }
            Writer::Idle => true,
        };
        if wake {
            filling.writer = Writer::Busy;
        }
        drop(filling);
        if wake {
            self.work.notify_one();
        }
        Ok(ticket)
    }

    fn has_room(&self, filling: &Filling, bytes: usize, class: Class) -> bool {
        let (queue, journal) = match class {
            Class::Control => (self.limits.queue, self.limits.journal),
            Class::Data => (
                self.limits.queue.saturating_sub(self.limits.queue_reserved),
                self.limits
                    .journal
                    .saturating_sub(self.limits.journal_reserved),
            ),
        };
        let length = filling.frame.length() + bytes + 2;
        length <= queue
            && self
                .backlog
                .load(Ordering::Relaxed)
                .saturating_add(length as u64)
                <= journal
    }

    /// The ticket of the newest batch with something in it, if there was one: the one that is being filled, which is then written without
    /// delay, or else the one that the writer has at the moment.
    pub(super) fn hurry(&self) -> Option<Arc<Ticket>> {
        let mut filling = self.lock();
        if filling.frame.records() == 0 {
            return filling.taken.clone();
        }
        filling.awaited = Awaited::Yes;
        let ticket = Arc::clone(&filling.ticket);
        drop(filling);
        self.work.notify_one();
        Some(ticket)
    }

    /// Refuses every later append with `reason`; what is in the queue is still written unless the disk failed.
    pub(super) fn refuse(&self, reason: AuditUnavailable) {
        let mut filling = self.lock();
        if filling.refuse != Some(AuditUnavailable::Failed) {
            filling.refuse = Some(reason);
        }
        drop(filling);
        self.work.notify_one();
    }

    /// Why appends are refused, if they are.
    pub(super) fn refused(&self) -> Option<AuditUnavailable> {
        self.lock().refuse
    }

    /// Waits for a batch and takes it, leaving `spare` to be filled; `None` when the queue is closed and empty.
    pub(super) fn take(&self, spare: FrameBuffer) -> Option<Taken> {
        let mut filling = self.lock();
        let mut delayed = false;
        loop {
            let records = filling.frame.records();
            let due =
                delayed || filling.awaited == Awaited::Yes || filling.frame.length() >= EAGER_BYTES;
            if filling.refuse.is_some() || (records > 0 && due) {
                break;
            }
            if records == 0 {
                filling.writer = Writer::Idle;
                filling = self
                    .work
                    .wait(filling)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                filling.writer = Writer::Delaying;
                let woken = self
                    .work
                    .wait_timeout(filling, self.limits.delay)
                    .unwrap_or_else(PoisonError::into_inner);
                delayed = woken.1.timed_out();
                filling = woken.0;
            }
        }
        filling.writer = Writer::Busy;
        if filling.frame.records() == 0 {
            return None;
        }
        filling.awaited = Awaited::No;
        let frame = std::mem::replace(&mut filling.frame, spare);
        let ticket = std::mem::take(&mut filling.ticket);
        filling.taken = Some(Arc::clone(&ticket));
        Some(Taken { frame, ticket })
    }

    pub(super) fn backlog_grew(&self, bytes: u64) {
        self.backlog.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn backlog_shrank(&self, bytes: u64) {
        self.backlog.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn backlog(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }
}
