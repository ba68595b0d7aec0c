//! The soak: the real program as a gateway at 70 % of its capacity, while everything around it changes every few seconds.
//!
//! The configuration is rewritten and reloaded (a route, a policy and a limit's numbers change), signing keys are rotated, tokens are renewed through the
//! identity plane, and one of three upstreams is killed (`kill -9`) and started again. Judged are failures (none that no kill explains), memory (flat), and
//! whether every change took effect. Requests are due at a constant rate, whatever became of the ones before; latency counts from when one was due.

mod ground;
mod judge;
mod load;
mod page;
pub mod upstream;

use crate::Failed;
use crate::cpu;
use crate::load::{Wanted, drive};
use crate::zipf::Dice;
use ground::Ground;
use judge::{Judgement, Measured, Sample};
use load::{Purse, Traffic};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Of the measured capacity.
const SHARE: f64 = 0.7;
/// How long capacity is measured, after as long again to warm up.
const CALIBRATION: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 32;
/// The pauses between two of the same kind, so that they fall together in every combination.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
const ROTATE_EVERY: Duration = Duration::from_secs(7);
const KILL_EVERY: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long a killed upstream is away.
const AWAY: Duration = Duration::from_secs(2);
/// How long a change may take to be in effect everywhere.
const EFFECT_MAX: Duration = Duration::from_secs(20);

/// When each upstream was killed, and when it served again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) upstream: usize,
    pub(crate) from: Instant,
    pub(crate) until: Option<Instant>,
}

/// What was done meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) reloads: u32,
    pub(crate) rotations: u32,
    pub(crate) renewals: u32,
    pub(crate) kills: Vec<Kill>,
    /// What should have worked and did not.
    pub(crate) problems: Vec<String>,
}

/// Soaks for about `minutes`, writes results and page below `out`, and says whether everything held.
///
/// # Errors
/// When the program cannot be started or prepared at all.
pub async fn run(program: &Path, minutes: f64, out: &Path) -> Result<bool, Failed> {
    let duration = Duration::from_secs_f64(minutes * 60.0);
    let machine = cpu::machine();
    let mut ground = Ground::start(program).await?;
    let purse = Purse::filled(&ground).await?;
    let capacity = calibrate(&ground, &purse).await?;
    let rate = capacity * SHARE;
    println!("soak: capacity {capacity:.0} req/s, load {rate:.0} req/s for {minutes} minutes");
    let (stop, stopped) = watch::channel(());
    let traffic = Traffic::new(ground.gateway()?, Arc::clone(&purse), rate, CONNECTIONS);
    let began = Instant::now();
    let load = tokio::spawn(traffic.run(began, duration));
    let samples = tokio::spawn(watch_memory(ground.pid()?, stopped));
    let renewals = tokio::spawn(load::renew(
        Arc::clone(&purse),
        ground.identity()?,
        RENEW_EVERY,
        stop.subscribe(),
    ));
    let mut done = disturb(&mut ground, began + duration).await;
    let served = load.await??;
    drop(stop);
    let samples: Vec<Sample> = samples.await?;
    match renewals.await? {
        Ok(count) => done.renewals = count,
        Err(problem) => done
            .problems
            .push(format!("tokens were not renewed: {problem}")),
    }
    ground.stop().await?;
    let measured = Measured {
        machine,
        minutes,
        capacity,
        rate,
        began,
        samples,
    };
    let judgement = Judgement::of(measured, served, done);
    judgement.print();
    page::write(&judgement, out)?;
    Ok(judgement.holds())
}

/// Answers a second in a closed loop, which is all that fits.
async fn calibrate(ground: &Ground, purse: &Arc<Purse>) -> Result<f64, Failed> {
    let scripts = || (0..CONNECTIONS).map(|_| load::Closed(Arc::clone(purse)));
    let gateway = ground.gateway()?;
    drive(&gateway, scripts().collect(), CALIBRATION).await?;
    let began = Instant::now();
    let (served, _) = drive(&gateway, scripts().collect(), CALIBRATION).await?;
    if let Some(first) = served.first_bad {
        return Err(format!("the gateway refused while nothing was disturbed: {first}").into());
    }
    Ok(f64::from(u32::try_from(served.good)?) / began.elapsed().as_secs_f64())
}

/// Resident memory each second.
async fn watch_memory(pid: u32, mut stopped: watch::Receiver<()>) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return samples,
        }
        match cpu::resident_mib(pid) {
            Ok(mib) => samples.push(Sample {
                at: Instant::now(),
                mib,
            }),
            // It is gone: the load says so.
            Err(_) => return samples,
        }
    }
}

/// Something that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Kill,
    Reload,
    Restart(usize),
    Rotate,
}

/// Changes everything, one change at a time, until the end.
async fn disturb(ground: &mut Ground, end: Instant) -> Done {
    let mut done = Done::default();
    let mut dice = Dice::new(7);
    let now = Instant::now();
    let mut due = vec![
        (now + RELOAD_EVERY, Change::Reload),
        (now + KILL_EVERY, Change::Kill),
        (now + ROTATE_EVERY, Change::Rotate),
    ];
    loop {
        due.sort();
        let Some((at, change)) = due.first().copied() else {
            return done;
        };
        if at >= end {
            break;
        }
        due.remove(0);
        tokio::time::sleep_until(at.into()).await;
        let next = apply(ground, change, &mut done, &mut dice).await;
        due.extend(next);
    }
    tokio::time::sleep_until(end.into()).await;
    done
}

async fn apply(
    ground: &mut Ground,
    change: Change,
    done: &mut Done,
    dice: &mut Dice,
) -> Vec<(Instant, Change)> {
    let outcome = match change {
        Change::Kill => {
            let upstream = usize::try_from(dice.next() % ground::UPSTREAMS).unwrap_or(0);
            // From before the signal: what it was asked fails before the process is reaped.
            done.kills.push(Kill {
                upstream,
                from: Instant::now(),
                until: None,
            });
            let killed = ground.kill(upstream).await;
            let back = Instant::now() + AWAY;
            note(done, "an upstream was not killed", killed);
            return vec![
                (back, Change::Restart(upstream)),
                (Instant::now() + KILL_EVERY, Change::Kill),
            ];
        }
        Change::Reload => {
            let outcome = ground.reload(EFFECT_MAX).await;
            done.reloads += u32::from(outcome.is_ok());
            outcome
        }
        Change::Restart(upstream) => {
            let outcome = ground.restart(upstream).await;
            let mut kills = done.kills.iter_mut().rev();
            if let Some(kill) = kills.find(|kill| kill.upstream == upstream) {
                kill.until = Some(Instant::now());
            }
            outcome
        }
        Change::Rotate => {
            let outcome = ground.rotate().await;
            done.rotations += u32::from(outcome.is_ok());
            outcome
        }
    };
    note(done, "a change did not take effect", outcome);
    match change {
        Change::Reload => vec![(Instant::now() + RELOAD_EVERY, change)],
        Change::Rotate => vec![(Instant::now() + ROTATE_EVERY, change)],
        Change::Kill | Change::Restart(_) => Vec::new(),
    }
}

fn note(done: &mut Done, what: &str, outcome: Result<(), Failed>) {
    if let Err(problem) = outcome {
        let problem = problem.to_string();
        done.problems.push(format!("{what}: {}", problem.trim()));
    }
}

/// Whether an answer of the gateway's is what was asked for.
pub(crate) fn judged(status: http::StatusCode) -> Wanted {
    if status == http::StatusCode::OK {
        Wanted::Yes
    } else {
        Wanted::No
    }
}
