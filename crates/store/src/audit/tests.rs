//! The log over a disk that loses what was not synced, and the log as the program uses it.

mod crash;
mod live;
mod refuse;

use super::disk::FaultyDisk;
use super::files::DiskFiles;
use super::{Outbox, OutboxError, OutboxFuture, OutboxRow};
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::verify::{Entries, Report, Verifier, VerifyError};
use countersign_audit::{Checkpoint, NoteSigner, Record};
use countersign_base::{EventId, Kid, Tenant, UnixMillis};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{LogCheckpoint, SigningKey, generate_pkcs8};
use std::sync::{Mutex, OnceLock};

fn signing_key() -> SigningKey<LogCheckpoint> {
    static KEY: OnceLock<SigningKey<LogCheckpoint>> = OnceLock::new();
    KEY.get_or_init(another_signing_key).clone()
}

fn another_signing_key() -> SigningKey<LogCheckpoint> {
    let kid: Kid = "audit".parse().unwrap();
    SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        kid,
        &generate_pkcs8(Algorithm::EdDsa).unwrap(),
    )
    .unwrap()
}

fn signer() -> NoteSigner {
    NoteSigner::new("log.example/eu".parse().unwrap(), signing_key()).unwrap()
}

fn record() -> Record {
    let event = Decision {
        action: "read".into(),
        ..Decision::new("gateway".into(), Verdict::Allowed, "policy".into())
    };
    Record {
        id: Random::system().event_id(),
        time: UnixMillis(1_795_000_000_000),
        tenant: Tenant::default_tenant(),
        request: None,
        event: event.into(),
    }
}

/// The ids of everything under the published checkpoint, in order.
fn ids(disk: &FaultyDisk) -> Vec<EventId> {
    let files = DiskFiles(disk);
    let note = super::disk::Disk::read(disk, "checkpoint")
        .unwrap()
        .unwrap();
    let checkpoint = Checkpoint::open(&note, signer().verifier()).unwrap();
    let mut entries = Entries::new(&files, 0, checkpoint.size);
    std::iter::from_fn(|| entries.next_entry().unwrap())
        .map(|(_, entry)| Record::decode(&entry).unwrap().id)
        .collect()
}

fn verify(disk: &FaultyDisk, older: &[Vec<u8>]) -> Result<Report, VerifyError> {
    let files = DiskFiles(disk);
    let verifier = Verifier::new(&files, signer().verifier().clone());
    older
        .iter()
        .fold(verifier, |verifier, note| verifier.extending(note.clone()))
        .verify()
}

/// An outbox in memory: what is in it was committed. It can be told to be unreachable for some calls.
#[derive(Debug, Default)]
struct MemoryOutbox {
    rows: Mutex<Vec<OutboxRow>>,
    removals_to_fail: Mutex<u32>,
}

impl MemoryOutbox {
    fn commit(&self, record: &Record) {
        let mut rows = self.rows.lock().unwrap();
        let id = i64::from_be_bytes(record.id.as_bytes()[..8].try_into().unwrap());
        rows.push(OutboxRow {
            id,
            record: record.encode().into_bytes(),
        });
    }
}

impl Outbox for MemoryOutbox {
    fn peek(&self, limit: usize) -> OutboxFuture<'_, Vec<OutboxRow>> {
        Box::pin(async move {
            Ok(self
                .rows
                .lock()
                .unwrap()
                .iter()
                .take(limit)
                .cloned()
                .collect())
        })
    }

    fn remove(&self, ids: Vec<i64>) -> OutboxFuture<'_, ()> {
        Box::pin(async move {
            let mut failures = self.removals_to_fail.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(OutboxError::new(&"the database is away"));
            }
            self.rows
                .lock()
                .unwrap()
                .retain(|row| !ids.contains(&row.id));
            Ok(())
        })
    }
}
