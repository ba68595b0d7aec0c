//! Limits and idempotency keys that processes share, on the system's Redis: the conformance suite of both forms of the limiter, several that share one count or key, and what is done
//! while the server is killed, restarted or hangs. The tests start their own servers, on Unix sockets in temporary directories.

use super::rust::Selection;
use super::{Count, Report, Suite, rust};
use crate::install;
use crate::verb::Problem;
use std::path::Path;
use std::process::Command;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "redis",
    about: "limits and idempotency keys that processes share, on Redis: conformance, kill -9, one that hangs, TLS",
    run,
};

/// The package that holds the program and no service that would start by itself.
const PACKAGE: &str = "redis-tools";
const PROGRAM: &str = "/usr/bin/redis-check-rdb";

fn run() -> Result<Report, Problem> {
    let program = program()?;
    let with_redis = |command: &mut Command| {
        command.env("COUNTERSIGN_TEST_REDIS", &program);
    };
    let units = Selection::Filter("package(countersign-gateway) & test(limiter::shared)");
    let doors = Selection::Filter("binary(gateway) & (test(shared_keys) | test(shared_limits))");
    let count: Count = rust::tests(units, with_redis)?.and(rust::tests(doors, with_redis)?);
    Ok(Report::Ran(count))
}

/// One program is server and checker, by the name that it is called with.
fn program() -> Result<std::path::PathBuf, Problem> {
    let server = Path::new("/usr/bin/redis-server");
    if server.exists() {
        return Ok(server.to_path_buf());
    }
    install::system(Path::new(PROGRAM), &[PACKAGE])?;
    let named = crate::tree::scratch().join("redis").join("redis-server");
    if let Some(directory) = named.parent() {
        std::fs::create_dir_all(directory)?;
    }
    if !named.exists() {
        std::os::unix::fs::symlink(PROGRAM, &named)?;
    }
    Ok(named)
}
