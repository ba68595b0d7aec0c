//! A client written by others asks for tokens of its own: `authlib` with a secret and with a key, introspection and revocation.

use super::{Report, Suite, script};
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-authlib",
    about: "authlib (PyPI): client credentials, introspection, revocation",
    run,
};

const PACKAGES: &[&str] = &["authlib==1.9.9", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    script::run("authlib", PACKAGES, &[])
}
