//! Token roles (`auth/token/roles/`): under which name tokens with certain policies are made, and how they are shaped.

use super::NewToken;
use super::create::shorter;
use super::policies;
use crate::VaultError;
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::entry::EntryName;
use crate::pages;
use crate::work::{Stop, Work};
use countersign_base::{AddressBlock, Duration};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Bytes of a role's name.
const NAME_BYTES_MAX: usize = 128;
/// Patterns of one role.
const PATTERNS_MAX: usize = 256;

/// A token role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Role {
    pub(super) allowed_policies: BTreeSet<String>,
    allowed_policies_glob: BTreeSet<String>,
    disallowed_policies: BTreeSet<String>,
    disallowed_policies_glob: BTreeSet<String>,
    pub(super) orphan: bool,
    not_renewable: bool,
    path_suffix: String,
    bound_cidrs: BTreeSet<AddressBlock>,
    explicit_max_ttl: Option<Duration>,
    period: Option<Duration>,
    uses: u32,
    no_default_policy: bool,
}

impl Role {
    fn name(role: &str) -> Result<EntryName, VaultError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if role.is_empty() || role.len() > NAME_BYTES_MAX || !role.bytes().all(allowed) {
            return Err(VaultError::invalid(
                "a role's name is made of up to 128 ASCII letters, digits and -_.",
            ));
        }
        Ok(EntryName::of(&["token", "role", role]))
    }

    /// The role of a name.
    pub(super) fn read(role: &str, work: &mut Work<'_>) -> Result<Option<Self>, Stop> {
        work.read(&Self::name(role)?)
    }

    /// Whether it says which policies its tokens may have; else the maker's own bound them.
    pub(super) fn has_allowed(&self) -> bool {
        !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty()
    }

    /// Whether its tokens may have a policy.
    pub(super) fn allows(&self, policy: &str) -> bool {
        self.allowed_policies.contains(policy) || fits_any(&self.allowed_policies_glob, policy)
    }

    /// Whether none of its tokens may have a policy.
    pub(super) fn disallows(&self, policy: &str) -> bool {
        self.disallowed_policies.contains(policy)
            || fits_any(&self.disallowed_policies_glob, policy)
    }

    /// Gives a token the shape that the role says.
    pub(super) fn shape(&self, new: &mut NewToken) {
        new.no_default_policy |= self.no_default_policy || self.disallows("default");
        new.not_renewable |= self.not_renewable;
        new.explicit_max_ttl = shorter(new.explicit_max_ttl, self.explicit_max_ttl);
        new.period = self.period.or(new.period);
        new.uses = match (new.uses, self.uses) {
            (0, uses) | (uses, 0) => uses,
            (one, other) => one.min(other),
        };
        new.bound_cidrs.clone_from(&self.bound_cidrs);
    }

    /// Takes what the body says; what it does not name stays.
    fn change(&mut self, body: &Body) -> Result<(), VaultError> {
        let globs = |name: &str| -> Result<Option<BTreeSet<String>>, VaultError> {
            body.texts(name)?.map(|globs| patterns(&globs)).transpose()
        };
        if let Some(names) = body.texts("allowed_policies")? {
            self.allowed_policies = policies::all(&names)?;
        }
        if let Some(names) = body.texts("disallowed_policies")? {
            self.disallowed_policies = policies::all(&names)?;
        }
        if let Some(globs) = globs("allowed_policies_glob")? {
            self.allowed_policies_glob = globs;
        }
        if let Some(globs) = globs("disallowed_policies_glob")? {
            self.disallowed_policies_glob = globs;
        }
        if let Some(orphan) = body.truth("orphan")? {
            self.orphan = orphan;
        }
        if let Some(renewable) = body.truth("renewable")? {
            self.not_renewable = !renewable;
        }
        if let Some(suffix) = body.text("path_suffix")? {
            self.path_suffix = suffix;
        }
        if let Some(no_default) = body.truth("token_no_default_policy")? {
            self.no_default_policy = no_default;
        }
        self.change_limits(body)
    }

    fn change_limits(&mut self, body: &Body) -> Result<(), VaultError> {
        if body
            .text("token_type")?
            .is_some_and(|kind| !matches!(kind.as_str(), "" | "service" | "default-service"))
        {
            return Err(VaultError::invalid("`token_type` must be service"));
        }
        // Older names of the same members are taken, as Vault takes them.
        let either = |new: &'static str, old: &'static str| if body.has(new) { new } else { old };
        if let Some(blocks) = body.texts(either("token_bound_cidrs", "bound_cidrs"))? {
            self.bound_cidrs = blocks
                .iter()
                .map(|block| block.parse())
                .collect::<Result<_, _>>()
                .map_err(|error| VaultError::invalid(format!("`token_bound_cidrs`: {error}")))?;
        }
        if let Some(max) = body.duration(either("token_explicit_max_ttl", "explicit_max_ttl"))? {
            self.explicit_max_ttl = shorter(Some(max), None);
        }
        if let Some(period) = body.duration(either("token_period", "period"))? {
            self.period = shorter(Some(period), None);
        }
        if let Some(uses) = body.count("token_num_uses")? {
            self.uses = uses;
        }
        Ok(())
    }

    fn answer(&self, name: &str) -> Answer {
        let seconds =
            |duration: Option<Duration>| duration.map_or(0, |duration| duration.as_secs());
        Answer::data(json!({
            "name": name,
            "allowed_policies": self.allowed_policies,
            "allowed_policies_glob": self.allowed_policies_glob,
            "disallowed_policies": self.disallowed_policies,
            "disallowed_policies_glob": self.disallowed_policies_glob,
            "orphan": self.orphan,
            "renewable": !self.not_renewable,
            "path_suffix": self.path_suffix,
            "token_bound_cidrs": self.bound_cidrs,
            "token_explicit_max_ttl": seconds(self.explicit_max_ttl),
            "explicit_max_ttl": seconds(self.explicit_max_ttl),
            "token_period": seconds(self.period),
            "period": seconds(self.period),
            "token_num_uses": self.uses,
            "token_no_default_policy": self.no_default_policy,
            "token_type": "service",
        }))
    }
}

