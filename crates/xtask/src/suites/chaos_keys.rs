//! The bounded form of `cargo xtask chaos-keys`, with a real PostgreSQL.

use super::{Report, Suite, counted, postgres};
use crate::verb::Problem;
use crate::{install, process};
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "chaos-keys",
    about: "kill -9 while keys rotate, leases end and people are erased: nothing is lost, nothing comes back",
    run,
};

/// How long it is killed again and again; what was revoked is waited for afterwards.
const MINUTES: &str = "1.25";

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let database = postgres::with_passwords()?;
    let mut command = crate::chaos::keys_driver()?;
    command
        .args(["--minutes", MINUTES, "--server"])
        .arg(program)
        .env("POSTGRES_URL", database.url_of("postgres"))
        .env("PSQL_BIN", database.program("psql"));
    let finished = process::run(&mut command, Duration::from_secs(900))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
