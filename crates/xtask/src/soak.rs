//! `cargo xtask soak [--minutes N]`: builds in release and hands over to the soak in `crates/bench`.

use crate::verb::{Outcome, Problem, Verb};
use crate::{process, tree};
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "soak",
    about: "the gateway at 70 % of its capacity while everything around it changes ([--minutes N], 30 without)",
    run,
};

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let mut build = tree::cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "countersign",
        "--package",
        "countersign-bench",
    ]);
    process::must(&mut build, Duration::from_secs(3600))?;
    let release = tree::target().join("release");
    let mut command = std::process::Command::new(release.join("countersign-bench"));
    command.current_dir(tree::root()).arg("soak");
    if !arguments.iter().any(|argument| argument == "--minutes") {
        command.args(["--minutes", "30"]);
    }
    let status = command
        .arg("--server")
        .arg(release.join("countersign"))
        .args(arguments)
        .status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}
