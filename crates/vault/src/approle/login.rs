//! Sign-in with a role id and a secret id.
//!
//! The same entries are asked for and the same hashes made whether a role id is known or not, and every refusal is one text: who tries learns nothing of what there
//! is. What is refused writes nothing (CVE-2026-46405).

use super::role::Role;
use super::secret_id::{self, SecretId};
use crate::VaultError;
use crate::answer::Outcome;
use crate::call::{Call, Cx};
use crate::sign_in::{self, SignedIn};
use crate::work::{Stop, Work};
use countersign_base::AddressBlock;
use std::collections::{BTreeMap, BTreeSet};

/// Stands for the role of a role id that nobody has: no role is called so.
const NOBODY: &str = ".";

/// What `login` does.
pub(super) fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let refused = || VaultError::invalid("invalid role or secret ID");
    let role_id = call.body.required_text("role_id")?;
    let shown = call.body.text("secret_id")?.unwrap_or_default();
    let name: Option<String> = work.read(&Role::id_entry(call, &role_id, cx))?;
    let name = name.as_deref().unwrap_or(NOBODY);
    let entry_of_role = call.entry(&["role", name]);
    let role: Option<Role> = work.read(&entry_of_role)?;
    let generation = role.as_ref().map_or(NOBODY, |role| &role.generation);
    let entry = secret_id::entry(call, generation, &shown, cx);
    let found: Option<SecretId> = work.read(&entry)?;
    let Some(role) = role.filter(|role| role.role_id == role_id) else {
        return Err(refused().into());
    };
    let from = |blocks: &BTreeSet<AddressBlock>| sign_in::admits(blocks, call.from);
    if !from(&role.secret_id_bound_cidrs) {
        return Err(refused().into());
    }
    let mut metadata = BTreeMap::new();
    let mut bound_cidrs = BTreeSet::new();
    if role.bind_secret_id {
        let lives = |found: &SecretId| found.lives(cx.now) && from(&found.cidrs);
        let found = found.filter(lives).ok_or_else(refused)?;
        metadata.clone_from(&found.metadata);
        bound_cidrs.clone_from(&found.token_bound_cidrs);
        found.take_use(&entry, work)?;
    }
    metadata.insert("role_name".to_owned(), name.to_owned());
    let who = SignedIn {
        role: entry_of_role,
        display_name: "approle".to_owned(),
        alias: role_id,
        metadata,
        certificate: None,
        bound_cidrs,
    };
    role.tokens.issue(who, call, work, cx)
}
