//! Scripts in Python below `tests/interop`: run in an environment of their own with the program and what it needs, counted by their last line.

use super::{Report, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// Longer than any of them takes.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `tests/interop/NAME/run.py` with exactly these packages (each `name==version`) and what they need. What it finds in its environment: the program
/// (`COUNTERSIGN_BIN`), and `environment`.
pub(super) fn run(
    name: &str,
    packages: &[&str],
    environment: &[(&str, &OsStr)],
) -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python(name, packages)?;
    let scripts = tree::root().join("tests/interop");
    let mut command = Command::new(bin.join("python"));
    command
        .arg(scripts.join(name).join("run.py"))
        .env("COUNTERSIGN_BIN", program)
        // What they share stands beside them, and leaves nothing there.
        .env("PYTHONPATH", scripts)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied());
    let finished = process::run(&mut command, LIMIT)?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
