//! ACL policies as Vault writes them (HCL or JSON), and what becomes of them: Cedar policies about paths.
//!
//! A rule `path "secret/data/app/*" { capabilities = ["read"] }` of policy `app` becomes
//!
//! ```text
//! permit (principal in VaultPolicy::"default/app", action in [Action::"vault_read"], resource in VaultRule::"secret/data/app/*")
//!   when { !context.sudo || resource in VaultRule::"/sudo" };
//! ```
//!
//! and `deny` a `forbid` of every action. Which rule decides is Vault's own order: of all rules of the caller's policies that fit a path, those with the pattern that
//! fits best count, and no others. [`fitting`] finds that pattern; it is the path's parent in the question, so that Cedar decides exactly as Vault does. Capabilities
//! of one pattern add up over policies, `sudo` too: where a policy of the caller grants it for the pattern, `/sudo`, which no pattern is, is a further parent.
//!
//! Not here: templates, constraints on parameters and wrapping times. A policy with any of them is refused.

mod document;
mod name;
mod pattern;
mod policy;
mod translation;

pub use name::PolicyName;
pub use pattern::Pattern;
pub use policy::{Capabilities, Capability, Policy};
pub use translation::translate;

use crate::call::{Cx, Operation};
use crate::entry::EntryName;
use crate::error::VaultError;
use crate::path::RequestPath;
use crate::work::{Stop, Work};
use countersign_base::Tenant;
use countersign_policy::EntityId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// The rule above every path for whose pattern the caller has `sudo`. Patterns begin with no slash, so it is none.
const SUDO: &str = "/sudo";
/// Rules of all policies of a tenant: they are one set of Cedar policies.
const RULES_MAX: usize = 4_000;
/// Bytes of all policies of a tenant as Cedar.
const CEDAR_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Policies of a tenant.
const POLICIES_MAX: usize = 1_000;
/// What `default` says as long as nobody wrote it.
const DEFAULT: &str = include_str!("acl/default.hcl");

/// The entity of a policy.
#[must_use]
pub fn policy_entity(tenant: &Tenant, policy: &str) -> EntityId {
    EntityId::new("VaultPolicy", format!("{}/{policy}", tenant.as_str()))
}

/// The entry of a policy.
fn entry(policy: &str) -> EntryName {
    EntryName::of(&["core", "policy", policy])
}

/// The policies of a tenant by name, with how large each is, and how often any of them was written. The translated set is made anew when this entry changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    written: u64,
    sizes: BTreeMap<String, Size>,
}

/// How large a policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    rules: usize,
    /// As Cedar.
    bytes: usize,
}

impl Size {
    fn of(tenant: &Tenant, name: &PolicyName, policy: &Policy) -> Self {
        let files = translate(tenant, name.as_str(), policy);
        Self {
            rules: policy.len(),
            bytes: files
                .iter()
                .map(|(file, text)| file.len() + text.len())
                .sum(),
        }
    }
}

impl Policies {
    /// The entry that holds them.
    #[must_use]
    pub fn entry() -> EntryName {
        EntryName::of(&["core", "policies"])
    }

    /// Reads them.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn read(work: &mut Work<'_>) -> Result<Self, Stop> {
        Ok(work
            .shared(&Self::entry())?
            .map(Arc::unwrap_or_clone)
            .unwrap_or_default())
    }

    /// The names, in order: `default` always, `root` never.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let written = self.sizes.keys().cloned();
        written.chain(["default".to_owned()]).collect()
    }

    fn changed(mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        self.written = self.written.saturating_add(1);
        let sum = |of: fn(&Size) -> usize| {
            let all = self.sizes.values().map(of);
            all.fold(0, usize::saturating_add)
        };
        if self.sizes.len() > POLICIES_MAX
            || sum(|size| size.rules) > RULES_MAX
            || sum(|size| size.bytes) > CEDAR_BYTES_MAX
        {
            return Err(VaultError::invalid(
                "a tenant has at most 1000 policies with 4000 rules, 4 MiB as Cedar: use patterns with `*` and `+`",
            )
            .into());
        }
        work.put(&Self::entry(), &self)
    }
}

