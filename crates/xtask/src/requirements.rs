//! `cargo xtask requirements [AREA] [--json] [--run]`: for every id of `docs/requirements/AREA.toml`, the tests that name it.
//!
//! A test names an id in its function's name (`code_10_parallel_redemptions_...`) or in the name of a case of its table (`"code_10_..."`, `"CODE-10 ..."`).
//! Held means a test names it; with `--run` the named tests are run and one that fails makes the id failed.

mod citations;
mod list;
#[cfg(test)]
mod tests;

use crate::verb::{Outcome, Problem, Verb};
use crate::{process, tree};
use list::Requirement;
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use list::{areas, complaints};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "requirements",
    about: "which requirements a test holds ([AREA] [--json] [--run])",
    run,
};

/// Where a requirement stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Status {
    /// A test that names it failed.
    Failed {
        /// Its function.
        tests: Vec<String>,
    },
    /// Tests name it.
    Held {
        /// `file: function or case`.
        tests: Vec<String>,
    },
    /// The part of the product it is about is not built yet.
    Later {
        /// Which part.
        part: String,
    },
    /// It should be held and no test names it.
    Missing,
    /// It needs no test, and why.
    Reason {
        /// `feature-absent: ...` or `superseded-by ID`.
        reason: String,
    },
}

#[derive(serde::Serialize)]
struct Line {
    id: String,
    statement: String,
    #[serde(flatten)]
    status: Status,
}

/// Every requirement of an area with its status.
pub(crate) struct Report {
    area: String,
    lines: Vec<Line>,
}

impl Report {
    /// One line with the numbers.
    pub(crate) fn summary(&self) -> String {
        let count = |wanted: fn(&Status) -> bool| {
            self.lines
                .iter()
                .filter(|line| wanted(&line.status))
                .count()
        };
        format!(
            "{}: {} requirements: {} held, {} failed, {} missing, {} later, {} with a reason",
            self.area,
            self.lines.len(),
            count(|status| matches!(status, Status::Held { .. })),
            count(|status| matches!(status, Status::Failed { .. })),
            count(|status| matches!(status, Status::Missing)),
            count(|status| matches!(status, Status::Later { .. })),
            count(|status| matches!(status, Status::Reason { .. })),
        )
    }

    /// Ids whose part of the product is built and that no test names.
    pub(crate) fn missing(&self) -> Vec<&str> {
        self.lines
            .iter()
            .filter(|line| line.status == Status::Missing)
            .map(|line| line.id.as_str())
            .collect()
    }

    /// Ids that are neither held nor excused: "not yet" excuses nothing.
    fn open(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| !matches!(line.status, Status::Held { .. } | Status::Reason { .. }))
            .count()
    }
}

/// Reads the list of an area and looks for the tests.
pub(crate) fn report(area: &str) -> Result<Report, Problem> {
    report_with(area, &BTreeSet::new())
}

fn report_with(area: &str, failed: &BTreeSet<String>) -> Result<Report, Problem> {
    let citations = citations::of_tree()?;
    let lines = list::read(area)?.into_iter().map(|requirement| {
        let tests = citations.get(&requirement.id).cloned().unwrap_or_default();
        Line {
            status: status(&requirement, tests, failed),
            id: requirement.id,
            statement: requirement.statement,
        }
    });
    Ok(Report {
        area: area.to_owned(),
        lines: lines.collect(),
    })
}

fn status(requirement: &Requirement, tests: Vec<String>, failed: &BTreeSet<String>) -> Status {
    let broken: Vec<String> = tests
        .iter()
        .filter(|test| {
            test.rsplit(' ')
                .next()
                .is_some_and(|name| failed.contains(name))
        })
        .cloned()
        .collect();
    if !broken.is_empty() {
        return Status::Failed { tests: broken };
    }
    if !tests.is_empty() {
        return Status::Held { tests };
    }
    match (&requirement.reason, &requirement.later) {
        (Some(reason), _) => Status::Reason {
            reason: reason.clone(),
        },
        (None, Some(part)) => Status::Later { part: part.clone() },
        (None, None) => Status::Missing,
    }
}

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let named: Vec<String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .cloned()
        .collect();
    let areas = if named.is_empty() { areas()? } else { named };
    let failed = if arguments.iter().any(|argument| argument == "--run") {
        failing_tests()?
    } else {
        BTreeSet::new()
    };
    let mut open = 0;
    for area in areas {
        let report = report_with(&area, &failed)?;
        open += report.open();
        if arguments.iter().any(|argument| argument == "--json") {
            let json = serde_json::to_string_pretty(&report.lines)
                .map_err(|error| Problem::new(error.to_string()))?;
            println!("{json}");
        } else {
            print(&report);
        }
    }
    Ok(Outcome::of(open))
}

fn print(report: &Report) {
    for line in &report.lines {
        let (word, detail) = match &line.status {
            Status::Failed { tests } => ("FAILED", tests.join(", ")),
            Status::Held { tests } => ("held", tests.join(", ")),
            Status::Later { part } => ("later", part.clone()),
            Status::Missing => ("missing", line.statement.clone()),
            Status::Reason { reason } => ("reason", reason.clone()),
        };
        println!("{:<9}{word:<9}{detail}", line.id);
    }
    println!("{}", report.summary());
}

/// The functions of the tests that fail now, by their last path segment.
fn failing_tests() -> Result<BTreeSet<String>, Problem> {
    let mut command = tree::cargo();
    command.args([
        "nextest",
        "run",
        "--workspace",
        "--no-fail-fast",
        "--hide-progress-bar",
        "--status-level",
        "fail",
        "--final-status-level",
        "fail",
    ]);
    let finished = process::run(&mut command, Duration::from_secs(2400))?;
    let lines = finished.text.lines().filter(|line| {
        ["FAIL [", "TIMEOUT [", "SIGABRT ["]
            .iter()
            .any(|word| line.trim_start().starts_with(word))
    });
    Ok(lines
        .filter_map(|line| line.rsplit([' ', ':']).next())
        .map(str::to_owned)
        .collect())
}
