//! The two threads of an open log: the journal's writer and the sequencer.

use super::log::Shared;
use super::progress::{LastRound, Published, Wake};
use super::queue::{Awaited, Taken};
use super::sequencer::Sequencer;
use super::writer::{JournalWriter, WriteFailed};
use super::{AuditUnavailable, Outbox, OutboxError, OutboxRow};
use countersign_audit::journal::FrameBuffer;
use countersign_audit::{CanonicalRecord, Class};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake as WakeTask, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Rows of the outbox that one round takes at most.
const ROUND_ROWS_MAX: usize = 4096;
/// A frame's buffer that grew beyond this is given back to the system.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// Takes batches and makes them durable until the queue is closed or the disk fails.
pub(super) fn write_journal(shared: &Shared, mut writer: JournalWriter) {
    let mut spare = FrameBuffer::with_capacity(64 * 1024);
    while let Some(Taken { mut frame, ticket }) = shared.queue.take(spare) {
        match writer.write(&mut frame) {
            Ok(length) => {
                shared.queue.backlog_grew(length);
                // Before the ticket: who waited for it may ask at once for what is durable to be published.
                shared.progress.advance(writer.position());
                ticket.settle(Ok(()));
            }
            Err(WriteFailed::Undone(error)) => {
                tracing::error!(kind = ?error.kind(), "the audit journal could not take a batch");
                ticket.settle(Err(AuditUnavailable::Full));
            }
            Err(WriteFailed::Unknown(error)) => {
                tracing::error!(kind = ?error.kind(), "the audit journal failed; nothing is recorded any more until the program is started again");
                shared.queue.refuse(AuditUnavailable::Failed);
                ticket.settle(Err(AuditUnavailable::Failed));
                break;
            }
        }
        let small = frame.length() <= BUFFER_BYTES_KEPT;
        frame.clear();
        spare = if small {
            frame
        } else {
            FrameBuffer::with_capacity(64 * 1024)
        };
    }
    // Only after a failure is there still something in the queue: whoever waits for it learns that it is lost.
    if shared.queue.refused() == Some(AuditUnavailable::Failed)
        && let Some(Taken { ticket, .. }) = shared.queue.take(FrameBuffer::default())
    {
        ticket.settle(Err(AuditUnavailable::Failed));
    }
    shared.progress.writer_ended();
}

/// Runs rounds until the writer has ended and everything is in the log, or the disk fails.
pub(super) fn sequence(
    shared: &Shared,
    mut sequencer: Sequencer,
    outbox: &dyn Outbox,
    runtime: Option<&Handle>,
) {
    let mut last = LastRound {
        began: Instant::now(),
        took: Duration::ZERO,
    };
    let mut fulfilled = 0;
    loop {
        let wake = shared
            .progress
            .wait(sequencer.position().sequence, last, fulfilled);
        last.began = Instant::now();
        record_owed_refusals(shared);
        let caught_up = catch_up(shared, &mut sequencer, outbox, runtime, wake);
        last.took = last.began.elapsed();
        match caught_up {
            Ok(CaughtUp::Wholly) => {
                fulfilled = wake.request;
                shared.progress.publish(Published {
                    request: fulfilled,
                    size: sequencer.size(),
                    ended: wake.writer_ended,
                });
                if wake.writer_ended {
                    return;
                }
            }
            Ok(CaughtUp::WithoutOutbox) if wake.writer_ended => break,
            Ok(CaughtUp::WithoutOutbox) => {
                // The database is away: what the journal holds is published, and the rows wait in their table.
                shared.progress.publish(Published {
                    request: fulfilled,
                    size: sequencer.size(),
                    ended: false,
                });
                thread::sleep(OUTBOX_RETRY);
            }
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "the audit log could not be extended; nothing is recorded any more until the program is started again");
                shared.queue.refuse(AuditUnavailable::Failed);
                break;
            }
        }
    }
    shared.progress.publish(Published {
        request: fulfilled,
        size: sequencer.size(),
        ended: true,
    });
}

/// How long the sequencer lets an unreachable database be.
const OUTBOX_RETRY: Duration = Duration::from_millis(100);

enum CaughtUp {
    Wholly,
    WithoutOutbox,
}

/// Rounds until nothing is left of what was durable when the sequencer woke.
fn catch_up(
    shared: &Shared,
    sequencer: &mut Sequencer,
    outbox: &dyn Outbox,
    runtime: Option<&Handle>,
    wake: Wake,
) -> io::Result<CaughtUp> {
    loop {
        let segment = sequencer.segment();
        let rows = take_rows(sequencer, outbox, runtime);
        let (rows, outbox_answers) = match rows {
            Ok(rows) => (rows, true),
            Err(error) => {
                tracing::warn!(%error, "records wait in the outbox");
                (Vec::new(), false)
            }
        };
        if let Some(row) = rows
            .iter()
            .find(|row| CanonicalRecord::parse(row.record.clone()).is_err())
        {
            tracing::error!(row = row.id, "a row of the outbox is no audit record");
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let round = sequencer.round(wake.durable, &rows)?;
        shared.queue.backlog_shrank(round.journal_bytes);
        if sequencer.segment() != segment {
            sequencer.recycle_segments()?;
        }
        if !rows.is_empty() {
            remove_settled(sequencer, outbox, runtime);
        }
        let journal_done = sequencer.position().sequence >= wake.durable.sequence;
        if journal_done && rows.len() < ROUND_ROWS_MAX {
            return Ok(if outbox_answers {
                CaughtUp::Wholly
            } else {
                CaughtUp::WithoutOutbox
            });
        }
    }
}

/// Rows that are not in the log yet.
fn take_rows(
    sequencer: &mut Sequencer,
    outbox: &dyn Outbox,
    runtime: Option<&Handle>,
) -> Result<Vec<OutboxRow>, OutboxError> {
    if !sequencer.settled_rows().is_empty() {
        drive(runtime, outbox.remove(sequencer.settled_rows().to_vec()))?;
        sequencer.rows_removed();
    }
    drive(runtime, outbox.peek(ROUND_ROWS_MAX))
}

/// Removes what was just sequenced. If that fails, the state remembers the rows, and the next round tries again first.
fn remove_settled(sequencer: &mut Sequencer, outbox: &dyn Outbox, runtime: Option<&Handle>) {
    match drive(runtime, outbox.remove(sequencer.settled_rows().to_vec())) {
        Ok(()) => sequencer.rows_removed(),
        Err(error) => tracing::warn!(%error, "sequenced records are still in the outbox"),
    }
}

/// Records what the refusals of past seconds come to.
fn record_owed_refusals(shared: &Shared) {
    for record in shared.owed_refusals() {
        if shared
            .queue
            .append(&record.encode(), Class::Data, Awaited::No)
            .is_err()
        {
            tracing::warn!("counted refusals could not be recorded");
        }
    }
}

/// Runs a future to its end on this thread, inside `runtime` if it needs one.
fn drive<F: Future>(runtime: Option<&Handle>, future: F) -> F::Output {
    struct Unpark(Thread);

    impl WakeTask for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let _inside = runtime.map(Handle::enter);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
