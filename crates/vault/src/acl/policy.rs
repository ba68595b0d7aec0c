//! A policy: for each pattern what may be done. What a rule says that is not carried out here (parameters, wrapping times, control groups, templates) is refused.

use super::document::{self, Node};
use super::pattern::Pattern;
use crate::call::Operation;
use crate::error::VaultError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rules of one policy.
const RULES_MAX: usize = 1_000;

/// What a rule grants, or with `deny` refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// `create`.
    Create,
    /// `delete`.
    Delete,
    /// `deny`: nothing, whatever else is granted.
    Deny,
    /// `list`.
    List,
    /// `patch`.
    Patch,
    /// `read`.
    Read,
    /// `sudo`: also where more than the operation's own capability is asked for.
    Sudo,
    /// `update`.
    Update,
}

impl Capability {
    pub(super) const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::Deny,
        Self::List,
        Self::Patch,
        Self::Read,
        Self::Sudo,
        Self::Update,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Deny => "deny",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Sudo => "sudo",
            Self::Update => "update",
        }
    }

    /// The operation that it grants; `deny` and `sudo` grant none by themselves.
    #[must_use]
    pub const fn operation(self) -> Option<Operation> {
        match self {
            Self::Create => Some(Operation::Create),
            Self::Delete => Some(Operation::Delete),
            Self::List => Some(Operation::List),
            Self::Patch => Some(Operation::Patch),
            Self::Read => Some(Operation::Read),
            Self::Update => Some(Operation::Update),
            Self::Deny | Self::Sudo => None,
        }
    }

    fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// What `policy = "..."` grants, as policies were written before there were capabilities.
    fn of_old(text: &str) -> Option<&'static [Self]> {
        match text {
            "deny" => Some(&[Self::Deny]),
            "read" => Some(&[Self::List, Self::Read]),
            "write" => Some(&[
                Self::Create,
                Self::Delete,
                Self::List,
                Self::Read,
                Self::Update,
            ]),
            "sudo" => Some(&[
                Self::Create,
                Self::Delete,
                Self::List,
                Self::Read,
                Self::Sudo,
                Self::Update,
            ]),
            _ => None,
        }
    }
}

/// Capabilities of one pattern.
pub type Capabilities = BTreeSet<Capability>;

/// A policy as it is stored: its text and what was read from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    text: String,
    rules: BTreeMap<Pattern, Capabilities>,
}

impl Policy {
    /// Reads a policy in HCL or JSON. Rules of one pattern are one rule.
    ///
    /// # Errors
    /// When it cannot be read, says what is not carried out here, or is beyond the bounds. The text holds nothing of the policy but names of settings.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let members = document::read(text).map_err(|fault| {
            VaultError::invalid(format!(
                "failed to parse policy: line {}: {}",
                fault.line, fault.what
            ))
        })?;
        let mut rules = BTreeMap::new();
        for (name, value) in members {
            match (name.as_str(), value) {
                ("path", value) => add_paths(value, &mut rules)?,
                ("name", Node::Text(_)) => {}
                _ => return Err(fault("only `path` stands at the top of a policy")),
            }
        }
        if rules.len() > RULES_MAX {
            return Err(fault("a policy has at most 1000 rules"));
        }
        Ok(Self {
            text: text.to_owned(),
            rules,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rules.
    pub fn rules(&self) -> impl Iterator<Item = (&Pattern, &Capabilities)> {
        self.rules.iter()
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn fault(what: &'static str) -> VaultError {
    VaultError::invalid(format!("failed to parse policy: {what}"))
}

/// `path "x" { }`, several of them, or a list of objects of them, as JSON has it.
fn add_paths(value: Node, rules: &mut BTreeMap<Pattern, Capabilities>) -> Result<(), VaultError> {
    match value {
        Node::Object(paths) => {
            for (pattern, rule) in paths {
                let pattern = Pattern::parse(&pattern)?;
                let capabilities = capabilities(rule)?;
                rules.entry(pattern).or_default().extend(capabilities);
            }
            Ok(())
        }
        Node::List(items) => items.into_iter().try_for_each(|item| match item {
            Node::Object(_) => add_paths(item, rules),
            _ => Err(fault("`path` needs a pattern and a block")),
        }),
        Node::Bare | Node::Text(_) => Err(fault("`path` needs a pattern and a block")),
    }
}

fn capabilities(rule: Node) -> Result<Capabilities, VaultError> {
    let settings = match rule {
        Node::Object(settings) => settings,
        // JSON writes a block also as a list of one.
        Node::List(mut items) => match (items.pop(), items.is_empty()) {
            (Some(Node::Object(settings)), true) => settings,
            _ => return Err(fault("`path` needs a pattern and a block")),
        },
        Node::Bare | Node::Text(_) => return Err(fault("`path` needs a pattern and a block")),
    };
    let mut granted = Capabilities::new();
    for (name, value) in settings {
        match (name.as_str(), value) {
            ("capabilities", Node::List(items)) => {
                for item in items {
                    granted.insert(capability(&item)?);
                }
            }
            ("capabilities", _) => return Err(fault("`capabilities` must be a list of texts")),
            ("policy", Node::Text(old)) => {
                let old = Capability::of_old(&old).ok_or_else(|| fault("unknown `policy`"))?;
                granted.extend(old);
            }
            (
                known @ ("allowed_parameters"
                | "control_group"
                | "denied_parameters"
                | "expiration"
                | "list_scan_response_keys_filter_path"
                | "max_wrapping_ttl"
                | "mfa_methods"
                | "min_wrapping_ttl"
                | "pagination_limit"
                | "required_parameters"
                | "subscribe_event_types"),
                _,
            ) => {
                return Err(VaultError::invalid(format!(
                    "failed to parse policy: `{known}` is not supported, and a rule that says it would grant more than it means"
                )));
            }
            _ => return Err(fault("a rule has an unknown setting")),
        }
    }
    Ok(granted)
}

fn capability(item: &Node) -> Result<Capability, VaultError> {
    match item {
        Node::Text(name) => Capability::named(name).ok_or_else(|| {
            fault(
                "unknown capability: there are create, delete, deny, list, patch, read, sudo and update",
            )
        }),
        Node::Bare | Node::List(_) | Node::Object(_) => {
            Err(fault("`capabilities` must be a list of texts"))
        }
    }
}
