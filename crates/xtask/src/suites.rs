//! `cargo xtask test [SUITE ...]`: everything that must hold before a change lands, one file a suite, one line a suite in [`SUITES`].
//!
//! Each suite prints its own output, its result and its time. A suite that cannot run here says why. The last line counts tests.

mod acme;
mod browser;
mod chaos;
mod chaos_keys;
mod chaos_webhooks;
mod clippy;
mod crs;
mod decisions;
mod deny;
mod differential;
mod egress;
mod envoy;
mod flows;
mod foreign;
mod fuzz;
mod http2;
mod hvac;
mod jose;
mod messages;
mod node_vault;
mod openidconnect;
pub(crate) mod pages;
mod passkeys;
pub(crate) mod postgres;
mod python;
mod races;
mod redis;
mod requirements;
mod rust;
mod schemathesis;
mod script;
mod soak;
mod softhsm;
mod tidy;
mod vaultrs;
mod webhook_signatures;
mod websockets;

use crate::verb::{Outcome, Problem, Verb};
use std::time::Instant;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "test",
    about: "every suite, or the named ones; installs what they need",
    run,
};

/// A suite of tests.
pub(crate) struct Suite {
    /// As typed.
    pub(crate) name: &'static str,
    /// One line for the list.
    pub(crate) about: &'static str,
    /// Runs it.
    pub(crate) run: fn() -> Result<Report, Problem>,
}

/// How a suite went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// It cannot run here, or not yet, and why.
    Absent(String),
    /// It ran.
    Ran(Count),
}

/// Tests of one suite or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Count {
    /// One check that held or did not.
    pub(crate) fn single(result: bool) -> Self {
        if result {
            Self {
                passed: 1,
                ..Self::default()
            }
        } else {
            Self {
                failed: 1,
                ..Self::default()
            }
        }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// A run that ended badly has at least one failure, whatever it counted.
    pub(crate) fn judged(self, succeeded: bool) -> Self {
        if succeeded || self.failed > 0 {
            self
        } else {
            Self { failed: 1, ..self }
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Every suite, cheapest first.
pub(crate) const SUITES: &[Suite] = &[
    clippy::FORMAT,
    tidy::SUITE,
    deny::SUITE,
    clippy::SUITE,
    rust::SUITE,
    postgres::SUITE,
    redis::SUITE,
    foreign::SUITE,
    browser::SUITE,
    flows::SUITE,
    jose::SUITE,
    webhook_signatures::SUITE,
    messages::SUITE,
    races::SUITE,
    pages::SUITE,
    passkeys::SUITE,
    python::SUITE,
    schemathesis::SUITE,
    decisions::SUITE,
    egress::SUITE,
    envoy::SUITE,
    http2::SUITE,
    hvac::SUITE,
    softhsm::SUITE,
    acme::SUITE,
    node_vault::SUITE,
    websockets::SUITE,
    crs::SUITE,
    openidconnect::SUITE,
    vaultrs::SUITE,
    differential::SUITE,
    fuzz::SUITE,
    chaos::SUITE,
    chaos_keys::SUITE,
    chaos_webhooks::SUITE,
    soak::SUITE,
    requirements::SUITE,
];

fn run(names: &[String]) -> Result<Outcome, Problem> {
    if let Some(unknown) = names
        .iter()
        .find(|name| SUITES.iter().all(|suite| suite.name != name.as_str()))
    {
        let known: Vec<String> = SUITES
            .iter()
            .map(|suite| format!("  {:<22}{}", suite.name, suite.about))
            .collect();
        return Err(Problem::new(format!(
            "`{unknown}` is not a suite; the suites are\n{}",
            known.join("\n")
        )));
    }
    let mut total = Count::default();
    let mut lines = Vec::new();
    for suite in SUITES
        .iter()
        .filter(|suite| names.is_empty() || names.iter().any(|name| name == suite.name))
    {
        println!("\n=== {}: {}", suite.name, suite.about);
        let started = Instant::now();
        let result = (suite.run)();
        let (count, line) = judge(suite.name, result, started.elapsed().as_secs_f64());
        println!("--- {line}");
        total = total.and(count);
        lines.push(line);
    }
    println!("\n=== summary\n{}\n\n{total}", lines.join("\n"));
    Ok(Outcome::of(total.failed))
}

/// The suite's count and its line of the summary.
fn judge(name: &str, result: Result<Report, Problem>, seconds: f64) -> (Count, String) {
    match result {
        Ok(Report::Ran(count)) => {
            let word = if count.failed == 0 {
                "passed"
            } else {
                "FAILED"
            };
            (
                count,
                format!("{name:<22}{word:<9}{seconds:>7.1} s  {count}"),
            )
        }
        Ok(Report::Absent(reason)) => (
            Count {
                skipped: 1,
                ..Count::default()
            },
            format!("{name:<22}{:<9}{seconds:>7.1} s  {reason}", "skipped"),
        ),
        Err(problem) => (
            Count::single(false),
            format!("{name:<22}{:<9}{seconds:>7.1} s  {problem}", "FAILED"),
        ),
    }
}

/// The counts in lines such as `SUITE-NAME: 3 passed, 0 failed, 1 skipped`, which our own scripts end with.
pub(crate) fn counted(text: &str) -> Option<Count> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains(" passed, ") && line.contains(" failed"))?;
    let number = |word: &str| {
        let before = line.split(word).next()?;
        before
            .rsplit(|c: char| !c.is_ascii_digit())
            .find(|part| !part.is_empty())?
            .parse()
            .ok()
    };
    Some(Count {
        passed: number(" passed")?,
        failed: number(" failed")?,
        skipped: line
            .contains(" skipped")
            .then(|| number(" skipped"))
            .flatten()
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::{Count, Report, SUITES, counted, judge};
    use crate::verb::Problem;

    #[test]
    fn closing_lines_are_read() {
        assert_eq!(
            counted("x\nopenid-client: 12 passed, 1 failed, 2 skipped\n"),
            Some(Count {
                passed: 12,
                failed: 1,
                skipped: 2
            })
        );
        assert_eq!(counted("no such line"), None);
    }

    #[test]
    fn a_suite_that_broke_is_a_failure_and_an_absent_one_is_not() {
        assert_eq!(judge("x", Err(Problem::new("no")), 0.0).0.failed, 1);
        assert_eq!(
            judge("x", Ok(Report::Absent("why".into())), 0.0).0,
            Count {
                skipped: 1,
                ..Count::default()
            }
        );
        assert_eq!(Count::single(true).judged(false).failed, 1);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SUITES.len());
    }
}
