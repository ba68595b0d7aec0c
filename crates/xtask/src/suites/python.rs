//! A client written by others asks for tokens of its own: `authlib` with a secret and with a key, introspection and revocation.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-authlib",
    about: "authlib (PyPI): client credentials, introspection, revocation",
    run,
};

const SCRIPT: &str = "tests/interop/authlib/run.py";
const PACKAGES: &[&str] = &["authlib==1.9.9", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python("authlib", PACKAGES)?;
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
