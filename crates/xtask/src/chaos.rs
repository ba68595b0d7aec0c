//! `cargo xtask chaos [--minutes N]`: hands over to the crash test in `crates/bench`.

use crate::verb::{Outcome, Problem, Verb};
use crate::{install, tree};
use std::path::Path;
use std::process::Command;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "chaos",
    about: "kill -9 of the real server under load; nothing acknowledged may be lost ([--minutes N])",
    run,
};

/// The crash test.
pub(crate) fn driver() -> Result<Command, Problem> {
    install::system(Path::new("/usr/bin/strace"), &["strace"])?;
    let mut command = Command::new(install::built("countersign-bench")?);
    command.current_dir(tree::root()).arg("chaos");
    Ok(command)
}

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let program = install::countersign()?;
    let status = driver()?
        .arg("--server")
        .arg(program)
        .args(arguments)
        .status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}
