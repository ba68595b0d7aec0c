//! The suites, one file each, one line each in [`SUITES`].

mod audit;
mod gateway;
mod identity;
mod keys;
mod setting;
mod webhooks;

use crate::peers::Installed;
use crate::report::{Report, Row, Run};
use crate::{Failed, page};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Alternating runs of each row.
    pub runs: usize,
    /// How long one run takes.
    pub duration: Duration,
    /// Different tokens in a mix.
    pub tokens: u32,
    /// Connections of which the memory is measured.
    pub idle_connections: u32,
    /// Leases that a vault is started with.
    pub leases: u32,
    /// People whose keys a store holds.
    pub subject_keys: u32,
    /// Webhooks that a queue holds which is emptied.
    pub deliveries: u32,
    /// Endpoints of webhooks, of which some hang.
    pub endpoints: usize,
    /// Webhooks that a queue holds whose memory is measured.
    pub queued: u32,
}

impl Effort {
    /// What is published: five runs.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            runs: 5,
            duration: Duration::from_secs(5),
            tokens: 10_000,
            idle_connections: 2_000,
            leases: 100_000,
            subject_keys: 1_000_000,
            deliveries: 60_000,
            endpoints: 9_999,
            queued: 1_000_000,
        }
    }

    /// A look: three runs.
    #[must_use]
    pub const fn quick() -> Self {
        Self {
            runs: 3,
            duration: Duration::from_secs(2),
            ..Self::full()
        }
    }

    /// Whether everything works: one short run each of a small mix. Its numbers mean nothing.
    #[must_use]
    pub const fn trial(duration: Duration) -> Self {
        Self {
            runs: 1,
            duration,
            tokens: 400,
            idle_connections: 200,
            leases: 2_000,
            subject_keys: 20_000,
            deliveries: 2_000,
            endpoints: 300,
            queued: 5_000,
        }
    }
}

type Measured<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Failed>> + 'a>>;

/// What is measured.
#[derive(Debug)]
pub struct Subjects {
    /// Our program.
    pub server: PathBuf,
    /// Servers by others.
    pub peers: Installed,
    /// The URL of a PostgreSQL whose superuser it names, or why there is none.
    pub postgres: Result<String, String>,
    /// The cases of the suite to measure; without any, all.
    pub cases: Vec<String>,
}

impl Subjects {
    /// Whether a case is to be measured.
    fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }
}

/// What becomes of a measurement beside standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is shown and forgotten.
    Shown,
    /// Results and pages are written below the current directory.
    Written,
}

struct Suite {
    name: &'static str,
    about: &'static str,
    measure: for<'a> fn(&'a Subjects, Effort) -> Measured<'a>,
}

const SUITES: &[Suite] = &[
    audit::SUITE,
    gateway::SUITE,
    identity::SUITE,
    keys::SUITE,
    webhooks::SUITE,
];

/// Measures the named suites, or all. `false` if a row of ours could not be measured; a peer that
/// is not there or lacks a case says so in its row.
///
/// # Errors
/// When a name is unknown or nothing can be written; a row that cannot be measured is a row with its error.
pub async fn run(
    names: &[String],
    subjects: &Subjects,
    effort: Effort,
    outcome: Outcome,
) -> Result<bool, Failed> {
    if let Some(unknown) = names
        .iter()
        .find(|name| SUITES.iter().all(|suite| suite.name != name.as_str()))
    {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Err(format!(
            "`{unknown}` is not a suite; the suites are {}",
            known.join(", ")
        )
        .into());
    }
    let mut whole = true;
    for suite in SUITES
        .iter()
        .filter(|suite| names.is_empty() || names.iter().any(|name| name == suite.name))
    {
        let machine = crate::cpu::machine();
        let report = Report::new(
            suite.name,
            machine,
            (suite.measure)(subjects, effort).await?,
        );
        for row in &report.rows {
            let value = row.value.map_or_else(
                || row.error.clone().unwrap_or_default(),
                |value| format!("{value:.0} {}", row.unit),
            );
            println!(
                "{:<10}{:<24}{:<26} {value}  p50 {:.0} us  p99 {:.0} us",
                suite.name,
                row.case,
                row.subject,
                row.p50_us.unwrap_or(0.0),
                row.p99_us.unwrap_or(0.0)
            );
        }
        whole &= report
            .rows
            .iter()
            .all(|row| row.error.is_none() || !["countersign", "limit"].contains(&&*row.subject));
        match outcome {
            Outcome::Shown => {}
            Outcome::Written => {
                report.write(Path::new("."))?;
                page::write(&report, suite.about, Path::new("."))?;
            }
        }
    }
    Ok(whole)
}

/// The rows of a suite while its runs alternate.
#[derive(Default)]
struct Columns(Vec<Column>);

struct Column {
    case: &'static str,
    subject: String,
    unit: &'static str,
    runs: Result<Vec<Run>, String>,
}

impl Columns {
    /// Adds one run of one row; the first error of a row is what it ends with.
    fn add(
        &mut self,
        case: &'static str,
        subject: &str,
        unit: &'static str,
        run: Result<Run, Failed>,
    ) {
        let run = run.map_err(|problem| problem.to_string());
        let known = self
            .0
            .iter_mut()
            .find(|column| column.case == case && column.subject == subject);
        match known {
            None => self.0.push(Column {
                case,
                subject: subject.to_owned(),
                unit,
                runs: run.map(|run| vec![run]),
            }),
            Some(column) => match (&mut column.runs, run) {
                (Ok(runs), Ok(run)) => runs.push(run),
                (Ok(_), Err(problem)) => column.runs = Err(problem),
                (Err(_), _) => {}
            },
        }
    }

    /// Case by case, in the order in which cases were first added.
    fn rows(mut self) -> Vec<Row> {
        let mut cases: Vec<&str> = Vec::new();
        for column in &self.0 {
            if !cases.contains(&column.case) {
                cases.push(column.case);
            }
        }
        self.0
            .sort_by_key(|column| cases.iter().position(|case| *case == column.case));
        self.0
            .iter()
            .map(|column| Row::of(column.case, &column.subject, column.unit, &column.runs))
            .collect()
    }
}

/// Repeats `work` for `duration` and gives what it did per second of this process's CPU time.
fn limit<T>(
    duration: Duration,
    mut work: impl FnMut() -> Result<T, Failed>,
) -> Result<Run, Failed> {
    let (started, before) = (std::time::Instant::now(), crate::cpu::own_time()?);
    let mut latencies = Vec::new();
    while started.elapsed() < duration {
        let one = std::time::Instant::now();
        let _done = work()?;
        latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    let cpu = crate::cpu::own_time()?.saturating_sub(before);
    latencies.sort_unstable();
    let done = f64::from(u32::try_from(latencies.len())?);
    Ok(Run {
        value: done / cpu.as_secs_f64().max(0.001),
        p50_us: Some(crate::load::at(&latencies, 0.5)),
        p99_us: Some(crate::load::at(&latencies, 0.99)),
        rss_mib: None,
        rate: None,
    })
}
