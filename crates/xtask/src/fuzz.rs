//! `cargo xtask fuzz [--minutes N] [TARGET ...]`: hands over to the driver in `crates/fuzz`.

use crate::verb::{Outcome, Problem, Verb};
use crate::{install, tree};
use std::process::Command;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "fuzz",
    about: "feeds every parser mutated seeds ([--minutes N] [TARGET ...])",
    run,
};

/// The driver, built with the rest of the workspace and with overflow checks on.
pub(crate) fn driver() -> Result<Command, Problem> {
    let mut command = Command::new(install::built("countersign-fuzz")?);
    command.current_dir(tree::root());
    Ok(command)
}

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let status = driver()?.args(arguments).status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}
