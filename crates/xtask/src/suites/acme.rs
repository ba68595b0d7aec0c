//! Clients of ACME by others, unmodified, have certificates issued by the vault: certbot's library and Node's.

use super::{Report, Suite, script};
use crate::install;
use crate::verb::Problem;
use std::net::{Ipv4Addr, TcpListener};

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "acme",
    about: "acme (PyPI) and acme-client (npm) have certificates issued by the vault, proven by http-01",
    run,
};

const PACKAGES: &[&str] = &["acme==5.9.0", "cryptography==50.0.2", "requests==2.34.2"];

/// Where proofs are looked for, and nowhere else (RFC 8555 §8.3).
const PROOFS_AT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 80);

fn run() -> Result<Report, Problem> {
    if let Err(error) = TcpListener::bind(PROOFS_AT) {
        return Ok(Report::Absent(format!(
            "port 80 of the loopback cannot be bound: {error}"
        )));
    }
    let project = install::npm("tests/interop/acme")?;
    script::run("acme", PACKAGES, &[("NODE_PROJECT", project.as_os_str())])
}
