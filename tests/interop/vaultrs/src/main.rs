//! The vault as `vaultrs`, a client written by others in Rust, sees it, unmodified: every part that it covers, each a check by its own name, and the list of
//! them at the end. With POSTGRES_URL, database credentials are made, used and taken back in a real PostgreSQL. Ends with a line of counts.
//!
//! The crate has nothing for `sys/leases`, `sys/capabilities` and `patch`; those are checked with other clients.

mod approle;
mod checks;
mod database;
mod secrets;
mod server;
mod system;
mod tokens;
mod transit;

use checks::{Checks, Failure};
use server::{Database, Server};
use std::process::ExitCode;

async fn run(checks: &Checks) -> Result<(), Failure> {
    let server = Server::start()?;
    system::run(checks, &server).await?;
    secrets::run(checks, &server).await?;
    tokens::run(checks, &server).await?;
    transit::run(checks, &server).await?;
    approle::run(checks, &server).await?;
    if let Ok(url) = std::env::var("POSTGRES_URL") {
        database::run(checks, &server, &Database::new(url)?).await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let checks = Checks::default();
    checks.check("set-up", run(&checks)).await;
    checks.list();
    let (passed, failed) = (checks.passed.get(), checks.failed.get());
    println!("vaultrs: {passed} passed, {failed} failed, 0 skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
