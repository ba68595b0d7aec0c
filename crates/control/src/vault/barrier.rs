//! The barrier: between the vault's steps, which see entries open, and the store, which sees them sealed.
//!
//! Each tenant's entries are sealed by a data key of its own, which the key-encryption key wraps. The context of an entry is its tenant and its name: an entry that is
//! moved to another name, or into another tenant's vault, does not open.

use super::VaultFailure;
use super::cache::{Cache, Hand, Since, Writing};
use super::steps::Steps;
use countersign_base::Tenant;
use countersign_keys::envelope::{self, EnvelopeKey, KeyLookup, Sealer};
use countersign_keys::{Aad, DataKey, KeyId, KeyVersion, OpenError, Sealed as Envelope};
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

/// The keys of one tenant's entries. The newest seals; all open.
struct TenantKeys {
    older: HashMap<KeyId, DataKey>,
    newest: DataKey,
}

impl Sealer for TenantKeys {
    fn envelope_key(&self) -> &EnvelopeKey {
        self.newest.envelope_key()
    }
}

impl KeyLookup for TenantKeys {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        let key = match self.older.get(&id) {
            Some(older) => older,
            None => &self.newest,
        };
        key.find(id, version)
    }
}

fn entry_aad(tenant: &Tenant, name: &str) -> Aad {
    Aad::row(tenant, TABLE, "sealed", name.as_bytes())
}

fn key_aad(tenant: &Tenant, key: &[u8]) -> Aad {
    Aad::row(tenant, "vault_keys", "wrapped", key)
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
        let keys = self.of(steps, tenant).await?;
        let mut found = read(steps, tenant, &missing).await?;
        for (name, since) in missing {
            let entry = found
                .remove(name.as_str())
                .map(|stored| open(&keys, tenant, &name, stored))
                .transpose()?;
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
        let keys = self.of(steps, tenant).await?;
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

    /// The keys of a tenant; a tenant that has none gets its first.
    async fn of(&self, steps: &Steps, tenant: &Tenant) -> Result<Arc<TenantKeys>, VaultFailure> {
        if let Some(keys) = self.known(tenant) {
            return Ok(keys);
        }
        let mut rows = {
            let mut connection = steps.store().read().await?;
            vault_keys::all(&mut connection, tenant).await?
        };
        if rows.is_empty() {
            self.make(steps, tenant).await?;
            // Of several nodes that make the first key at once, all keep theirs, and seal with the one that the table names last.
            let mut connection = steps.store().read().await?;
            rows = vault_keys::all(&mut connection, tenant).await?;
        }
        let mut newest = None;
        let mut older = HashMap::new();
        for (id, wrapped) in rows {
            let key = DataKey::unwrap(
                &steps.secrets().keks(),
                &key_aad(tenant, &id),
                &Envelope::from_bytes(wrapped),
            )?;
            if let Some(before) = newest.replace(key) {
                older.insert(before.id(), before);
            }
        }
        let newest = newest.ok_or(VaultFailure::Unsettled)?;
        let keys = Arc::new(TenantKeys { older, newest });
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), Arc::clone(&keys));
        Ok(keys)
    }

    fn known(&self, tenant: &Tenant) -> Option<Arc<TenantKeys>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(tenant).cloned()
    }

    async fn make(&self, steps: &Steps, tenant: &Tenant) -> Result<(), VaultFailure> {
        let key = DataKey::generate(steps.random());
        let id = *key.id().as_bytes();
        let wrapped = key.wrap(
            &steps.secrets().keks(),
            &key_aad(tenant, &id),
            steps.random(),
        )?;
        let (of, now) = (tenant.clone(), steps.clock().now());
        let wrapped = wrapped.into_bytes();
        steps
            .store()
            .write(move |tx| {
                Box::pin(async move { vault_keys::add(tx, &of, id, wrapped, now).await })
            })
            .await?;
        Ok(())
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
