//! The audit log on disk: journal, sequencer, tiles, and what reads them.
//!
//! What a record is and what makes a log true is in `countersign-audit`; here are the files, the threads and the order in which things become
//! durable. `docs/formats/audit-log.md` describes the files.

mod log;
mod options;
mod outbox;

pub use log::{AuditLog, AuditTask, AuditUnavailable, OpenError, RefusalNoted};
pub use options::AuditOptions;
pub use outbox::{NoOutbox, Outbox, OutboxError, OutboxFuture, OutboxRow};
