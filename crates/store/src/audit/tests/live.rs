//! The log as the program uses it: threads, a runtime, a real directory.

use super::super::disk::FaultyDisk;
use super::super::{
    AuditLog, AuditOptions, AuditTask, AuditUnavailable, NoOutbox, Outbox, RefusalNoted, find_logs,
    prove, tail, verify_directory,
};
use super::{MemoryOutbox, ids, record, signer, signing_key, verify};
use countersign_audit::event::Event;
use countersign_base::{Clock, Duration, UnixMillis};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that stands still until it is turned.
fn turned_clock() -> (Clock, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(1_795_000_000_000));
    let read = Arc::clone(&now);
    (
        Clock::from_fn(move || UnixMillis(read.load(Ordering::SeqCst))),
        now,
    )
}

/// Rounds happen on request alone, so that a test decides when.
fn on_request() -> AuditOptions {
    let long = Duration::from_secs(3600);
    AuditOptions {
        checkpoint_delay: long,
        checkpoint_interval_min: long,
        ..AuditOptions::default()
    }
}

fn open_on(
    disk: &FaultyDisk,
    outbox: Arc<dyn Outbox>,
    options: AuditOptions,
) -> (AuditLog, AuditTask) {
    let clock = turned_clock().0;
    AuditLog::open_on(
        Arc::new(disk.clone()),
        Path::new("memory"),
        signer(),
        &clock,
        outbox,
        options,
    )
    .unwrap()
}

fn open_in(directory: &Path) -> (AuditLog, AuditTask) {
    let origin = "log.example/eu".parse().unwrap();
    AuditLog::open(
        directory,
        &origin,
        signing_key(),
        &turned_clock().0,
        Arc::new(NoOutbox),
        AuditOptions::default(),
    )
    .unwrap()
}

#[tokio::test]
async fn a_log_on_a_real_disk_verifies_goes_on_and_proves() {
    let directory = tempfile::tempdir().unwrap();
    let (log, task) = open_in(directory.path());
    let mut appended = Vec::new();
    for _ in 0..300 {
        appended.push(log.append_queued(record()).unwrap());
    }
    appended.push(log.append_durable(record()).await.unwrap());
    log.published().await.unwrap();
    let report = verify_directory(log.directory()).unwrap();
    assert_eq!(report.size, 301, "verified while it runs");
    task.close().await.unwrap();
    assert_eq!(
        log.append_durable(record()).await,
        Err(AuditUnavailable::Closing)
    );

    let (log, task) = open_in(directory.path());
    appended.push(log.append_durable(record()).await.unwrap());
    task.close().await.unwrap();
    assert_eq!(find_logs(directory.path()).unwrap(), [log.directory()]);
    assert_eq!(verify_directory(log.directory()).unwrap().size, 302);
    let (records, next) = tail(log.directory(), 0).unwrap();
    assert_eq!(
        (
            records
                .iter()
                .map(|(_, record)| record.id)
                .collect::<Vec<_>>(),
            next
        ),
        (appended.clone(), 302)
    );
    let proven = prove(log.directory(), appended[7]).unwrap().unwrap();
    assert_eq!(
        (proven.index, proven.receipt.index, proven.checkpoint.size),
        (7, 7, 302)
    );
}

