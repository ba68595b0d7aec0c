//! Others ask for decisions: an HTTP client of AuthZEN and OPA, and nginx with `auth_request` before an application.

use super::{Report, Suite, script};
use crate::install;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-decisions",
    about: "AuthZEN and OPA over HTTPS, nginx (Debian) with auth_request",
    run,
};

const PACKAGES: &[&str] = &["requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    let nginx = install::unpacked("nginx", &["nginx"])?.join("usr/sbin/nginx");
    script::run("decisions", PACKAGES, &[("NGINX_BIN", nginx.as_os_str())])
}
