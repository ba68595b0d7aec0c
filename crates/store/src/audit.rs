//! The audit log on disk: journal, sequencer, tiles, and what reads them.
//!
//! What a record is and what makes a log true is in `countersign-audit`; here are the files, the threads and the order in which things become
//! durable. `docs/formats/audit-log.md` describes the files.

pub mod disk;
mod edge;
mod files;
mod inspect;
mod log;
mod options;
mod outbox;
mod progress;
mod queue;
mod reader;
mod refusals;
mod sequencer;
mod threads;
mod writer;

pub use files::DirectoryFiles;
pub use inspect::{
    find_logs, prove, tail, verifier_key_beside, verify_directory, verify_directory_with,
};
pub use log::{AuditLog, AuditStatus, AuditTask, AuditUnavailable, OpenError, RefusalNoted};
pub use options::{AuditOptions, WalkAtStart};
pub use outbox::{NoOutbox, Outbox, OutboxError, OutboxFuture, OutboxRow};

#[cfg(test)]
mod tests;
