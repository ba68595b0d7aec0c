//! The handle with which the program writes its audit log.

use super::{AuditOptions, Outbox};
use countersign_audit::{Origin, Record, VerifierKey};
use countersign_base::{Clock, EventId};
use countersign_crypto::signing::{LogCheckpoint, SigningKey};
use std::path::Path;
use std::sync::Arc;

/// A handle of an open audit log. Cloning it is cheap; all clones write the same log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    shared: Arc<()>,
}

impl AuditLog {
    /// Opens or creates the log of `origin` in `directory/ORIGIN/`, repairs its tail, checks its right edge, and starts the journal's writer and the
    /// sequencer. Call it inside a tokio runtime that outlives the log: the sequencer drives `outbox` on it.
    ///
    /// # Errors
    /// When the directory cannot be used, another process has it, the log does not match its own checkpoint or state, or acknowledged records are damaged.
    pub fn open(
        directory: &Path,
        origin: &Origin,
        signer: SigningKey<LogCheckpoint>,
        clock: &Clock,
        outbox: Arc<dyn Outbox>,
        options: AuditOptions,
    ) -> Result<(Self, AuditTask), OpenError> {
        let _ = (directory, origin, signer, clock, outbox, options);
        todo!()
    }

    /// Records `record` durably: when this answers, the record is on disk behind an `fdatasync` and will be in the log exactly once, whatever happens.
    ///
    /// # Errors
    /// When the log cannot take it: the queue or the journal is full, the disk failed, or the log is closing. Nothing may then go on that needed it.
    pub async fn append_durable(&self, record: Record) -> Result<EventId, AuditUnavailable> {
        let _ = record;
        todo!()
    }

    /// Takes `record` into the bounded queue; it becomes durable with the next batch. A power cut may lose it.
    ///
    /// # Errors
    /// As [`Self::append_durable`].
    pub fn append_queued(&self, record: Record) -> Result<EventId, AuditUnavailable> {
        let _ = record;
        todo!()
    }

    /// Records the refusal of a request that nobody authenticated for: one by one up to the limit per second and `source`, beyond that counted into one
    /// record a second. `source` (an address) is kept in no record; a digest of it under the process's salt is.
    ///
    /// # Errors
    /// As [`Self::append_queued`].
    pub fn bounded_refusal(
        &self,
        source: &str,
        record: Record,
    ) -> Result<RefusalNoted, AuditUnavailable> {
        let _ = (source, record);
        todo!()
    }

    /// Tells the sequencer that rows were committed to the outbox. Calling it is cheap and never needed for correctness: it looks once a second anyway.
    pub fn outbox_changed(&self) {
        todo!()
    }

    /// Waits until everything appended or committed to the outbox before this call is in the log and covered by a published checkpoint.
    ///
    /// # Errors
    /// When the log fails before that.
    pub async fn published(&self) -> Result<(), AuditUnavailable> {
        todo!()
    }

    /// The key to verify this log with.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        todo!()
    }

    /// The directory of this log's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        todo!()
    }
}

/// What became of a refusal's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalNoted {
    /// It will be part of a counted record.
    Counted,
    /// It has a record of its own.
    Recorded(EventId),
}

/// The threads of an open log. Dropping it stops them without waiting; [`Self::close`] waits.
#[derive(Debug)]
#[must_use]
pub struct AuditTask {
    _private: (),
}

impl AuditTask {
    /// Makes everything appended so far durable, sequences and publishes it, and stops the threads. Later appends are refused.
    ///
    /// # Errors
    /// When the last batch could not be written.
    pub async fn close(self) -> Result<(), AuditUnavailable> {
        todo!()
    }
}

/// The log cannot take the record. Whatever needed the record must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditUnavailable {
    /// It is being closed.
    #[error("the audit log is closing")]
    Closing,
    /// The disk failed; the log stays shut until the program is started again.
    #[error("the audit log could not be written: see the program's own log")]
    Failed,
    /// Too much waits already.
    #[error("the audit log has no room: records wait faster than the disk takes them")]
    Full,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files contradict each other.
    #[error(
        "the audit log does not verify: {0}. Restore it from a copy, or move it aside to begin a new one"
    )]
    Damaged(String),
    /// The directory cannot be used.
    #[error("the audit log cannot be opened: {0}")]
    Disk(#[from] std::io::Error),
    /// The key cannot sign checkpoints, or is another than the log's.
    #[error("the audit log's key does not fit: {0}")]
    Key(String),
}
