//! What an administrator writes: `countersign.toml` and policies. Not from strangers, but a mistake in it must be a message and never a crash.

use crate::{Target, Verdict};
use countersign::config;
use countersign_policy::PolicySet;
use countersign_policy::defaults::SCHEMA;
use std::path::Path;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "policy",
        about: "a Cedar policy against the schema",
        run: policy,
        words: POLICY_WORDS,
    },
    Target {
        name: "configuration",
        about: "countersign.toml",
        run: configuration,
        words: WORDS,
    },
];

/// Fragments of configurations.
pub(crate) const WORDS: &[&str] = &[
    "[[routes]]\n",
    "[[clients]]\n",
    "[[tenants]]\n",
    "[[upstreams]]\n",
    "[listeners]\n",
    "name = \"a\"\n",
    "id = \"a\"\n",
    "url = \"https://localhost\"\n",
    "path = \"/a/{id}\"\n",
    "actions.GET = { action = \"read\" }\n",
    "rate = { requests = 0, per = \"1s\" }\n",
    "secret = \"env:X\"\n",
    "[[webhook_sources]]\n",
    "scheme = \"hmac\"\n",
    "signature = { field = \"x-a\", time = {} }\n",
    "secrets = [{ file = \"a\" }]\n",
    "deliver = { upstream = \"a\", path = \"/\" }\n",
    "webhook = \"a\"\n",
    "\"\"\"",
];
/// Fragments of policies.
pub(crate) const POLICY_WORDS: &[&str] = &[
    "permit",
    "forbid",
    "(principal, action, resource)",
    "when { ",
    " };",
    "unless",
    "in",
    "==",
    "has",
    "like \"*\"",
    "@id(\"a\")",
    "context.",
    "principal.",
];

pub(crate) fn configuration(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = config::parse(Path::new("."), Path::new("countersign.toml"), text);
    if let Err(mistakes) = &parsed {
        assert!(!mistakes.is_empty(), "a refused configuration says why");
    }
    if text.trim().is_empty() {
        Verdict::Refused
    } else {
        Verdict::of(&parsed)
    }
}

pub(crate) fn policy(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    if text.trim().is_empty() {
        return Verdict::Refused;
    }
    Verdict::of(&PolicySet::load(SCHEMA, &[("fuzz.cedar", text)]))
}
