//! The handle with which the program writes its audit log.

use super::disk::{Directories, Disk, RealDisk};
use super::files::OpenDiskFiles;
use super::options::WalkAtStart;
use super::progress::Progress;
use super::queue::{Awaited, Queue};
use super::reader::{RecoveryError, recover};
use super::refusals::{Judged, Refusals};
use super::sequencer::Sequencer;
use super::writer::JournalWriter;
use super::{AuditOptions, Outbox, edge, threads};
use countersign_audit::verify::{Report, VerifyError};
use countersign_audit::{Checkpoint, NoteSigner, Origin, Record, VerifierKey};
use countersign_base::{Clock, EventId};
use countersign_crypto::signing::{LogCheckpoint, SigningKey};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use tokio::runtime::Handle;

/// What the handle, the writer and the sequencer share.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) progress: Progress,
    refusals: Mutex<Refusals>,
    clock: Clock,
    directory: PathBuf,
    verifier: VerifierKey,
    walked: OnceLock<Result<Report, VerifyError>>,
}

impl Shared {
    /// The counted records of seconds that are over.
    pub(super) fn owed_refusals(&self) -> Vec<Record> {
        let now = self.clock.millis();
        self.refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .owed(now)
    }
}

/// A handle of an open audit log. Cloning it is cheap; all clones write the same log.
#[derive(Clone)]
pub struct AuditLog(Arc<Shared>);

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
        let directory = directory.join(origin.as_str());
        let disk = Arc::new(RealDisk::open(&directory)?);
        let signer = NoteSigner::new(origin.clone(), signer)
            .map_err(|error| OpenError::Key(error.to_string()))?;
        Self::open_on(disk, &directory, signer, clock, outbox, options)
    }

    /// As [`Self::open`], on a disk that the caller brings. `directory` is what [`Self::directory`] tells.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        signer: NoteSigner,
        clock: &Clock,
        outbox: Arc<dyn Outbox>,
        options: AuditOptions,
    ) -> Result<(Self, AuditTask), OpenError> {
        let Opened {
            writer,
            sequencer,
            waiting_bytes,
        } = Opened::on(&disk, &signer, options.segment_bytes)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(&options, waiting_bytes),
            progress: Progress::new(&options, writer.position(), sequencer.size()),
            refusals: Mutex::new(Refusals::new(
                options.random.clone(),
                options.refusals_per_second,
            )),
            clock: clock.clone(),
            directory: directory.to_owned(),
            verifier: signer.verifier().clone(),
            walked: OnceLock::new(),
        });
        let runtime = Handle::try_current().ok();
        let (for_writer, for_sequencer) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            named("audit-journal").spawn(move || threads::write_journal(&for_writer, writer))?,
            named("audit-sequence").spawn(move || {
                threads::sequence(&for_sequencer, sequencer, &*outbox, runtime.as_ref())
            })?,
        ];
        if options.walk_at_start == WalkAtStart::Yes {
            let (for_walk, files) = (Arc::clone(&shared), OpenDiskFiles(Arc::downgrade(&disk)));
            named("audit-walk").spawn(move || for_walk.walk(&files))?;
        }
        Ok((Self(Arc::clone(&shared)), AuditTask { shared, threads }))
    }

    /// Records `record` durably: when this answers, the record is on disk behind an `fdatasync` and will be in the log exactly once, whatever happens.
    /// It is queued when this is called, whether or not anybody waits for the answer.
    ///
    /// # Errors
    /// When the log cannot take it: the queue or the journal is full, the disk failed, or the log is closing. Nothing may then go on that needed it.
    pub fn append_durable(
        &self,
        record: Record,
    ) -> impl Future<Output = Result<EventId, AuditUnavailable>> + Send + use<> {
        let id = record.id;
        let taken = self
            .0
            .queue
            .append(&record.encode(), record.event.class(), Awaited::Yes);
        async move {
            taken?.durable().await?;
            Ok(id)
        }
    }

    /// Takes `record` into the bounded queue; it becomes durable with the next batch. A power cut may lose it.
    ///
    /// # Errors
    /// As [`Self::append_durable`].
    pub fn append_queued(&self, record: Record) -> Result<EventId, AuditUnavailable> {
        self.0
            .queue
            .append(&record.encode(), record.event.class(), Awaited::No)?;
        Ok(record.id)
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
        let now = self.0.clock.millis();
        let (judged, owed) = self
            .0
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(source, &record, now);
        for counted in owed {
            self.append_queued(counted)?;
        }
        match judged {
            Judged::Count => Ok(RefusalNoted::Counted),
            Judged::Record => self.append_queued(record).map(RefusalNoted::Recorded),
        }
    }

    /// Tells the sequencer that a row was committed to the outbox. Calling it is cheap and never needed for correctness: it looks once a second anyway.
    pub fn outbox_changed(&self) {
        self.0.progress.outbox_changed();
    }

    /// Waits until everything appended or committed to the outbox before this call is in the log and covered by a published checkpoint.
    ///
    /// # Errors
    /// When the log fails or is closed before that.
    pub async fn published(&self) -> Result<(), AuditUnavailable> {
        if let Some(ticket) = self.0.queue.hurry() {
            ticket.durable().await?;
        }
        let request = self.0.progress.request();
        self.0.progress.reached(request).await?;
        match self.0.queue.refused() {
            Some(AuditUnavailable::Failed) => Err(AuditUnavailable::Failed),
            Some(AuditUnavailable::Closing | AuditUnavailable::Full) | None => Ok(()),
        }
    }

    /// How the log does: for readiness and metrics.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        AuditStatus {
            refuses: self.0.queue.refused(),
            size: self.0.progress.published().size,
            backlog_bytes: self.0.queue.backlog(),
        }
    }

    /// What the walk through the whole log at start found; `None` while it goes on or if there was none.
    #[must_use]
    pub fn walked(&self) -> Option<&Result<Report, VerifyError>> {
        self.0.walked.get()
    }

    /// The key to verify this log with.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.0.verifier
    }

    /// The directory of this log's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditLog").field(&self.0.directory).finish()
    }
}

