//! WebSocket through the gateway: the classes of cases that Autobahn's suite has (which itself runs on Python 2 alone), each run against a server directly and
//! through the gateway, with the same outcome to the byte.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "websockets",
    about: "frames of every kind through the gateway, as without it",
    run,
};

const SCRIPT: &str = "tests/interop/websockets/run.py";
const PACKAGES: &[&str] = &["websockets==17.4", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python("websockets", PACKAGES)?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(SCRIPT))
        .env("COUNTERSIGN_BIN", program);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
