//! A client written by others signs a person in: `openid-client` with PAR, PKCE and DPoP, headless Chromium for the pages.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-openid-client",
    about: "openid-client (npm) and Chromium sign in",
    run,
};

const PROJECT: &str = "tests/interop/openid-client";

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let chromium = install::chromium()?;
    let project = install::npm(PROJECT)?;
    let mut command = Command::new("node");
    command
        .current_dir(&project)
        .arg("run.mjs")
        .env("COUNTERSIGN_BIN", program)
        .env("CHROMIUM", chromium);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
