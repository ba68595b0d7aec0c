//! The data keys of tenants' vaults: opened, counted, followed by another one by age and by use, and what older ones sealed sealed again.
//!
//! What is sealed again is found by the key that its envelope names, so nothing has to be remembered: a process that stops anywhere goes on at what is left. An entry is
//! written only if it is still what was read, and an older key goes in a transaction that finds nothing under it, no sooner than older versions of the key-encryption
//! key go.
//!
//! Not here: making a key ([`crate::rotation`]), and what stands in an entry.

use super::barrier::entry_aad;
use super::steps::Steps;
use super::{Vault, VaultFailure};
use crate::rotation::{AskedBy, Rotation, RotationError, data_key_aad};
use countersign_audit::Code;
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_keys::envelope::{self, EnvelopeKey, KeyLookup, Sealer};
use countersign_keys::seal_count::{Counted, Reserved, SealCount, SealCounter};
use countersign_keys::{DataKey, KeyId, KeyVersion, OpenError, Sealed};
use countersign_store::tables::vault_keys::{self, Resealed, VaultKeyRow};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, Weak};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// Entries that one unit seals again.
const PAGE: u16 = 100;
/// Units of one look at one tenant.
const PAGES_PER_LOOK: usize = 20;
/// How long after a walk that found nothing it is looked again, as long as an older key is there.
const CLEAN_FOR: Duration = Duration::from_secs(60);

/// The keys of one tenant's entries. The newest seals; all open.
pub(super) struct TenantKeys {
    older: HashMap<KeyId, DataKey>,
    newest: DataKey,
    rows: Vec<(Vec<u8>, u64)>,
    created: UnixTime,
    counter: Mutex<SealCounter>,
    /// What was taken of its limits, as far as this process knows.
    taken: Mutex<SealCount>,
    walk: Mutex<Walk>,
}

/// How far what older keys sealed is sealed again.
#[derive(Debug, Clone)]
enum Walk {
    /// The last walk found nothing, at that time.
    Clean(UnixTime),
    /// Under way, after this name; how many were found in this walk.
    Walking(String, u64),
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

impl TenantKeys {
    /// Opens what is stored, if anything is.
    pub(super) fn open(
        steps: &Steps,
        tenant: &Tenant,
        rows: Vec<VaultKeyRow>,
    ) -> Result<Option<Self>, VaultFailure> {
        let keks = steps.secrets().keks();
        let named = names(&rows);
        let last = rows.last().map(|row| (row.created, row.taken));
        let (mut newest, mut older) = (None, HashMap::new());
        for row in rows {
            let sealed = Sealed::from_bytes(row.wrapped);
            let key = DataKey::unwrap(&keks, &data_key_aad(tenant, &row.key), &sealed)?;
            if let Some(before) = newest.replace(key) {
                older.insert(before.id(), before);
            }
        }
        let opened = newest.zip(last).map(|(newest, (created, taken))| Self {
            older,
            newest,
            rows: named,
            created,
            counter: Mutex::new(SealCounter::new(steps.rotation().options().seal_limits)),
            taken: Mutex::new(taken),
            walk: Mutex::new(Walk::Walking(String::new(), 0)),
        });
        Ok(opened)
    }

    /// Whether these are the keys of the table.
    pub(super) fn is_of(&self, rows: &[VaultKeyRow]) -> bool {
        self.rows == names(rows)
    }

    /// Counts values of these lengths before they are sealed.
    pub(super) async fn count_all(
        &self,
        steps: &Steps,
        tenant: &Tenant,
        values: &[usize],
    ) -> Result<Reserved, VaultFailure> {
        for value in values {
            let bytes = u64::try_from(*value).unwrap_or(u64::MAX);
            loop {
                let block = match self.counter().count(bytes) {
                    Counted::Granted => break,
                    Counted::Reserve(block) => block,
                };
                let id = *self.newest.id().as_bytes();
                let taken = steps.store().take_seals(tenant, id, block).await?;
                *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
                match self.counter().reserved(block, taken) {
                    Reserved::Granted => {}
                    Reserved::Rotate => return Ok(Reserved::Rotate),
                }
            }
        }
        Ok(Reserved::Granted)
    }

    fn counter(&self) -> std::sync::MutexGuard<'_, SealCounter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walk(&self) -> Walk {
        let walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
        walk.clone()
    }

