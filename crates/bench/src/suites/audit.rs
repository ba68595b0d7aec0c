//! `audit`: what the log takes, beside a loop that only writes the same bytes in the same batches and syncs them.

use super::{Columns, Effort, Measured, Suite};
use crate::load::at;
use crate::report::Run;
use crate::{Failed, cpu};
use countersign_audit::event::{Decision, Verdict};
use countersign_audit::journal::{Frame, FrameBuffer, Position};
use countersign_audit::{Code, Event, Names, Record, Text};
use countersign_base::{Clock, RequestId, Tenant, UnixMillis};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{LogCheckpoint, SigningKey, generate_pkcs8};
use countersign_store::audit::{AuditLog, AuditOptions, AuditTask, AuditUnavailable, NoOutbox};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const SUITE: Suite = Suite {
    name: "audit",
    about: "`append-durable`: decisions recorded by 256 callers at once, each waiting until its record is on disk, in records a second; `limit` writes the same bytes \
            in the same batches and syncs them, and does nothing else. `append-queued`: decisions handed to the bounded queue, per second of CPU time.",
    measure: |_subjects, effort| -> Measured<'_> { Box::pin(measure(effort)) },
};

const CALLERS: usize = 256;

async fn measure(effort: Effort) -> Result<Vec<crate::report::Row>, Failed> {
    let mut columns = Columns::default();
    // Removed at the end: file systems are slow to give out what was freed a moment ago, and the next run would pay for it.
    let mut used = Vec::new();
    for _ in 0..effort.runs {
        let homes = [directory()?, directory()?, directory()?];
        let [for_durable, for_raw, for_queued] = homes.each_ref().map(tempfile::TempDir::path);
        let mut batch = CALLERS;
        let durable = durable(for_durable, effort.duration)
            .await
            .map(|(run, observed)| {
                batch = observed;
                run
            });
        columns.add("append-durable", "countersign", "records/s", durable);
        columns.add(
            "append-durable",
            "limit",
            "records/s",
            raw(for_raw, effort.duration, batch),
        );
        columns.add(
            "append-queued",
            "countersign",
            "req/cpu-s",
            queued(for_queued, effort.duration).await,
        );
        used.push(homes);
    }
    drop(used);
    Ok(columns.rows())
}

fn open(directory: &Path) -> Result<(AuditLog, AuditTask), Failed> {
    let clock = Clock::from_fn(|| {
        UnixMillis(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)),
        )
    });
    let key: SigningKey<LogCheckpoint> = SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        "log-1".parse()?,
        &generate_pkcs8(Algorithm::EdDsa)?,
    )?;
    Ok(AuditLog::open(
        directory,
        &"bench.example/log".parse()?,
        key,
        &clock,
        Arc::new(NoOutbox),
        AuditOptions::default(),
    )?)
}

/// On the disk of the build directory: a temporary directory may be memory, where a sync costs nothing.
fn directory() -> Result<tempfile::TempDir, Failed> {
    std::fs::create_dir_all("target")?;
    Ok(tempfile::tempdir_in("target")?)
}

fn record(random: &Random) -> Result<Record, Failed> {
    Ok(Record {
        id: random.event_id(),
        time: UnixMillis(1_800_000_000_000),
        tenant: Tenant::default_tenant(),
        request: Some(RequestId::from_bytes([2; 16])),
        event: Event::Decision(Decision {
            action: Text::of("orders:read"),
            bundle: None,
            client: Some("portal".parse()?),
            commitment: None,
            decision: Verdict::Allowed,
            detail: None,
            grant: None,
            policies: Names::of(["client-scopes"]),
            reason: Code::of("policy"),
            resource: Text::of("/orders/4711"),
            route: Some("orders".parse()?),
            surface: Code::of("gateway"),
            user: None,
        }),
    })
}

/// The run, and how many records one sync covered on average.
async fn durable(home: &Path, duration: Duration) -> Result<(Run, usize), Failed> {
    let (log, task) = open(home)?;
    let (started, deadline) = (Instant::now(), Instant::now() + duration);
    let random = Random::system();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call(log.clone(), random.clone(), deadline)))
        .collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let batch = batch_of(log.directory()).unwrap_or(CALLERS);
    task.close().await?;
    latencies.sort_unstable();
    let records = f64::from(u32::try_from(latencies.len())?);
    Ok((
        Run {
            value: records / seconds,
            p50_us: Some(at(&latencies, 0.5)),
            p99_us: Some(at(&latencies, 0.99)),
            rss_mib: None,
            rate: None,
        },
        batch,
    ))
}

async fn call(log: AuditLog, random: Random, deadline: Instant) -> Result<Vec<u32>, Failed> {
    let mut latencies = Vec::new();
    while Instant::now() < deadline {
        let record = record(&random)?;
        let one = Instant::now();
        log.append_durable(record).await?;
        latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// The mean number of records in a frame of the journal: a frame is what one sync covers.
fn batch_of(directory: &Path) -> Option<usize> {
    let (mut frames, mut records) = (0, 0);
    for entry in std::fs::read_dir(directory.join("journal")).ok()?.flatten() {
        let bytes = std::fs::read(entry.path()).ok()?;
        let mut rest = bytes.as_slice();
        while let Some(frame) = Frame::read(rest) {
            frames += 1;
            records += frame.records().count();
            rest = rest.get(frame.length..)?;
        }
    }
    (frames > 0).then(|| records.div_ceil(frames))
}

/// Writes and syncs frames of `batch` records, nothing else.
fn raw(home: &Path, duration: Duration, batch: usize) -> Result<Run, Failed> {
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(home.join("raw"))?;
    let mut frame = FrameBuffer::with_capacity(64 * 1024);
    let bytes = record(&Random::system())?.encode();
    for _ in 0..batch {
        frame.push(bytes.as_bytes());
    }
    let (frame, _) = frame.seal(Position::START);
    let (started, mut latencies) = (Instant::now(), Vec::new());
    while started.elapsed() < duration {
        let one = Instant::now();
        file.write_all(frame)?;
        file.sync_data()?;
        latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    let records = f64::from(u32::try_from(latencies.len() * batch)?);
    let seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Run {
        value: records / seconds,
        p50_us: Some(at(&latencies, 0.5)),
        p99_us: Some(at(&latencies, 0.99)),
        rss_mib: None,
        rate: None,
    })
}

async fn queued(home: &Path, duration: Duration) -> Result<Run, Failed> {
    let (log, task) = open(home)?;
    let random = Random::system();
    let (started, before) = (Instant::now(), cpu::own_time()?);
    let mut latencies = Vec::new();
    while started.elapsed() < duration {
        let record = record(&random)?;
        let one = Instant::now();
        match log.append_queued(record) {
            Ok(_) => latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX)),
            // The queue is bounded; the disk sets the pace from here on.
            Err(AuditUnavailable::Full) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(problem) => return Err(problem.into()),
        }
    }
    task.close().await?;
    let cpu = cpu::own_time()?.saturating_sub(before);
    latencies.sort_unstable();
    let records = f64::from(u32::try_from(latencies.len())?);
    Ok(Run {
        value: records / cpu.as_secs_f64().max(0.001),
        p50_us: Some(at(&latencies, 0.5)),
        p99_us: Some(at(&latencies, 0.99)),
        rss_mib: None,
        rate: None,
    })
}
