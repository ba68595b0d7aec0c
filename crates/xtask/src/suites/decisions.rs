//! Others ask for decisions: an HTTP client of AuthZEN and OPA, and nginx with `auth_request` before an application.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-decisions",
    about: "AuthZEN and OPA over HTTPS, nginx (Debian) with auth_request",
    run,
};

const SCRIPT: &str = "tests/interop/decisions/run.py";
const PACKAGES: &[&str] = &["requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python("decisions", PACKAGES)?;
    let nginx = install::unpacked("nginx", &["nginx"])?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(SCRIPT))
        .env("COUNTERSIGN_BIN", program)
        .env("NGINX_BIN", nginx.join("usr/sbin/nginx"));
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
