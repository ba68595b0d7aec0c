//! The one-minute form of `cargo xtask soak`, with the program as the tests build it. Its results go below the build directory.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "soak",
    about: "the gateway at 70 % of its capacity for one minute, with reloads, rotations and killed upstreams",
    run,
};

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let mut command = Command::new(install::built("countersign-bench")?);
    command
        .current_dir(tree::root())
        .args(["soak", "--minutes", "1", "--out"])
        .arg(tree::scratch().join("soak"))
        .arg("--server")
        .arg(program);
    let finished = process::run(&mut command, Duration::from_secs(600))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