    fn walked(&self, to: Walk) {
        *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Seals a page again, and moves the walk on; whether more follows at once.
    async fn page(
        &self,
        steps: &Steps,
        tenant: &Tenant,
        now: UnixTime,
    ) -> Result<bool, VaultFailure> {
        let (after, found) = match self.walk() {
            Walk::Clean(at) if now < at.plus(CLEAN_FOR) => return Ok(false),
            Walk::Clean(_) => (String::new(), 0),
            Walk::Walking(after, found) => (after, found),
        };
        let newest = self.newest.id();
        let mut connection = steps.store().read().await?;
        let page =
            vault_keys::older(&mut connection, tenant, &after, newest.as_bytes(), PAGE).await?;
        drop(connection);
        let ended = page.len() < usize::from(PAGE);
        let last = page.last().map(|(name, _)| name.clone());
        let mut resealed = Vec::with_capacity(page.len());
        for (name, old) in page {
            let (aad, sealed) = (entry_aad(tenant, &name), Sealed::from_bytes(old.clone()));
            match envelope::rewrap(self, &aad, &sealed, steps.random()) {
                Ok(new) => resealed.push(Resealed {
                    name,
                    old,
                    new: new.into_bytes(),
                }),
                // It is left as it is, and keeps its key from going.
                Err(error) => {
                    tracing::error!(event = "vault_entry_unreadable", %tenant, entry = name, %error);
                }
            }
        }
        let values = resealed
            .iter()
            .map(|entry| entry.new.len())
            .collect::<Vec<_>>();
        match self.count_all(steps, tenant, &values).await? {
            Reserved::Granted => {}
            Reserved::Rotate => return Ok(false),
        }
        // What does not open is no reason to walk again at once.
        let count = u64::try_from(resealed.len()).unwrap_or(u64::MAX);
        steps.store().reseal_entries(tenant, resealed).await?;
        let found = found.saturating_add(count);
        self.walked(match (ended, found, last) {
            (true, 0, _) => Walk::Clean(now),
            (true, _, _) | (false, _, None) => Walk::Walking(String::new(), 0),
            (false, found, Some(last)) => Walk::Walking(last, found),
        });
        Ok(count > 0)
    }
}

fn names(rows: &[VaultKeyRow]) -> Vec<(Vec<u8>, u64)> {
    rows.iter().map(|row| (row.key.clone(), row.term)).collect()
}

/// Looks for as long as the vault is there.
pub(super) async fn keep(vault: Weak<Vault>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(vault) = vault.upgrade() else { return };
        for tenant in vault.fabric.directory().tenants() {
            if let Err(error) = vault.look_at_keys(&tenant.name).await {
                tracing::warn!(event = "data_keys_not_looked_at", tenant = %tenant.name, %error);
            }
        }
    }
}

impl Vault {
    /// Looks at a tenant's data keys: those that another process made, whether another one is due, and what is under older ones.
    #[doc(hidden)]
    pub async fn look_at_keys(&self, tenant: &Tenant) -> Result<(), VaultFailure> {
        let (steps, now) = (&self.steps, self.fabric.now());
        let known = steps.barrier().known(tenant);
        // Where no other process makes keys, what is at hand is what there is but for what followed here.
        let stands = !steps.store().is_shared() && !self.fabric.rotation().has_followed(tenant);
        let keys = match known {
            Some(known) if stands => Some(known),
            Some(_) | None => steps.barrier().read(steps, tenant).await?,
        };
        let Some(mut keys) = keys else { return Ok(()) };
        let rotation = self.fabric.rotation();
        if let Some(reason) = due(&keys, rotation, now) {
            match rotation.rotate_data(tenant, AskedBy::program(reason)).await {
                Ok(_) | Err(RotationError::Raced) => {}
                Err(error) => return Err(error.into()),
            }
            keys = steps.barrier().read_again(steps, tenant).await?;
        }
        if keys.older.is_empty() {
            return Ok(());
        }
        for _ in 0..PAGES_PER_LOOK {
            if !keys.page(steps, tenant, now).await? {
                break;
            }
        }
        let stays = rotation.options().destroy_after();
        if matches!(keys.walk(), Walk::Clean(_)) && now >= keys.created.plus(stays) {
            let older = keys.older.keys().map(|id| id.as_bytes().to_vec());
            let term = keys.rows.last().map_or(0, |(_, term)| *term);
            rotation
                .destroy_data_keys(tenant, older.collect(), term)
                .await?;
            steps.barrier().read_again(steps, tenant).await?;
        }
        Ok(())
    }

    /// Another key for the tenant's entries, asked for through the vault itself.
    pub(super) async fn rotate_data_key(&self, tenant: &Tenant) -> Result<(), VaultFailure> {
        let asked = AskedBy::program(Code::of("demand"));
        self.fabric.rotation().rotate_data(tenant, asked).await?;
        self.steps.barrier().read_again(&self.steps, tenant).await?;
        Ok(())
    }
}

/// Why another key has to follow, if one has to.
fn due(keys: &TenantKeys, rotation: &Rotation, now: UnixTime) -> Option<Code> {
    let options = rotation.options();
    let taken = *keys.taken.lock().unwrap_or_else(PoisonError::into_inner);
    if options.seal_limits.is_due(taken) {
        return Some(Code::of("use"));
    }
    let old = now.since(keys.created) >= options.data_key_every;
    old.then(|| Code::of("age"))
}
