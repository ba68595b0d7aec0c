//! HTTP/2 as RFC 9113 and RFC 7541 want it: the sections that `h2spec` covers, written down as frames and what must follow.

use super::{Report, Suite, counted};
use crate::verb::Problem;
use crate::{install, process, tree};
use std::process::Command;
use std::time::Duration;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "http2",
    about: "frames that break RFC 9113 and RFC 7541, section by section",
    run,
};

const SCRIPT: &str = "tests/interop/http2/run.py";
const PACKAGES: &[&str] = &["hyperframe==6.1.0", "hpack==4.2.0", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let program = install::countersign()?;
    let bin = install::python("http2", PACKAGES)?;
    let mut command = Command::new(bin.join("python"));
    command
        .arg(tree::root().join(SCRIPT))
        .env("COUNTERSIGN_BIN", program);
    let finished = process::run(&mut command, Duration::from_secs(300))?;
    Ok(Report::Ran(
        counted(&finished.text)
            .unwrap_or_default()
            .judged(finished.succeeded()),
    ))
}
