//! The same malformed requests to us and to a certified server by others; `docs/differences-oidc-provider.md` explains every difference.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "differential",
    about: "malformed requests to us and to oidc-provider (npm)",
    run,
};

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let project = install::npm("tests/interop/differential")?;
    let mut command = Command::new("node");
    command
        .current_dir(&project)
        .arg("run.mjs")
        .env("COUNTERSIGN_BIN", program)
        .env(
            "DIFFERENCES",
            tree::root().join("docs/differences-oidc-provider.md"),
        );
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
