//! Writes an audit log for verifiers written by others: `write_log DIR RECORDS KEY_FILE`.
//!
//! The log is written in three stages, each with its own published checkpoint. Beside the log, in `DIR/kept/`, lie the checkpoints of the stages
//! (`checkpoint.SIZE`) and receipts of some events (`INDEX.receipt` with `INDEX.entry`), as somebody outside would have kept them. The private key is
//! read from `KEY_FILE`, which is made if it is not there: two logs under one key are a fork.

use countersign_audit::event::{Decision, Verdict};
use countersign_audit::{Origin, Record};
use countersign_base::{Clock, Secret, Tenant, UnixMillis};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{LogCheckpoint, SigningKey, generate_pkcs8};
use countersign_store::audit::{AuditLog, AuditOptions, AuditUnavailable, NoOutbox, prove};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, records, key] = arguments.as_slice() else {
        return Err("usage: write_log DIR RECORDS KEY_FILE".into());
    };
    let log = write(Path::new(directory), records.parse()?, Path::new(key)).await?;
    println!("{}", log.display());
    Ok(())
}

async fn write(directory: &Path, records: u64, key: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let origin: Origin = "audit.example/eu".parse()?;
    let clock = Clock::from_fn(|| {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(0))
    });
    let (log, task) = AuditLog::open(
        directory,
        &origin,
        signing_key(key)?,
        &clock,
        Arc::new(NoOutbox),
        AuditOptions::default(),
    )?;
    let kept = directory.join("kept");
    std::fs::create_dir_all(&kept)?;
    let random = Random::system();
    let (mut written, mut receipts) = (0, Vec::new());
    for stage in [records / 3, records / 2, records] {
        while written < stage {
            let record = record(&random, clock.millis());
            if [0, stage / 2, stage - 1].contains(&written) {
                receipts.push(record.clone());
            }
            append(&log, record).await?;
            written += 1;
        }
        log.published().await?;
        std::fs::copy(
            log.directory().join("checkpoint"),
            kept.join(format!("checkpoint.{written}")),
        )?;
    }
    for record in receipts {
        let proven =
            prove(log.directory(), record.id)?.ok_or("a published event is not in the log")?;
        std::fs::write(
            kept.join(format!("{}.receipt", proven.index)),
            proven.receipt.to_text(),
        )?;
        std::fs::write(
            kept.join(format!("{}.entry", proven.index)),
            record.encode().as_bytes(),
        )?;
    }
    task.close().await?;
    Ok(log.directory().to_owned())
}

fn signing_key(path: &Path) -> Result<SigningKey<LogCheckpoint>, Box<dyn Error>> {
    let pkcs8 = match std::fs::read(path) {
        Ok(bytes) => Secret::new(bytes),
        Err(_) => {
            let made = generate_pkcs8(Algorithm::EdDsa)?;
            std::fs::write(path, made.expose())?;
            made
        }
    };
    Ok(SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        "audit".parse()?,
        &pkcs8,
    )?)
}

fn record(random: &Random, time: UnixMillis) -> Record {
    let event = Decision {
        action: "read".into(),
        resource: "order".into(),
        ..Decision::new("gateway".into(), Verdict::Allowed, "policy".into())
    };
    Record {
        id: random.event_id(),
        time,
        tenant: Tenant::default_tenant(),
        request: Some(random.request_id()),
        event: event.into(),
    }
}

/// Queues a record; when the queue is full, waits for it to drain.
async fn append(log: &AuditLog, record: Record) -> Result<(), AuditUnavailable> {
    match log.append_queued(record.clone()) {
        Err(AuditUnavailable::Full) => {
            log.published().await?;
            log.append_queued(record).map(drop)
        }
        other => other.map(drop),
    }
}
