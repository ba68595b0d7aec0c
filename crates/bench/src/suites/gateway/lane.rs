//! One row while it is measured.

use crate::load::{Line, Script, connect, drive_over};
use crate::report::Run;
use crate::running::Running;
use crate::{Failed, cpu, open_loop};
use std::sync::Arc;
use std::time::Duration;

/// What the connections of a row send, one script each.
pub(super) type Scripts = Vec<Box<dyn Script>>;

/// One row: what is done in a run, or why nothing can be.
pub(super) struct Lane {
    pub(super) case: &'static str,
    pub(super) subject: String,
    /// Another row that the same runs make: of another case, to be compared with there.
    pub(super) also: Option<(&'static str, &'static str)>,
    load: Result<Load, String>,
}

enum Load {
    Limit(fn(Duration) -> Result<Run, Failed>),
    Requests {
        running: Arc<dyn Running>,
        scripts: Scripts,
    },
}

impl Lane {
    /// Requests to a server.
    pub(super) fn requests(
        case: &'static str,
        running: Arc<dyn Running>,
        scripts: Scripts,
    ) -> Self {
        Self {
            case,
            subject: running.subject(),
            also: None,
            load: Ok(Load::Requests { running, scripts }),
        }
    }

    /// What the machine does for the unavoidable part of the work alone.
    pub(super) fn limit(case: &'static str, work: fn(Duration) -> Result<Run, Failed>) -> Self {
        Self {
            case,
            subject: "limit".to_owned(),
            also: None,
            load: Ok(Load::Limit(work)),
        }
    }

    /// A row that says why it is empty.
    pub(super) fn absent(case: &'static str, subject: &str, problem: &Failed) -> Self {
        Self {
            case,
            subject: subject.to_owned(),
            also: None,
            load: Err(problem.to_string()),
        }
    }

    /// A row of what was prepared, or of why it was not.
    pub(super) fn of(case: &'static str, subject: &str, prepared: Result<Self, Failed>) -> Self {
        prepared.unwrap_or_else(|problem| Self::absent(case, subject, &problem))
    }

    /// Lets connections, caches and code get warm, and gives the answers a second that came. A limit needs neither.
    pub(super) async fn warm_up(&mut self, duration: Duration) -> Result<Option<f64>, Failed> {
        let (running, scripts) = match self.take()? {
            Load::Requests { running, scripts } => (running, scripts),
            limit @ Load::Limit(_) => {
                self.load = Ok(limit);
                return Ok(None);
            }
        };
        let warm = async {
            let lines = connect(&running.destination()?, scripts).await?;
            let (served, lines) = drive_over(lines, duration).await?;
            let rate = f64::from(u32::try_from(served.good)?) / duration.as_secs_f64();
            served.run(Duration::from_secs(1), None)?;
            Ok((rate, lines))
        };
        let (rate, lines) = self.kept(warm.await)?;
        self.load = Ok(Load::Requests {
            running,
            scripts: scripts_of(lines),
        });
        Ok(Some(rate))
    }

    /// One run; after a failure there is no other. `rate` is that of the latencies.
    pub(super) async fn run(&mut self, rate: f64, duration: Duration) -> Result<Run, Failed> {
        match self.take()? {
            Load::Limit(work) => {
                self.load = Ok(Load::Limit(work));
                work(duration / 4)
            }
            Load::Requests { running, scripts } => {
                let ran = measured(running.as_ref(), scripts, rate, duration).await;
                let (run, lines) = self.kept(ran)?;
                self.load = Ok(Load::Requests {
                    running,
                    scripts: scripts_of(lines),
                });
                Ok(run)
            }
        }
    }

    fn take(&mut self) -> Result<Load, Failed> {
        let taken = std::mem::replace(&mut self.load, Err("it failed before".to_owned()));
        Ok(taken.inspect_err(|reason| self.load = Err(reason.clone()))?)
    }

    /// Keeps why something failed for the runs to come.
    fn kept<T>(&mut self, result: Result<T, Failed>) -> Result<T, Failed> {
        result.inspect_err(|problem| self.load = Err(problem.to_string()))
    }
}

fn scripts_of<S: Script>(lines: Vec<Line<S>>) -> Vec<S> {
    lines.into_iter().map(Line::into_script).collect()
}

/// As fast as answers come, for what a request costs; then at a constant rate, for how long it takes. Connecting counts in neither.
async fn measured<S: Script>(
    running: &dyn Running,
    scripts: Vec<S>,
    rate: f64,
    duration: Duration,
) -> Result<(Run, Vec<Line<S>>), Failed> {
    let pid = running.pid()?;
    let lines = connect(&running.destination()?, scripts).await?;
    let before = cpu::time_of_family(pid)?;
    let (served, lines) = drive_over(lines, duration).await?;
    let spent = cpu::time_of_family(pid)?.saturating_sub(before);
    let resident = cpu::resident_mib_of_family(pid)?;
    let run = served.run(spent, Some(resident))?;
    let (served, lines) = open_loop::drive(lines, rate, duration / 2).await?;
    let paced = served.run(spent, None)?;
    Ok((
        Run {
            p50_us: paced.p50_us,
            p99_us: paced.p99_us,
            rate: Some(rate),
            ..run
        },
        lines,
    ))
}
