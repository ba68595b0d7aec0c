//! The tests of every crate, and the examples in the documentation.

use super::{Count, Report, Suite};
use crate::verb::Problem;
use crate::{process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "rust",
    about: "the tests of every crate",
    run,
};

const LIMIT: Duration = Duration::from_secs(2400);

fn run() -> Result<Report, Problem> {
    let tests = tests(Selection::Workspace, |_| ())?;
    let examples = process::run(
        tree::cargo().args(["test", "--workspace", "--doc", "--no-fail-fast", "--quiet"]),
        LIMIT,
    )?;
    Ok(Report::Ran(tests.and(
        of_cargo_test(&examples.text).judged(examples.succeeded()),
    )))
}

/// Which tests are run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection {
    /// One binary of integration tests of a package.
    Binary(&'static str, &'static str),
    /// What a filter of nextest's selects; the plain test runner, which knows none, runs all.
    Filter(&'static str),
    /// A package's.
    Package(&'static str),
    /// All.
    Workspace,
}

/// Runs tests with an environment of the caller's.
pub(crate) fn tests(
    selection: Selection,
    prepare: impl Fn(&mut Command),
) -> Result<Count, Problem> {
    // Always the whole workspace: another selection would resolve other features and compile the dependencies again.
    let mut command = tree::cargo();
    if nextest() {
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
        match selection {
            Selection::Binary(package, name) => {
                command.args(["-E", &format!("package({package}) & binary({name})")]);
            }
            Selection::Filter(filter) => {
                command.args(["-E", filter]);
            }
            Selection::Package(package) => {
                command.args(["-E", &format!("package({package})")]);
            }
            Selection::Workspace => {}
        }
        prepare(&mut command);
        let finished = process::run(&mut command, LIMIT)?;
        return Ok(of_nextest(&finished.text).judged(finished.succeeded()));
    }
    command.args(["test", "--no-fail-fast", "--quiet"]);
    let all = ["--lib", "--bins", "--tests"];
    match selection {
        Selection::Binary(package, name) => {
            command.args(["--package", package, "--test", name]);
        }
        Selection::Filter(_) => {
            command.args(all).arg("--workspace");
        }
        Selection::Package(package) => {
            command.args(all).args(["--package", package]);
        }
        Selection::Workspace => {
            command.args(all).arg("--workspace");
        }
    }
    prepare(&mut command);
    let finished = process::run(&mut command, LIMIT)?;
    Ok(of_cargo_test(&finished.text).judged(finished.succeeded()))
}

fn nextest() -> bool {
    tree::cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Reads `Summary [ 1.0s] 13 tests run: 12 passed (1 slow), 1 failed, 0 skipped`.
fn of_nextest(text: &str) -> Count {
    let Some((_, summary)) = text.lines().rev().find_map(|line| {
        line.split_once(" run: ")
            .filter(|_| line.contains("Summary"))
    }) else {
        return Count::default();
    };
    let mut count = Count::default();
    for part in summary.split(", ") {
        let mut words = part.split_whitespace();
        let number = words
            .next()
            .and_then(|word| word.parse::<usize>().ok())
            .unwrap_or(0);
        match words.next().unwrap_or_default() {
            "passed" => count.passed += number,
            "skipped" => count.skipped += number,
            // Failed, timed out, could not be executed: none of them passed.
            _ => count.failed += number,
        }
    }
    count
}

/// Adds up lines such as `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn of_cargo_test(text: &str) -> Count {
    let results = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "));
    results.fold(Count::default(), |total, line| {
        let number = |word: &str| {
            let part = line
                .split([';', '.'])
                .map(str::trim)
                .find(|part| part.ends_with(word));
            part.and_then(|part| part.split_whitespace().next())
                .and_then(|number| number.parse().ok())
                .unwrap_or(0)
        };
        total.and(Count {
            passed: number("passed"),
            failed: number("failed"),
            skipped: number("ignored"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Count, of_cargo_test, of_nextest};

    #[test]
    fn both_runners_are_read() {
        let nextest =
            "     Summary [   1.078s] 13 tests run: 12 passed (1 slow), 1 failed, 2 skipped\n";
        assert_eq!(
            of_nextest(nextest),
            Count {
                passed: 12,
                failed: 1,
                skipped: 2
            }
        );
        let cargo = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\ntest result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\n";
        assert_eq!(
            of_cargo_test(cargo),
            Count {
                passed: 4,
                failed: 2,
                skipped: 1
            }
        );
    }
}
