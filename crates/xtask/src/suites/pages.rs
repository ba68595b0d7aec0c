//! Every page in headless Chromium, light, dark and narrow: no violation of accessibility (axe-core), nothing wider than its window, nothing from elsewhere.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "pages",
    about: "every page in Chromium, light, dark and narrow: axe-core finds nothing",
    run,
};

const PROJECT: &str = "tests/pages";

fn run() -> Result<Report, Problem> {
    let finished = drive(WALK, None)?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}

/// Walks through the pages.
pub(crate) const WALK: &str = "run.mjs";

/// Runs a script against a server of its own; with a folder, it writes a picture of each page there.
pub(crate) fn drive(script: &str, shots: Option<&Path>) -> Result<process::Finished, Problem> {
    // It makes the certificate of the receiver that the partner's pages tell about.
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    let program = install::countersign()?;
    let chromium = install::chromium()?;
    let project = install::npm(PROJECT)?;
    let mut command = Command::new("node");
    command
        .current_dir(&project)
        .arg(script)
        .env("COUNTERSIGN_BIN", program)
        .env("CHROMIUM", chromium);
    if let Some(folder) = shots {
        command.env("SHOTS", folder);
    }
    process::run(&mut command, Duration::from_secs(600))
}
