//! A verifier written by others reads the audit log: the Go team's note and Merkle code, every hash recomputed from the entries.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "foreign-audit",
    about: "a foreign verifier accepts the log and refuses each tampering",
    run,
};

const SCRIPT: &str = "tests/foreign/audit-verify/run.sh";

fn run() -> Result<Report, Problem> {
    let script = tree::root().join(SCRIPT);
    if !script.is_file() {
        return Ok(Report::Absent(format!("{SCRIPT} does not exist yet")));
    }
    install::system(Path::new("/usr/bin/go"), &["golang-go"])?;
    install::system(
        Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb"),
        &["golang-golang-x-mod-dev"],
    )?;
    let finished = process::run(
        Command::new("bash").arg(script).current_dir(tree::root()),
        Duration::from_secs(1200),
    )?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
