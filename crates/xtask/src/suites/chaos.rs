//! The one-minute form of `cargo xtask chaos`.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process};
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "chaos",
    about: "kill -9 under load for one minute; nothing acknowledged is lost",
    run,
};

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let mut command = crate::chaos::driver()?;
    command.args(["--minutes", "1", "--server"]).arg(program);
    let finished = process::run(&mut command, Duration::from_secs(600))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