impl Shared {
    /// The counted records of all seconds, the current one included.
    fn settle_refusals(&self) -> Vec<Record> {
        let now = self.clock.millis();
        self.refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settle(now)
    }

    /// Verifies everything once, unless the log is closed meanwhile.
    fn walk(&self, files: &OpenDiskFiles) {
        let walked = super::inspect::verify_files(files, &self.verifier, &[]);
        match &walked {
            Ok(report) => tracing::info!(records = report.size, "the whole audit log verifies"),
            Err(_) if files.0.strong_count() == 0 => return,
            Err(error) => tracing::error!(%error, "the audit log does not verify"),
        }
        let _ = self.walked.set(walked);
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// A log that was checked and repaired, before its threads run.
pub(super) struct Opened {
    pub(super) writer: JournalWriter,
    pub(super) sequencer: Sequencer,
    pub(super) waiting_bytes: u64,
}

impl Opened {
    /// Checks the right edge and the tail, repairs the journal's end, and begins a new segment.
    pub(super) fn on(
        disk: &Arc<dyn Disk>,
        signer: &NoteSigner,
        segment_bytes: u64,
    ) -> Result<Self, OpenError> {
        let mut directories = Directories::default();
        directories.ensure(&**disk, "journal")?;
        directories.ensure(&**disk, "tile")?;
        let state = edge::load_state(&**disk, signer)?;
        let checkpoint = Checkpoint::open(state.checkpoint.as_bytes(), signer.verifier());
        let checkpoint =
            checkpoint.map_err(|error| OpenError::Damaged(format!("`state`: {error}")))?;
        let right_edge = edge::load(&**disk, &checkpoint)?;
        edge::remove_leftovers(&**disk, checkpoint.size)?;
        let recovered = recover(disk, state.journal)?;
        if recovered.torn_bytes > 0 {
            tracing::warn!(
                bytes = recovered.torn_bytes,
                "cut off a batch of the audit journal that was never acknowledged"
            );
        }
        let writer = JournalWriter::begin(Arc::clone(disk), recovered.end, segment_bytes)?;
        let sequencer = Sequencer::new(
            Arc::clone(disk),
            signer.clone(),
            right_edge,
            state,
            recovered.reader,
        );
        Ok(Self {
            writer,
            sequencer,
            waiting_bytes: recovered.waiting_bytes,
        })
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

/// How a log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditStatus {
    /// Why it refuses records, if it does.
    pub refuses: Option<AuditUnavailable>,
    /// Records under the published checkpoint.
    pub size: u64,
    /// Bytes of journal that wait to be sequenced.
    pub backlog_bytes: u64,
}

/// The threads of an open log. Dropping it lets them finish their work without waiting for it; [`Self::close`] waits.
#[must_use]
pub struct AuditTask {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl AuditTask {
    /// Makes everything appended so far durable, sequences and publishes it, and stops the threads. Later appends are refused.
    ///
    /// # Errors
    /// When the disk failed before that.
    pub async fn close(mut self) -> Result<(), AuditUnavailable> {
        self.begin_closing();
        self.shared.progress.ended().await;
        // They have said that they ended; what is left of them is to let go of the directory.
        let panicked = std::mem::take(&mut self.threads)
            .into_iter()
            .any(|thread| thread.join().is_err());
        match self.shared.queue.refused() {
            Some(AuditUnavailable::Failed) => Err(AuditUnavailable::Failed),
            Some(AuditUnavailable::Closing | AuditUnavailable::Full) | None if panicked => {
                Err(AuditUnavailable::Failed)
            }
            Some(AuditUnavailable::Closing | AuditUnavailable::Full) | None => Ok(()),
        }
    }

    fn begin_closing(&self) {
        for record in self.shared.settle_refusals() {
            let _ = self
                .shared
                .queue
                .append(&record.encode(), record.event.class(), Awaited::No);
        }
        self.shared.queue.refuse(AuditUnavailable::Closing);
    }
}

impl Drop for AuditTask {
    fn drop(&mut self) {
        self.begin_closing();
    }
}

impl fmt::Debug for AuditTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditTask")
            .field(&self.shared.directory)
            .finish()
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

impl From<RecoveryError> for OpenError {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Damaged { .. } => Self::Damaged(error.to_string()),
            RecoveryError::Disk(error) => Self::Disk(error),
        }
    }
}