/// A policy; `None` when there is none of that name. `default` is there without having been written.
///
/// # Errors
/// As [`Work::read`].
pub fn read(name: &PolicyName, work: &mut Work<'_>) -> Result<Option<Policy>, Stop> {
    Ok(stored(name.as_str(), work)?.map(Arc::unwrap_or_clone))
}

fn stored(name: &str, work: &mut Work<'_>) -> Result<Option<Arc<Policy>>, Stop> {
    match work.shared(&entry(name))? {
        None if name == "default" => Ok(Some(default_policy()?)),
        found => Ok(found),
    }
}

/// What `default` says as long as nobody wrote it; most tokens have it, so it is parsed once.
fn default_policy() -> Result<Arc<Policy>, VaultError> {
    static PARSED: OnceLock<Arc<Policy>> = OnceLock::new();
    match PARSED.get() {
        Some(parsed) => Ok(Arc::clone(parsed)),
        None => {
            let parsed = Arc::new(Policy::parse(DEFAULT)?);
            Ok(Arc::clone(PARSED.get_or_init(|| parsed)))
        }
    }
}

/// Writes a policy.
///
/// # Errors
/// When it is `root`, or there would be too many rules.
pub fn write(
    name: &PolicyName,
    policy: &Policy,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    if name.is_root() {
        return Err(VaultError::invalid("cannot update \"root\" policy").into());
    }
    let mut policies = Policies::read(work)?;
    let size = Size::of(cx.tenant, name, policy);
    policies.sizes.insert(name.as_str().to_owned(), size);
    policies.changed(work)?;
    work.put(&entry(name.as_str()), policy)
}

/// Deletes a policy, if there is one. Tokens that name it have nothing by it from then on.
///
/// # Errors
/// When it is `root` or `default`.
pub fn delete(name: &PolicyName, work: &mut Work<'_>) -> Result<(), Stop> {
    if name.is_root() || name.is_default() {
        return Err(VaultError::invalid(format!("cannot delete \"{name}\" policy")).into());
    }
    let mut policies = Policies::read(work)?;
    if policies.sizes.remove(name.as_str()).is_some() {
        policies.changed(work)?;
        work.delete(&entry(name.as_str()));
    }
    Ok(())
}

/// All policies of a tenant as Cedar, to be loaded beside those of the configuration.
///
/// # Errors
/// As [`Work::read`].
pub fn translated(tenant: &Tenant, work: &mut Work<'_>) -> Result<Vec<(String, String)>, Stop> {
    let names = Policies::read(work)?.names();
    expect(&names, work)?;
    let mut files = Vec::new();
    for name in &names {
        if let Some(policy) = stored(name, work)? {
            files.extend(translate(tenant, name, &policy));
        }
    }
    Ok(files)
}

fn expect(policies: &BTreeSet<String>, work: &Work<'_>) -> Result<(), Stop> {
    let entries: Vec<_> = policies.iter().map(|name| entry(name)).collect();
    work.expect(&entries)
}

/// Rules by their patterns, those of one pattern added up.
type Rules<'p> = BTreeMap<&'p Pattern, Capabilities>;

/// Some policies. One that is not there gives nothing, and `root` is none.
fn named(policies: &BTreeSet<String>, work: &mut Work<'_>) -> Result<Vec<Arc<Policy>>, Stop> {
    let names: BTreeSet<String> = policies
        .iter()
        .filter(|name| *name != "root")
        .cloned()
        .collect();
    expect(&names, work)?;
    let mut found = Vec::new();
    for name in &names {
        found.extend(stored(name, work)?);
    }
    Ok(found)
}

/// All their rules.
fn rules(policies: &[Arc<Policy>]) -> Rules<'_> {
    let mut rules = Rules::new();
    for (pattern, capabilities) in policies.iter().flat_map(|policy| policy.rules()) {
        rules.entry(pattern).or_default().extend(capabilities);
    }
    rules
}

