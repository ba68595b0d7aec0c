//! Requests that nobody would think of, made of our own OpenAPI documents by a program written by others: against the admin API, and against the exercise's API through
//! the gateway that enforces its document.

use super::{Report, Suite, script};
use crate::verb::Problem;

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "schemathesis",
    about: "schemathesis (PyPI): the admin API, and the exercise's through the gateway",
    run,
};

/// With everything that it needs, so that its seed means the same requests tomorrow.
const PACKAGES: &[&str] = &[
    "anyio==4.16.0",
    "certifi==2026.10.18",
    "cffi==2.1.1",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "cryptography==50.0.2",
    "graphql-core==3.3.2",
    "harfile==0.6.0",
    "hypothesis==6.170.15",
    "hypothesis-graphql==0.13.5",
    "idna==3.20",
    "iniconfig==2.3.1",
    "jsonschema_rs==0.60.3",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "packaging==26.3",
    "pluggy==1.7.0",
    "pycparser==3.12",
    "Pygments==2.21.0",
    "pyrate-limiter==4.5.1",
    "pytest==9.2.0",
    "PyYAML==6.0.3",
    "requests==2.34.2",
    "rich==15.0.0",
    "schemathesis==4.32.5",
    "sortedcontainers==2.4.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
];

fn run() -> Result<Report, Problem> {
    script::run("schemathesis", PACKAGES, &[])
}
