//! Libraries written by others read the messages that the command line signs, seals and receipts, by every combination of algorithms, and it reads theirs;
//! what it must refuse is made by them for real: `jose` (npm) and `joserfc` (PyPI).

use super::{Report, Suite, flows};
use crate::install;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "messages",
    about: "jose (npm) and joserfc (PyPI) read our messages, and we theirs",
    run,
};

const PACKAGES: &[&str] = &["joserfc==1.8.0", "cryptography==50.0.2"];

fn run() -> Result<Report, Problem> {
    let bin = install::python("joserfc", PACKAGES)?;
    flows::script("messages.mjs", |command| {
        command.env("PYTHON", bin.join("python"));
    })
}
