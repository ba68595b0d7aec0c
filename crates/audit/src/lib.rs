//! Events, canonical encoding, Merkle log, checkpoints, proofs, the offline verifier.
//!
//! This crate says what a record of the audit log is and what makes a log true; it reads no file and asks no clock. The journal, the
//! sequencer and the directory live in the store. Formats: RFC 6962 §2.1 (hashing and proofs), RFC 8785 (canonical JSON), C2SP
//! `signed-note`, `tlog-checkpoint`, `tlog-tiles` and `tlog-proof`. `docs/formats/audit-log.md` describes the bytes in plain words.

mod canonical;
pub mod checkpoint;
pub mod event;
pub mod journal;
pub mod merkle;
pub mod note;
pub mod proof;
mod record;
pub mod state;
mod text;
pub mod tile;
pub mod verify;

pub use canonical::canonical_json;
pub use checkpoint::Checkpoint;
pub use event::Event;
pub use merkle::Hash;
pub use note::{NoteSigner, Origin, VerifierKey};
pub use record::{CanonicalRecord, Class, Record, RecordError};
pub use text::{Code, Count, Digest, Names, Text};
