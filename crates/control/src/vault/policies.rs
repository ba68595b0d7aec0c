//! What decides about a tenant's vault: the configuration's policies, and the vault's own ACL policies as the Cedar policies that they become.
//!
//! The set is made anew when either changes: the configuration's by their digest, the vault's by an entry that every change of a policy writes.

use super::turns::at_length;
use super::{Vault, VaultFailure};
use countersign_base::Tenant;
use countersign_policy::{Digest, PolicySet};
use countersign_vault::acl;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The sets of the tenants.
#[derive(Default)]
pub(super) struct Policies {
    made: Mutex<HashMap<Tenant, Made>>,
    making: Mutex<HashMap<Tenant, Arc<tokio::sync::Mutex<()>>>>,
}

struct Made {
    configured: Digest,
    written: acl::Policies,
    set: Arc<PolicySet>,
}

impl Policies {
    /// The set of this moment.
    pub(super) async fn of(
        &self,
        vault: &Vault,
        tenant: &Tenant,
    ) -> Result<Arc<PolicySet>, VaultFailure> {
        let configured = vault.fabric.policies();
        let written = vault
            .steps
            .internally(tenant, |work, _| acl::Policies::read(work))
            .await?;
        if let Some(set) = self.made(tenant, configured.digest(), &written) {
            return Ok(set);
        }
        // One makes the set, and whoever asks meanwhile waits for that one.
        let making = self.making(tenant);
        let _alone = making.lock().await;
        let (written, translated) = vault
            .steps
            .internally(tenant, |work, cx| {
                Ok((
                    acl::Policies::read(work)?,
                    acl::translated(cx.tenant, work)?,
                ))
            })
            .await?;
        if let Some(set) = self.made(tenant, configured.digest(), &written) {
            return Ok(set);
        }
        let set = Arc::new(at_length(|| configured.with(&translated))?);
        let made = Made {
            configured: *configured.digest(),
            written,
            set: Arc::clone(&set),
        };
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), made);
        Ok(set)
    }

    fn making(&self, tenant: &Tenant) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(making.entry(tenant.clone()).or_default())
    }

    fn made(
        &self,
        tenant: &Tenant,
        configured: &Digest,
        written: &acl::Policies,
    ) -> Option<Arc<PolicySet>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(tenant)
            .filter(|made| made.configured == *configured && made.written == *written)
            .map(|made| Arc::clone(&made.set))
    }
}
