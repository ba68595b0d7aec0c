//! What clients of the vault send that has a grammar of its own: paths, and ACL policies.

use crate::{Target, Verdict};
use countersign_base::Tenant;
use countersign_policy::PolicySet;
use countersign_vault::RequestPath;
use countersign_vault::acl::{Capabilities, Capability, Policy, translate};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "vault-path",
        about: "the path of a request to the vault",
        run: path,
        words: PATH_WORDS,
    },
    Target {
        name: "vault-policy",
        about: "an ACL policy of the vault, in HCL or JSON",
        run: policy,
        words: POLICY_WORDS,
    },
];

/// Pieces of paths.
pub(crate) const PATH_WORDS: &[&str] =
    &["/", "..", "%2e", "%2f", "%25", "%", "\\", "secret/", "data"];

/// Pieces of policies, in HCL and JSON.
pub(crate) const POLICY_WORDS: &[&str] = &[
    "path",
    "\"",
    "\\\"",
    "\\u0022",
    "{",
    "}",
    "[",
    "]",
    "=",
    ":",
    ",",
    "#",
    "/*",
    "*/",
    "+",
    "*",
    "capabilities",
    "policy",
    "\"read\"",
    "\"deny\"",
    "\"sudo\"",
    "); permit (principal, action, resource); //",
    "allowed_parameters",
    "${",
    "{{",
];

/// As much of the schema as translated rules speak of: to be read for every input.
const SCHEMA: &str = r#"
entity Tenant;
entity VaultPolicy;
entity VaultToken in [VaultPolicy] { tenant: Tenant };
entity VaultRule;
entity VaultPath in [VaultRule] { tenant: Tenant };
action "vault_create", "vault_read", "vault_update", "vault_patch", "vault_delete", "vault_list" appliesTo {
  principal: [VaultToken],
  resource: [VaultPath],
  context: { sudo: Bool },
};
"#;

pub(crate) fn path(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = RequestPath::parse(text);
    if let Ok(path) = &parsed {
        let path = path.as_str();
        assert!(!path.starts_with('/') && !path.contains("//"), "one form");
        assert!(!path.chars().any(char::is_control), "no control characters");
        let relative = |segment: &str| matches!(segment, "." | "..");
        assert!(!path.split(['/', '\\']).any(relative), "no way up");
    }
    Verdict::of(&parsed)
}

pub(crate) fn policy(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = Policy::parse(text);
    if let Ok(policy) = &parsed {
        let files = translate(&Tenant::default_tenant(), "fuzzed", policy);
        let says = |granted: &Capabilities| granted.iter().any(|one| *one != Capability::Sudo);
        let rules = policy.rules().filter(|(_, granted)| says(granted)).count();
        let loaded = PolicySet::load(SCHEMA, &files).map(|set| set.ids().count());
        assert_eq!(loaded, Ok(rules), "each rule is one policy and no more");
    }
    Verdict::of(&parsed)
}
