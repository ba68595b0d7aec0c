//! The barrier: between the vault's steps, which see entries open, and the store, which sees them sealed.
//!
//! Each tenant's entries are sealed by data keys of its own, which the key-encryption key wraps; the one of the highest term seals, and counts what it seals before it does.
//! An entry under a key that is not at hand is opened after another look at the table: another process may have made it.
//!
//! The context of an entry is its tenant and its name: an entry that is moved to another name, or into another tenant's vault, does not open.

use super::VaultFailure;
use super::cache::{Cache, Hand, Since, Writing};
use super::data_keys::TenantKeys;
use super::steps::{ATTEMPTS_MAX, Steps};
use crate::rotation::{AskedBy, RotationError};
use countersign_audit::Code;
use countersign_base::Tenant;
use countersign_keys::envelope;
use countersign_keys::seal_count::Reserved;
use countersign_keys::{Aad, OpenError, Sealed as Envelope};
use countersign_store::tables::vault_entries::{self, EntryChange, EntryCommit, StoredEntry};
use countersign_store::tables::vault_keys;
use countersign_vault::entry::{Change, Entry};
use countersign_vault::work::Commit;
use countersign_vault::{EntryName, Loaded, Revision};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const TABLE: &str = "vault_entries";

/// The open keys of the tenants, and entries at hand.
#[derive(Default)]
pub(super) struct Barrier {
    keys: Mutex<HashMap<Tenant, Arc<TenantKeys>>>,
    cache: Arc<Cache>,
}

/// Where an entry belongs.
pub(super) fn entry_aad(tenant: &Tenant, name: &str) -> Aad {
    Aad::row(tenant, TABLE, "sealed", name.as_bytes())
}

impl Barrier {
    /// What a step begins with: what is at hand, where this process alone writes the database.
    pub(super) fn at_hand(&self, steps: &Steps, tenant: &Tenant) -> Loaded {
        if steps.store().is_shared() {
            return Loaded::default();
        }
        Loaded::beside(Arc::new(Hand {
            cache: Arc::clone(&self.cache),
            tenant: tenant.clone(),
        }))
    }

    /// Loads entries and opens them.
    pub(super) async fn load(
        &self,
        steps: &Steps,
        tenant: &Tenant,
        names: Vec<EntryName>,
        loaded: &mut Loaded,
    ) -> Result<(), VaultFailure> {
        // Where others write the database too, what is at hand may be old.
        let alone = !steps.store().is_shared();
        let mut missing: Vec<(EntryName, Option<Since>)> = Vec::new();
        for name in names {
            if !alone {
                missing.push((name, None));
                continue;
            }
            match self.cache.find(tenant, &name) {
                Ok(entry) => loaded.entry(name, entry),
                Err(since) => missing.push((name, Some(since))),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut keys = self.of(steps, tenant).await?;
        let mut found = read(steps, tenant, &missing).await?;
        for (name, since) in missing {
            let entry = match found.remove(name.as_str()) {
                None => None,
                Some(stored) => match open(&keys, tenant, &name, stored.clone()) {
                    // Another process made a key; or an older one went, and the entry was sealed again since it was read.
                    Err(VaultFailure::Opening(OpenError::KeyUnknown { .. })) => {
                        keys = self.read_again(steps, tenant).await?;
                        Some(open(&keys, tenant, &name, stored)?)
                    }
                    opened => Some(opened?),
                },
            };
            if let Some(since) = since {
                self.cache.keep(tenant, &name, since, entry.as_ref());
            }
            loaded.entry(name, entry);
        }
        Ok(())
    }

    /// Seals what is to be committed. What it writes is not at hand until the [`Writing`] is dropped, which is after the commit.
    pub(super) async fn seal(
        &self,
        steps: &Steps,
        tenant: &Tenant,
        commit: Commit,
    ) -> Result<(Writing<'_>, EntryCommit), VaultFailure> {
        let puts = commit.changes.values().filter_map(|change| match change {
            Change::Delete => None,
            Change::Put { value, .. } => Some(value.expose().len()),
        });
        let keys = self.counted(steps, tenant, puts.collect()).await?;
        let written: Vec<_> = commit.changes.keys().cloned().collect();
        let writing = self.cache.write(tenant, &written);
        let read = commit
            .read
            .into_iter()
            .map(|(name, seen)| (name.as_str().to_owned(), seen.map(|Revision(seen)| seen)))
            .collect();
        let sealed = |(name, change): (EntryName, Change)| {
            let change = match change {
                Change::Delete => EntryChange::Delete,
                Change::Put { value, due } => {
                    let aad = entry_aad(tenant, name.as_str());
                    let sealed = envelope::seal(&*keys, &aad, value.expose(), steps.random())?;
                    EntryChange::Put {
                        revision: i64::from_be_bytes(steps.random().bytes()),
                        sealed: sealed.into_bytes(),
                        due,
                    }
                }
            };
            Ok::<_, VaultFailure>((name.as_str().to_owned(), change))
        };
        let changes = commit
            .changes
            .into_iter()
            .map(sealed)
            .collect::<Result<_, _>>()?;
        Ok((writing, EntryCommit { read, changes }))
    }

    /// The keys of a tenant, of which the one that seals may seal values of these lengths.
    async fn counted(
        &self,
        steps: &Steps,
        tenant: &Tenant,
        values: Vec<usize>,
    ) -> Result<Arc<TenantKeys>, VaultFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let keys = self.of(steps, tenant).await?;
            match keys.count_all(steps, tenant, &values).await? {
                Reserved::Granted => return Ok(keys),
                // It has sealed as much as it may, and another one has to follow it first.
                Reserved::Rotate => {
                    let asked = AskedBy::program(Code::of("use"));
                    match steps.rotation().rotate_data(tenant, asked).await {
                        Ok(_) | Err(RotationError::Raced) => {}
                        Err(error) => return Err(error.into()),
                    }
                    self.read_again(steps, tenant).await?;
                }
            }
        }
        Err(VaultFailure::Unsettled)
    }

