//! The one-minute form of `cargo xtask fuzz`.

use super::{Report, Suite, counted};
use crate::process;
use crate::verb::Problem;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "fuzz",
    about: "every parser on mutated seeds for one minute",
    run,
};

fn run() -> Result<Report, Problem> {
    let mut command = crate::fuzz::driver()?;
    command.args(["--minutes", "1"]);
    let finished = process::run(&mut command, Duration::from_secs(1800))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
