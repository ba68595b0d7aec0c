//! `cargo xtask chaos [--minutes N]`, and `cargo xtask chaos-keys` and `chaos-webhooks` with `[--minutes N] [--seed N]`: hand over to the crash tests in `crates/bench`.

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

/// The verb of the crash test of keys. With `POSTGRES_URL`, users are made in that database too.
pub(crate) const KEYS_VERB: Verb = Verb {
    name: "chaos-keys",
    about: "kill -9 while keys rotate, leases end and people are erased ([--minutes N] [--seed N])",
    run: run_keys,
};

/// The crash test of keys.
pub(crate) fn keys_driver() -> Result<Command, Problem> {
    let mut command = Command::new(install::built("countersign-bench")?);
    command.current_dir(tree::root()).arg("chaos-keys");
    Ok(command)
}

/// The verb of the crash test of webhooks.
pub(crate) const WEBHOOKS_VERB: Verb = Verb {
    name: "chaos-webhooks",
    about: "kill -9 of the server and of receivers while messages go out and come in ([--minutes N] [--seed N])",
    run: |arguments| run_with(webhooks_driver()?, arguments),
};

/// The crash test of webhooks.
pub(crate) fn webhooks_driver() -> Result<Command, Problem> {
    install::system(Path::new("/usr/bin/strace"), &["strace"])?;
    let mut command = Command::new(install::built("countersign-bench")?);
    command.current_dir(tree::root()).arg("chaos-webhooks");
    Ok(command)
}

fn run_keys(arguments: &[String]) -> Result<Outcome, Problem> {
    run_with(keys_driver()?, arguments)
}

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    run_with(driver()?, arguments)
}

fn run_with(mut driver: Command, arguments: &[String]) -> Result<Outcome, Problem> {
    let program = install::countersign()?;
    let status = driver
        .arg("--server")
        .arg(program)
        .args(arguments)
        .status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}