/// Patterns in the form in which names of policies are compared.
fn patterns(globs: &[String]) -> Result<BTreeSet<String>, VaultError> {
    if globs.len() > PATTERNS_MAX {
        return Err(VaultError::invalid("a role has at most 256 patterns"));
    }
    globs
        .iter()
        .map(|glob| {
            let letters = glob.replace('*', "a");
            policies::normal(&letters)?;
            Ok(glob.trim().to_ascii_lowercase())
        })
        .collect()
}

fn fits_any(globs: &BTreeSet<String>, policy: &str) -> bool {
    globs.iter().any(|glob| fits(glob, policy))
}

/// Whether a pattern fits, in which `*` stands for any characters. Greedy with one place to return to: its time is bounded by the product of the lengths.
fn fits(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

pub(super) fn run(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let segments = call.segments();
    let Some(name) = segments.get(1) else {
        if call.operation != Operation::List {
            return Err(VaultError::Unsupported.into());
        }
        return Ok(Answer::keys(pages::below("token/role/", work)?)?);
    };
    let entry = Role::name(name)?;
    match call.operation {
        Operation::Create | Operation::Update | Operation::Patch => {
            let mut role = Role::read(name, work)?.unwrap_or_default();
            role.change(&call.body)?;
            work.put(&entry, &role)?;
            Ok(Answer::nothing())
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing())
        }
        Operation::List => Err(VaultError::Unsupported.into()),
        Operation::Read => {
            let role = Role::read(name, work)?.ok_or(VaultError::NotFound)?;
            Ok(role.answer(name))
        }
    }
}

/// Whether the role is there that a `POST` would write.
pub(super) fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    match *call.segments().as_slice() {
        ["roles", name] => Ok(Role::read(name, work)?.is_some()),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests;
