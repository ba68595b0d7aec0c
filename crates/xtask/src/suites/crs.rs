//! Cases of every family of the OWASP Core Rule Set (Debian's package): our firewall beside libmodsecurity in nginx (Debian's too), the same rules and settings. The package
//! holds no cases of its own, so these are ours: `tests/interop/crs/cases`.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "crs",
    about: "OWASP Core Rule Set in blocking mode, beside libmodsecurity in nginx (Debian)",
    run,
};

const SCRIPT: &str = "tests/interop/crs/run.py";
/// What libmodsecurity needs beyond a minimal system.
const PACKAGES: &[&str] = &[
    "nginx",
    "libnginx-mod-http-modsecurity",
    "libmodsecurity3",
    "modsecurity-crs",
    "libfuzzy2",
    "libgeoip1",
    "liblmdb0",
    "liblua5.3-0",
    "libmaxminddb0",
    "libyajl2",
];

fn run() -> Result<Report, Problem> {
    if !process::answers("python3") {
        return Err(Problem::new("there is no python3"));
    }
    let screen = install::example("screen")?;
    let root = install::unpacked("modsecurity", PACKAGES)?;
    let mut command = Command::new("python3");
    command
        .arg(tree::root().join(SCRIPT))
        .env("SCREEN_BIN", screen)
        .env("MODSECURITY_ROOT", root);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
