//! Formatting and lints, warnings denied.

use super::{Count, Report, Suite};
use crate::verb::Problem;
use crate::{process, tree};
use std::time::Duration;

/// Formatting.
pub(crate) const FORMAT: Suite = Suite {
    name: "fmt",
    about: "rustfmt",
    run: format,
};
/// Lints.
pub(crate) const SUITE: Suite = Suite {
    name: "clippy",
    about: "clippy on every target, warnings denied",
    run,
};

fn format() -> Result<Report, Problem> {
    let finished = process::run(
        tree::cargo().args(["fmt", "--all", "--", "--check"]),
        Duration::from_secs(120),
    )?;
    Ok(Report::Ran(Count::single(finished.succeeded())))
}

fn run() -> Result<Report, Problem> {
    let mut command = tree::cargo();
    command.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let finished = process::run(&mut command, Duration::from_secs(1800))?;
    Ok(Report::Ran(Count::single(finished.succeeded())))
}
