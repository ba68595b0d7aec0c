//! 200 parallel uses of every one-time value over real TLS: codes, refresh tokens, device codes, answers to user codes, request URIs, back-channel request ids
//! and the `jti` of assertions, proofs and signed requests. Exactly one succeeds.
//!
//! Here on SQLite with one server process; the suite `postgres` runs the same on two processes that share a database.

use super::{Report, Suite, flows};
use crate::install;
use crate::verb::Problem;
use std::path::Path;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "races",
    about: "of 200 parallel uses of each one-time value one succeeds",
    run: || run(None),
};

/// Runs the uses: on SQLite, or on two processes that share the PostgreSQL database of this URL.
pub(crate) fn run(postgres: Option<&str>) -> Result<Report, Problem> {
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    flows::script("races.mjs", |command| {
        if let Some(url) = postgres {
            command.env("POSTGRES", url);
        }
    })
}
