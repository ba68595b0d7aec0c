//! `vaultrs`, the Rust client of Vault, unmodified, against a running server and a real PostgreSQL: built by its own lock file in a workspace of its own, so that
//! what it depends on never meets what the product does.

use super::{Report, Suite, counted, postgres};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "vaultrs",
    about: "the crate vaultrs uses the vault: every path that it covers, database credentials in PostgreSQL",
    run,
};

const PROJECT: &str = "tests/interop/vaultrs";

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let database = postgres::with_passwords()?;
    let mut command = tree::cargo();
    command
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(tree::root().join(PROJECT).join("Cargo.toml"))
        // Beside the workspace's own output, and with the features that its lock file was made for.
        .env("CARGO_TARGET_DIR", tree::scratch().join("vaultrs"))
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION")
        .env("COUNTERSIGN_BIN", program)
        .env("POSTGRES_URL", database.url_of("postgres"))
        .env("PSQL_BIN", database.program("psql"));
    let finished = process::run(&mut command, Duration::from_secs(900))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
