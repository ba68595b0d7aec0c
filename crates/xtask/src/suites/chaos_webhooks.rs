//! The bounded form of `cargo xtask chaos-webhooks`.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process};
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "chaos-webhooks",
    about: "kill -9 of the server and of receivers while messages go out and come in: every one that was acknowledged comes, under one id, in order where promised",
    run,
};

/// How long they are killed again and again; what was acknowledged is waited for afterwards.
const MINUTES: &str = "1";

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let mut command = crate::chaos::webhooks_driver()?;
    command
        .args(["--minutes", MINUTES, "--server"])
        .arg(program);
    let finished = process::run(&mut command, Duration::from_secs(600))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
