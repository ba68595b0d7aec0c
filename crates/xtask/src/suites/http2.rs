//! HTTP/2 as RFC 9113 and RFC 7541 want it: the sections that `h2spec` covers, written down as frames and what must follow.

use super::{Report, Suite, script};
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "http2",
    about: "frames that break RFC 9113 and RFC 7541, section by section",
    run,
};

const PACKAGES: &[&str] = &["hyperframe==6.1.0", "hpack==4.2.0", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    script::run("http2", PACKAGES, &[])
}
