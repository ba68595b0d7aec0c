//! WebSocket through the gateway: the classes of cases that Autobahn's suite has (which itself runs on Python 2 alone), each run against a server directly and
//! through the gateway, with the same outcome to the byte.

use super::{Report, Suite, script};
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "websockets",
    about: "frames of every kind through the gateway, as without it",
    run,
};

const PACKAGES: &[&str] = &["websockets==17.4", "requests==2.34.2"];

fn run() -> Result<Report, Problem> {
    script::run("websockets", PACKAGES, &[])
}
