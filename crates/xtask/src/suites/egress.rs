//! Workloads go out: curl, Python's requests and Node's undici through the egress proxy, in `up` and in a process of its own.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-egress",
    about: "curl (Debian), requests and undici through the egress proxy",
    run,
};

const PROJECT: &str = "tests/interop/egress";
const PACKAGES: &[&str] = &["requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    install::system(Path::new("/usr/bin/curl"), &["curl"])?;
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    let program = install::countersign()?;
    let bin = install::python("egress", PACKAGES)?;
    let project = install::npm(PROJECT)?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(PROJECT).join("run.py"))
        .env("COUNTERSIGN_BIN", program)
        .env("NODE_PROJECT", project);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
