//! Entries whose time has come: leases that end, passwords that rotate, trees of tokens that are being taken down.
//!
//! Each is one step with its effects, as a call is, and is committed as one; a process that ends in between leaves the entry due. Of several nodes any may take an
//! entry: of two at once, the commit of one finds that the entry has changed.

use super::quorum::Asking;
use super::{Vault, VaultFailure};
use countersign_base::{Duration, Tenant};
use countersign_store::tables::vault_entries;
use countersign_vault::{EntryName, Outcome, engine};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Weak};
use tokio::task::JoinSet;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// Entries of one look; what is left comes at once.
const BATCH: u32 = 256;
/// Parts of a tenant's entries that are looked at together.
const PARTS: usize = 8;
/// Steps that follow one entry's effects.
const EFFECTS_MAX: usize = 16;

/// Looks for as long as the vault is there.
pub(super) async fn keep(vault: Weak<Vault>) {
    loop {
        let Some(vault) = vault.upgrade() else { return };
        let more = match vault.look().await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(event = "vault_due_failed", %error);
                false
            }
        };
        drop(vault);
        if !more {
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Vault {
    /// Looks at what is due; whether as many were due as are looked at in one go, and all of them moved on.
    pub(crate) async fn look(self: &Arc<Self>) -> Result<bool, VaultFailure> {
        let now = self.fabric.now();
        let due = {
            let mut connection = self.fabric.store().read().await?;
            vault_entries::due(&mut connection, now, BATCH).await?
        };
        let full = u32::try_from(due.len()).is_ok_and(|count| count >= BATCH);
        // A database that does not answer holds a part of its own tenant's entries up, and nobody else's.
        let mut parts: BTreeMap<(Tenant, usize), Vec<EntryName>> = BTreeMap::new();
        for (number, (tenant, name)) in due.into_iter().enumerate() {
            let part = parts.entry((tenant, number % PARTS)).or_default();
            part.push(EntryName::stored(&name));
        }
        let mut looks = JoinSet::new();
        for ((tenant, _), names) in parts {
            let vault = Arc::clone(self);
            looks.spawn(async move { vault.look_at_all(&tenant, &names).await });
        }
        let mut moved = true;
        while let Some(look) = looks.join_next().await {
            moved &= look.unwrap_or(false);
        }
        Ok(full && moved)
    }

    /// Looks at entries of one tenant; whether all of them moved on.
    async fn look_at_all(&self, tenant: &Tenant, names: &[EntryName]) -> bool {
        let mut moved = true;
        for name in names {
            if let Err(error) = self.look_at(tenant, name).await {
                moved = false;
                tracing::warn!(event = "vault_entry_stays_due", %tenant, entry = %name, %error);
            }
        }
        moved
    }

    async fn look_at(&self, tenant: &Tenant, name: &EntryName) -> Result<(), VaultFailure> {
        let mut outcome = self
            .steps
            .internally(tenant, |work, cx| engine::due(name, work, cx))
            .await?;
        let asking = Asking {
            from: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            request: self.fabric.random().request_id(),
        };
        for _ in 0..EFFECTS_MAX {
            let then = match outcome {
                Outcome::Done(_) => return Ok(()),
                Outcome::Then(then) => *then,
            };
            let result = self.carry_out(tenant, then.effect, asking).await;
            outcome = self
                .steps
                .internally(tenant, |work, cx| {
                    engine::resume(&then.next, &result, work, cx)
                })
                .await?;
        }
        Err(VaultFailure::Unsettled)
    }
}