    /// The keys of a tenant; a tenant that has none gets its first.
    pub(super) async fn of(
        &self,
        steps: &Steps,
        tenant: &Tenant,
    ) -> Result<Arc<TenantKeys>, VaultFailure> {
        if let Some(keys) = self.known(tenant) {
            return Ok(keys);
        }
        if let Some(keys) = self.read(steps, tenant).await? {
            return Ok(keys);
        }
        steps.rotation().first_data_key(tenant).await?;
        // Of several nodes that make the first key at once, all keep theirs, and seal with the one that the table names last.
        self.read_again(steps, tenant).await
    }

    /// The keys as the table has them now.
    pub(super) async fn read_again(
        &self,
        steps: &Steps,
        tenant: &Tenant,
    ) -> Result<Arc<TenantKeys>, VaultFailure> {
        let keys = self.read(steps, tenant).await?;
        keys.ok_or(VaultFailure::Unsettled)
    }

    /// The keys as the table has them, if there are any.
    pub(super) async fn read(
        &self,
        steps: &Steps,
        tenant: &Tenant,
    ) -> Result<Option<Arc<TenantKeys>>, VaultFailure> {
        let mut connection = steps.store().read().await?;
        let rows = vault_keys::all(&mut connection, tenant).await?;
        drop(connection);
        let known = self.known(tenant);
        if let Some(known) = known.filter(|known| known.is_of(&rows)) {
            return Ok(Some(known));
        }
        let opened = match TenantKeys::open(steps, tenant, rows.clone()) {
            // A version of the key-encryption key that another process made: it is read, and the key tried once more.
            Err(VaultFailure::Opening(error @ OpenError::KeyUnknown { .. })) => {
                let now = steps.clock().now();
                let refreshed = steps.secrets().refresh(steps.store(), now).await;
                refreshed.map_err(|_| error)?;
                TenantKeys::open(steps, tenant, rows)?
            }
            opened => opened?,
        };
        let Some(keys) = opened else { return Ok(None) };
        let keys = Arc::new(keys);
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), Arc::clone(&keys));
        Ok(Some(keys))
    }

    pub(super) fn known(&self, tenant: &Tenant) -> Option<Arc<TenantKeys>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(tenant).cloned()
    }
}

/// What stands under these names.
async fn read(
    steps: &Steps,
    tenant: &Tenant,
    names: &[(EntryName, Option<Since>)],
) -> Result<HashMap<String, StoredEntry>, VaultFailure> {
    let mut connection = steps.store().read().await?;
    if let [(name, _)] = names {
        let found = vault_entries::find(&mut connection, tenant, name.as_str()).await?;
        let named = |stored| (name.as_str().to_owned(), stored);
        return Ok(found.map(named).into_iter().collect());
    }
    let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
    let found = vault_entries::find_all(&mut connection, tenant, &names).await?;
    Ok(found.into_iter().collect())
}

fn open(
    keys: &TenantKeys,
    tenant: &Tenant,
    name: &EntryName,
    stored: StoredEntry,
) -> Result<Entry, VaultFailure> {
    let aad = entry_aad(tenant, name.as_str());
    let value = envelope::open(keys, &aad, &Envelope::from_bytes(stored.sealed))?;
    Ok(Entry::new(Revision(stored.revision), value))
}
