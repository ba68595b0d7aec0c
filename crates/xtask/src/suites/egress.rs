//! Workloads go out: curl, Python's requests and Node's undici through the egress proxy, in `up` and in a process of its own.

use super::{Report, Suite, script};
use crate::install;
use crate::verb::Problem;
use std::path::Path;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-egress",
    about: "curl (Debian), requests and undici through the egress proxy",
    run,
};

const PACKAGES: &[&str] = &["requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    install::system(Path::new("/usr/bin/curl"), &["curl"])?;
    install::system(Path::new("/usr/bin/openssl"), &["openssl"])?;
    let project = install::npm("tests/interop/egress")?;
    script::run("egress", PACKAGES, &[("NODE_PROJECT", project.as_os_str())])
}
