//! `hvac`, the Python client of Vault, unmodified, against a running server and a real PostgreSQL.

use super::{Report, Suite, postgres, script};
use crate::verb::Problem;
use std::ffi::OsStr;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "hvac",
    about: "hvac (PyPI) uses the vault: every path that it covers, database credentials in PostgreSQL",
    run,
};

const PACKAGES: &[&str] = &["cryptography==50.0.2", "hvac==2.4.0", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let database = postgres::with_passwords()?;
    let url = database.url_of("postgres");
    let psql = database.program("psql");
    let environment: [(&str, &OsStr); 2] = [
        ("POSTGRES_URL", OsStr::new(&url)),
        ("PSQL_BIN", psql.as_os_str()),
    ];
    script::run("hvac", PACKAGES, &environment)
}
