//! `node-vault`, the Node client of Vault, unmodified, against a running server and a real PostgreSQL.

use super::{Report, Suite, counted, postgres};
use crate::verb::Problem;
use crate::{install, process};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "node-vault",
    about: "node-vault (npm) uses the vault: every path that it covers, database credentials in PostgreSQL",
    run,
};

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let project = install::npm("tests/interop/node-vault")?;
    let database = postgres::with_passwords()?;
    let mut command = Command::new("node");
    command
        .current_dir(&project)
        .arg("run.mjs")
        .env("COUNTERSIGN_BIN", program)
        .env("POSTGRES_URL", database.url_of("postgres"))
        .env("PSQL_BIN", database.program("psql"));
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
