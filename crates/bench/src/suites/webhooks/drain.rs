//! A queue that is emptied: what it costs, and what memory it takes.

use super::fill::fill;
use super::place::{Counter, Database, Place, Spent, url};
use crate::Failed;
use crate::report::Run;
use std::path::Path;
use std::time::{Duration, Instant};

/// Endpoints, ten of each event type.
const ENDPOINTS: usize = 100;
/// The longest that a queue may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Delivers so many, and gives how many for a second of CPU time.
pub(super) async fn delivered(
    program: &Path,
    database: &Database,
    count: u32,
) -> Result<Run, Failed> {
    let counter = Counter::default();
    let place = prepared(program, database, &counter).await?;
    let all = fill(&place, count).await?;
    let server = place.start().await?;
    until(&counter, all / 20).await?;
    let (spent, first) = (Spent::by(&server)?, counter.arrived());
    until(&counter, all - all / 20).await?;
    let (cpu, last) = (spent.since()?, counter.arrived());
    until(&counter, all).await?;
    let resident = server.resident_mib()?;
    server.stop().await?;
    let done = f64::from(u32::try_from(last - first)?);
    Ok(Run {
        value: done / cpu.as_secs_f64().max(0.001),
        p50_us: None,
        p99_us: None,
        rss_mib: Some(resident),
        rate: None,
    })
}

/// Delivers from a queue for a while, and gives the memory that it took.
pub(super) async fn resident(
    program: &Path,
    queued: u32,
    duration: Duration,
) -> Result<Run, Failed> {
    let counter = Counter::default();
    let place = prepared(program, &Database::Embedded, &counter).await?;
    let all = fill(&place, queued).await?;
    let server = place.start().await?;
    until(&counter, all.min(500)).await?;
    let mut most = 0_f64;
    let end = Instant::now() + duration;
    while Instant::now() < end && counter.arrived() < all {
        most = most.max(server.resident_mib()?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most = most.max(server.resident_mib()?);
    server.kill().await?;
    Ok(Run {
        value: most,
        p50_us: None,
        p99_us: None,
        rss_mib: Some(most),
        rate: None,
    })
}

/// A place with endpoints whose server is down.
async fn prepared(program: &Path, database: &Database, counter: &Counter) -> Result<Place, Failed> {
    let place = Place::new(program, database, counter.clone()).await?;
    let server = place.start().await?;
    let receiver = place.receiver;
    place
        .endpoints(&server, ENDPOINTS, move |number| url(receiver, number))
        .await?;
    server.stop().await?;
    Ok(place)
}

/// Waits until so many have arrived.
async fn until(counter: &Counter, count: u64) -> Result<(), Failed> {
    let end = Instant::now() + PATIENCE;
    while counter.arrived() < count {
        if Instant::now() > end {
            return Err(format!("only {} of {count} arrived", counter.arrived()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
