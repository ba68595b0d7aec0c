//! Resident memory of a kept connection on which nothing happens.
//!
//! Memory that a process has given up stays with it, so each run has a server of its own: what it grows by while so many connections are opened, each for one request, and kept.

use super::World;
use super::callers::{Presented, orders};
use super::cases::OPEN;
use super::ours::{Gateway, Ours, Setup};
use crate::Failed;
use crate::load::{Line, Script, connect, drive_over};
use crate::report::Run;
use crate::running::Running;
use std::time::{Duration, Instant};

/// Connections that open others at the same time.
const OPENING: usize = 8;
/// Connections that one address may have: all of these come from one.
const PER_PEER: u32 = 4_096;
/// What the server does before: its caches, threads and pools are not the connections'.
const WARM_UP: Duration = Duration::from_millis(300);

/// KiB a connection.
pub(super) async fn measure(world: &World<'_>) -> Result<Run, Failed> {
    let setup = Setup {
        connections_per_peer: Some(PER_PEER),
        ..Setup::USUAL
    };
    let server = Gateway(Ours::start(world, setup).await?);
    let pid = server.pid()?;
    let destination = server.destination()?;
    let some = orders(OPEN, "", vec![Presented::Nothing; OPENING]);
    let (_, warm) = drive_over(connect(&destination, some).await?, WARM_UP).await?;
    let before = crate::cpu::resident_mib(pid)?;
    let count = usize::try_from(world.effort.idle_connections)?;
    let tasks = (0..OPENING).map(|_| {
        let destination = destination.clone();
        tokio::spawn(async move {
            let mut lines = Vec::new();
            for script in orders(OPEN, "", vec![Presented::Nothing; count / OPENING]) {
                lines.push(opened(Line::connect(&destination, script).await?).await?);
            }
            Ok::<_, Failed>(lines)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut open = Vec::new();
    for task in tasks {
        open.extend(task.await??);
    }
    let after = crate::cpu::resident_mib(pid)?;
    let connections = f64::from(u32::try_from(open.len())?);
    drop((open, warm));
    Ok(Run {
        value: (after - before) * 1024.0 / connections,
        p50_us: None,
        p99_us: None,
        rss_mib: Some(after),
        rate: None,
    })
}

/// A connection after its first request.
async fn opened<S: Script>(mut line: Line<S>) -> Result<Line<S>, Failed> {
    let request = line.request()?;
    line.ask(request, Instant::now()).await?;
    Ok(line)
}
