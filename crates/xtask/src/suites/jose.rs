//! Libraries written by others read everything that the server signs and encrypts, with each of its algorithms, and the server reads what they write:
//! `jose` (npm) and `joserfc` (PyPI).

use super::{Report, Suite, flows};
use crate::install;
use crate::verb::Problem;
use std::path::Path;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "jose",
    about: "jose (npm) and joserfc (PyPI) read our tokens, and we theirs",
    run,
};

const PACKAGES: &[&str] = &["joserfc==1.8.0", "cryptography==50.0.2"];

fn run() -> Result<Report, Problem> {
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    let bin = install::python("joserfc", PACKAGES)?;
    flows::script("tokens.mjs", |command| {
        command.env("PYTHON", bin.join("python"));
    })
}