/// The rules that decide for a path: the one that fits best, and for a listing a further one that denies.
fn deciding<'r>(
    rules: &'r Rules<'r>,
    path: &str,
    operation: Operation,
) -> Vec<(&'r Pattern, &'r Capabilities)> {
    let best = |path: &str| {
        let fitting = rules.iter().filter(|(pattern, _)| pattern.fits(path));
        let fitting = fitting.map(|(pattern, capabilities)| (*pattern, capabilities));
        fitting.max_by(|(one, _), (other, _)| one.priority(other))
    };
    if operation != Operation::List {
        return best(path).into_iter().collect();
    }
    // A listing asks for a folder; a rule for the very path without the slash speaks of it too, and comes before patterns.
    let bare = path.trim_end_matches('/');
    let (folder, bare) = (best(&format!("{bare}/")), best(bare));
    let is_exact = |rule: &(&Pattern, &Capabilities)| rule.0.is_exact();
    let chosen = folder.filter(is_exact).or(bare.filter(is_exact)).or(folder);
    // Whichever of both forms is denied, the listing is (GHSA-xp3c-3jw3-4vcr). A pattern with `*` that fits the bare path fits the folder as well, where it was beaten.
    let denying = [folder, bare.filter(|(pattern, _)| !pattern.is_open())];
    let denying = denying
        .into_iter()
        .flatten()
        .filter(|(_, capabilities)| capabilities.contains(&Capability::Deny));
    chosen.into_iter().chain(denying).collect()
}

/// The patterns that decide for a path: of all rules of these policies, those that fit it best.
///
/// # Errors
/// As [`Work::read`].
pub fn fitting(
    policies: &BTreeSet<String>,
    path: &RequestPath,
    operation: Operation,
    work: &mut Work<'_>,
) -> Result<BTreeSet<String>, Stop> {
    let policies = named(policies, work)?;
    let rules = rules(&policies);
    let deciding = deciding(&rules, path.as_str(), operation);
    let sudo = deciding
        .first()
        .filter(|(_, capabilities)| capabilities.contains(&Capability::Sudo))
        .map(|_| SUDO.to_owned());
    let patterns = deciding
        .iter()
        .map(|(pattern, _)| pattern.as_str().to_owned());
    Ok(patterns.chain(sudo).collect())
}

/// What these policies grant for a path, as `sys/capabilities` tells it: `root`, or names in order, or `deny`.
///
/// # Errors
/// As [`Work::read`].
pub fn capabilities(
    policies: &BTreeSet<String>,
    path: &str,
    work: &mut Work<'_>,
) -> Result<Vec<&'static str>, Stop> {
    if policies.contains("root") {
        return Ok(vec!["root"]);
    }
    let policies = named(policies, work)?;
    let rules = rules(&policies);
    let path = path.trim_start_matches('/');
    let operation = if path.ends_with('/') {
        Operation::List
    } else {
        Operation::Read
    };
    let deciding = deciding(&rules, path, operation);
    let denied = |(_, capabilities): &(&Pattern, &Capabilities)| {
        capabilities.is_empty() || capabilities.contains(&Capability::Deny)
    };
    match deciding.first() {
        Some((_, capabilities)) if !deciding.iter().any(denied) => {
            Ok(capabilities.iter().map(|one| one.as_str()).collect())
        }
        _ => Ok(vec!["deny"]),
    }
}

/// Whether these policies grant anything at or below a mount.
///
/// # Errors
/// As [`Work::read`].
pub fn reaches(
    policies: &BTreeSet<String>,
    mount: &str,
    work: &mut Work<'_>,
) -> Result<bool, Stop> {
    if policies.contains("root") {
        return Ok(true);
    }
    let policies = named(policies, work)?;
    let rules = rules(&policies);
    let grants = |capabilities: &Capabilities| {
        !capabilities.is_empty() && !capabilities.contains(&Capability::Deny)
    };
    Ok(rules
        .iter()
        .any(|(pattern, capabilities)| grants(capabilities) && pattern.reaches_below(mount)))
}

#[cfg(test)]
mod tests;
