//! The seal's key on a PKCS#11 token, with Debian's SoftHSM 2, and the other sources that unseal without a person.

use super::{Report, Suite, script};
use crate::install;
use crate::verb::Problem;
use std::ffi::OsStr;
use std::path::Path;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "softhsm",
    about: "the seal's key on a PKCS#11 token (SoftHSM 2): first start, restarts, wrong PIN, missing key, recovery keys; other sources",
    run,
};

const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PACKAGES: &[&str] = &["hvac==2.4.0", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    install::system(Path::new(LIBRARY), &["softhsm2"])?;
    let environment: [(&str, &OsStr); 1] = [("SOFTHSM_LIBRARY", OsStr::new(LIBRARY))];
    script::run("softhsm", PACKAGES, &environment)
}
