//! Libraries written by others verify what we sign and sign what we verify: `standardwebhooks` from npm, PyPI and crates.io, and `http-message-signatures`
//! (PyPI) for RFC 9421.

use super::{Count, Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "webhook-signatures",
    about: "standardwebhooks (npm, PyPI, crate) and http-message-signatures (PyPI) read our signatures, and we theirs",
    run,
};

const PROJECT: &str = "tests/interop/webhook-signatures";
const PACKAGES: &[&str] = &[
    "cryptography==50.0.2",
    "http-message-signatures==3.0.0",
    "standardwebhooks==1.1.0",
];

fn run() -> Result<Report, Problem> {
    let ours = install::example("webhook_signatures")?;
    let count = python(&ours)?.and(node(&ours)?).and(rust(&ours)?);
    Ok(Report::Ran(count))
}

fn python(ours: &Path) -> Result<Count, Problem> {
    let bin = install::python("webhook-signatures", PACKAGES)?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(PROJECT).join("run.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    judged(&mut command, ours)
}

fn node(ours: &Path) -> Result<Count, Problem> {
    let project = install::npm(PROJECT)?;
    let mut command = Command::new("node");
    command.current_dir(project).arg("run.mjs");
    judged(&mut command, ours)
}

/// Built by its own lock file in a workspace of its own, so that what it depends on never meets what the product does.
fn rust(ours: &Path) -> Result<Count, Problem> {
    let mut command = tree::cargo();
    command
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(tree::root().join(PROJECT).join("crate/Cargo.toml"))
        .env("CARGO_TARGET_DIR", tree::scratch().join("standardwebhooks"))
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION");
    judged(&mut command, ours)
}

fn judged(command: &mut Command, ours: &Path) -> Result<Count, Problem> {
    let finished = process::run(
        command.env("SIGNATURES_BIN", ours),
        Duration::from_secs(600),
    )?;
    Ok(counted(&finished.text)
        .unwrap_or_default()
        .judged(finished.succeeded()))
}