#[tokio::test]
async fn one_process_at_a_time_writes_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let (log, task) = open_in(directory.path());
    let origin = "log.example/eu".parse().unwrap();
    let again = || {
        AuditLog::open(
            directory.path(),
            &origin,
            signing_key(),
            &turned_clock().0,
            Arc::new(NoOutbox),
            AuditOptions::default(),
        )
    };
    assert!(again().is_err(), "the first one has it");
    task.close().await.unwrap();
    assert!(
        again().is_ok(),
        "closing lets go of it, whoever still holds a handle"
    );
    drop(log);
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_power_cut() {
    let disk = FaultyDisk::new();
    let (log, task) = open_on(&disk, Arc::new(NoOutbox), on_request());
    let mut acknowledged = Vec::new();
    for _ in 0..10 {
        acknowledged.push(log.append_durable(record()).await.unwrap());
        for fate in 0..8 {
            let found = disk.after_power_cut(fate);
            let (after, task) = open_on(&found, Arc::new(NoOutbox), on_request());
            after.published().await.unwrap();
            assert_eq!(ids(&found), acknowledged, "fate {fate}");
            task.close().await.unwrap();
        }
    }
    task.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_from_everywhere_are_all_there_once() {
    let disk = FaultyDisk::new();
    let options = AuditOptions {
        segment_bytes: 20_000,
        ..AuditOptions::default()
    };
    let outbox = Arc::new(MemoryOutbox::default());
    *outbox.removals_to_fail.lock().unwrap() = 2;
    let (log, task) = open_on(&disk, Arc::clone(&outbox) as Arc<dyn Outbox>, options);
    let appenders: Vec<_> = (0..8)
        .map(|number| {
            let (log, outbox) = (log.clone(), Arc::clone(&outbox));
            tokio::spawn(async move {
                let mut appended = Vec::new();
                for turn in 0..100 {
                    let record = record();
                    appended.push(record.id);
                    match (turn + number) % 3 {
                        0 => drop(log.append_durable(record).await.unwrap()),
                        1 => drop(log.append_queued(record).unwrap()),
                        _ => {
                            outbox.commit(&record);
                            log.outbox_changed();
                        }
                    }
                }
                appended
            })
        })
        .collect();
    let mut appended = Vec::new();
    for appender in appenders {
        appended.extend(appender.await.unwrap());
    }
    // Twice, because the outbox was away when the first round wanted to empty it.
    log.published().await.unwrap();
    log.published().await.unwrap();
    let mut logged = ids(&disk);
    logged.sort_unstable();
    appended.sort_unstable();
    assert_eq!(logged, appended);
    assert!(outbox.rows.lock().unwrap().is_empty());
    assert_eq!(log.status().size, 800);
    assert_eq!(log.status().backlog_bytes, 0);
    task.close().await.unwrap();
    verify(&disk, &[]).unwrap();
    let segments = super::super::disk::Disk::list(&disk, "journal").unwrap();
    assert!(
        segments.len() <= 2,
        "sequenced segments are recycled: {segments:?}"
    );
}

#[tokio::test]
async fn a_failed_sync_shuts_the_log_and_acknowledges_nothing() {
    let disk = FaultyDisk::new();
    let (log, task) = open_on(&disk, Arc::new(NoOutbox), on_request());
    let kept = log.append_durable(record()).await.unwrap();
    disk.fail_sync_after(0);
    assert_eq!(
        log.append_durable(record()).await,
        Err(AuditUnavailable::Failed)
    );
    assert_eq!(
        log.append_durable(record()).await,
        Err(AuditUnavailable::Failed),
        "there is no second try"
    );
    assert_eq!(log.append_queued(record()), Err(AuditUnavailable::Failed));
    assert_eq!(log.published().await, Err(AuditUnavailable::Failed));
    assert_eq!(log.status().refuses, Some(AuditUnavailable::Failed));
    assert_eq!(task.close().await, Err(AuditUnavailable::Failed));
    let found = disk.after_power_cut(3);
    let (log, task) = open_on(&found, Arc::new(NoOutbox), on_request());
    log.published().await.unwrap();
    assert!(ids(&found).contains(&kept));
    task.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_and_opens_again_when_there_is_room() {
    let disk = FaultyDisk::new();
    let (log, task) = open_on(&disk, Arc::new(NoOutbox), on_request());
    let first = log.append_durable(record()).await.unwrap();
    disk.leave_room_for(60);
    assert_eq!(
        log.append_durable(record()).await,
        Err(AuditUnavailable::Full)
    );
    disk.leave_room_for(usize::MAX);
    let second = log.append_durable(record()).await.unwrap();
    log.published().await.unwrap();
    assert_eq!(
        ids(&disk),
        [first, second],
        "what was refused left no trace"
    );
    task.close().await.unwrap();
    verify(&disk, &[]).unwrap();
}

#[tokio::test]
async fn refusals_beyond_the_limit_are_counted_and_not_lost() {
    let disk = FaultyDisk::new();
    let (clock, now) = turned_clock();
    let (log, task) = AuditLog::open_on(
        Arc::new(disk.clone()),
        Path::new("memory"),
        signer(),
        &clock,
        Arc::new(NoOutbox),
        on_request(),
    )
    .unwrap();
    let knock = |source: &str| log.bounded_refusal(source, record()).unwrap();
    let recorded = (0..50)
        .filter(|_| matches!(knock("192.0.2.1"), RefusalNoted::Recorded(_)))
        .count();
    assert_eq!(recorded, 20);
    assert!(
        matches!(knock("192.0.2.2"), RefusalNoted::Recorded(_)),
        "another source is not silenced"
    );
    now.fetch_add(1000, Ordering::SeqCst);
    assert!(
        matches!(knock("192.0.2.1"), RefusalNoted::Recorded(_)),
        "a new second begins anew"
    );
    for _ in 0..24 {
        knock("192.0.2.1");
    }
    task.close().await.unwrap();
    let files = super::DiskFiles(&disk);
    let (records, _) = countersign_audit::verify::tail(&files, signer().verifier(), 0).unwrap();
    let counted: Vec<u64> = records
        .iter()
        .filter_map(|(_, record)| match &record.event {
            Event::RefusalsCounted(counted) => Some(counted.count.as_u64()),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [30, 5]);
    assert_eq!(records.len(), 20 + 1 + 20 + 2);
    let written =
        serde_json::to_string(&records.iter().map(|(_, record)| record).collect::<Vec<_>>())
            .unwrap();
    assert!(!written.contains("192.0.2"), "no address is in the log");
}
