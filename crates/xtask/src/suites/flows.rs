//! Clients written by others use every flow: `oauth4webapi` and `openid-client` with signed and encrypted requests and answers, DPoP, certificates, devices,
//! CIBA, step-up, pairwise subjects, rotation and signed introspection.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-oauth4webapi",
    about: "oauth4webapi and openid-client (npm) use every flow",
    run,
};

fn run() -> Result<Report, Problem> {
    // It makes the clients' certificates.
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    let chromium = install::chromium()?;
    script("flows.mjs", |command| {
        command.env("CHROMIUM", chromium);
    })
}

/// Runs a script of `tests/interop/node` against the program, with an environment of the caller's.
pub(crate) fn script(name: &str, prepare: impl FnOnce(&mut Command)) -> Result<Report, Problem> {
    let program = install::countersign()?;
    let project = install::npm("tests/interop/node")?;
    let mut command = Command::new("node");
    command
        .current_dir(&project)
        .arg(name)
        .env("COUNTERSIGN_BIN", program);
    prepare(&mut command);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
