//! Rotation of the keys that encrypt, while everything runs: a new version seals, older ones open, and what they sealed is sealed again in the background.
//!
//! The key-encryption key: [`Rotation::rotate_key_encryption`] stores a version, and each node reads it within a second; where several share the database it seals a few seconds
//! later, when all of them know it. From then on [`Rotation::turn`] walks what older versions sealed, of all nodes one at a time, and destroys them once nothing names them
//! and the time for late writers is over ([`countersign_store`] holds the state and says what a stop in between leaves: nothing to repair).
//!
//! The data keys of tenants: another key follows the one that seals; the vault seals again what is under older ones ([`crate::vault`]). The root key: another one wraps every
//! version of the key-encryption key in one transaction; its file waits beside the one in use until that is committed ([`crate::root`]).
//!
//! Not here: signing keys ([`crate::keyring`]), and what a vault's own engines rotate.

use crate::secrets::{Secrets, SecretsError};
use countersign_audit::event::{Actor, KeyRotationBegan, KeyRotationEnded};
use countersign_audit::{Code, Count, Event, Record};
use countersign_base::{Clock, Duration, RequestId, Tenant, UnixTime};
use countersign_keys::envelope::SealError;
use countersign_keys::rewrap::RewrapProgress;
use countersign_keys::seal_count::SealLimits;
use countersign_keys::{Aad, DataKey, KeyVersion};
use countersign_store::tables::vault_keys::{self, NewVaultKey, VaultKeyRow};
use countersign_store::{
    Finished, KekProgress, KeksDestroyed, RewrapTurn, Store, StoreError, kek_status,
};
use countersign_vault::work::DataKeyStatus;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Pages of one turn: with the rows of a page, ten thousand rows a second at most.
const PAGES_PER_TURN: usize = 50;
/// The shortest time for which older versions stay: what was sealed before a rotation is committed by then.
pub const DESTROY_AFTER_MIN: Duration = Duration::from_secs(60);

/// How keys that encrypt are changed.
#[derive(Debug, Clone, Copy)]
pub struct HierarchyOptions {
    /// How long an older version of the key-encryption key stays after nothing is left under it.
    pub destroy_after: Duration,
    /// How long a data key of a tenant seals before another one follows it.
    pub data_key_every: Duration,
    /// How much it seals before another one follows it.
    pub seal_limits: SealLimits,
}

impl Default for HierarchyOptions {
    /// A day, ninety days, and what auditors ask for.
    fn default() -> Self {
        Self {
            destroy_after: Duration::from_secs(86_400),
            data_key_every: Duration::from_secs(90 * 86_400),
            seal_limits: SealLimits::default(),
        }
    }
}

impl HierarchyOptions {
    /// How long an older key stays: at least as long as what was begun under it may take.
    #[must_use]
    pub fn destroy_after(&self) -> Duration {
        self.destroy_after.max(DESTROY_AFTER_MIN)
    }
}

/// Why a key is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Another node rotates at this moment.
    #[error("another rotation began at the same moment")]
    Raced,
    /// The root key is not this process's to change.
    #[error(
        "the root key is held by the operators of the seal: it changes with their shares alone"
    )]
    HeldByOperators,
    /// A key cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The tenant's vault has no key yet.
    #[error("the tenant has no data key yet")]
    NoDataKey,
    /// The hierarchy.
    #[error(transparent)]
    Secrets(SecretsError),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// There are as many versions as may be.
    #[error("there are as many versions as may be: wait until older ones are destroyed")]
    VersionsMax,
}

impl From<SecretsError> for RotationError {
    fn from(error: SecretsError) -> Self {
        match error {
            SecretsError::HeldByOperators => Self::HeldByOperators,
            SecretsError::Store(error) => error.into(),
            other => Self::Secrets(other),
        }
    }
}

impl From<StoreError> for RotationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(..) | StoreError::Superseded(_) => Self::Raced,
            StoreError::Full(_) => Self::VersionsMax,
            other => Self::Store(other),
        }
    }
}

/// One version of the key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekVersion {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub created: UnixTime,
}

/// Where the key-encryption key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekStatus {
    /// The versions that there are, oldest first.
    pub versions: Vec<KekVersion>,
    /// The one that this process seals by.
    pub sealing: u32,
    /// What is under way.
    pub under_way: UnderWay,
    /// The last rotation that came to its end.
    pub finished: Option<Finished>,
}

/// What of a rotation is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnderWay {
    /// Nothing.
    Nothing,
    /// Everything is under the newest version; older ones are destroyed at that time.
    Waiting(UnixTime),
    /// What older versions sealed is sealed again.
    Rewrapping(RewrapProgress),
}

/// Who asks for a rotation, and in which request.
#[derive(Debug, Clone)]
pub struct AskedBy {
    /// Who.
    pub by: Actor,
    /// In which request.
    pub request: Option<RequestId>,
    /// Why (`demand`, `age`, `use`).
    pub reason: Code,
}

impl AskedBy {
    /// The program itself, for a reason of its own.
    #[must_use]
    pub const fn program(reason: Code) -> Self {
        Self {
            by: Actor::System,
            request: None,
            reason,
        }
    }
}

/// Where the data keys of a tenant stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKeysStatus {
    /// The keys that there are; the one that seals last.
    pub keys: Vec<VaultKeyRow>,
    /// Entries under older ones.
    pub left: u64,
}

/// Where a data key belongs.
pub(crate) fn data_key_aad(tenant: &Tenant, key: &[u8]) -> Aad {
    Aad::row(tenant, "vault_keys", "wrapped", key)
}

/// The rotation of a running process.
pub struct Rotation {
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    options: HierarchyOptions,
    /// Tenants whose data key was followed by another one here, until their vault has looked.
    followed: Mutex<BTreeSet<Tenant>>,
}

impl Rotation {
    pub(crate) const fn new(
        store: Store,
        secrets: Arc<Secrets>,
        clock: Clock,
        options: HierarchyOptions,
    ) -> Self {
        Self {
            store,
            secrets,
            clock,
            options,
            followed: Mutex::new(BTreeSet::new()),
        }
    }

    /// Whether another data key followed in this tenant since it was asked last.
    pub(crate) fn has_followed(&self, tenant: &Tenant) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.remove(tenant)
    }

    /// How keys are changed.
    #[must_use]
    pub const fn options(&self) -> &HierarchyOptions {
        &self.options
    }

    fn event(
        &self,
        tenant: &Tenant,
        request: Option<RequestId>,
        event: impl Into<Event>,
    ) -> Record {
        Record {
            id: self.secrets.random().event_id(),
            time: self.clock.millis(),
            tenant: tenant.clone(),
            request,
            event: event.into(),
        }
    }

    fn began(&self, tenant: &Tenant, asked: AskedBy, key: &'static str, version: u64) -> Record {
        let began = KeyRotationBegan {
            by: asked.by,
            key: Code::of(key),
            reason: asked.reason,
            version: Count::of(version),
        };
        self.event(tenant, asked.request, began)
    }

    fn ended(
        &self,
        tenant: &Tenant,
        key: &'static str,
        version: u64,
        counts: (u64, usize),
    ) -> Record {
        let (rewrapped, destroyed) = counts;
        let ended = KeyRotationEnded {
            destroyed: Count::of(u64::try_from(destroyed).unwrap_or(u64::MAX)),
            key: Code::of(key),
            rewrapped: Count::of(rewrapped),
            version: Count::of(version),
        };
        self.event(tenant, None, ended)
    }

    /// Makes a version of the key-encryption key, and begins to seal again under it what older ones sealed; its number. When this returns it is durable, and this process
    /// goes on to it as soon as every other one knows it.
    ///
    /// # Errors
    /// When another node was first, there are too many versions, or the store fails: then nothing happened.
    pub async fn rotate_key_encryption(&self, asked: AskedBy) -> Result<u32, RotationError> {
        let now = self.clock.now();
        let row = self.secrets.next_version(&self.store, now).await?;
        let version = row.version;
        let tenant = Tenant::default_tenant();
        let event = self.began(&tenant, asked, "key-encryption", u64::from(version));
        let id = self.secrets.keks().current().id();
        self.store.begin_kek_rotation(id, row, event).await?;
        self.secrets.refresh(&self.store, now).await?;
        tracing::info!(event = "key_encryption_key_rotated", version);
        Ok(version)
    }

    /// Where the key-encryption key stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn key_encryption(&self) -> Result<KekStatus, StoreError> {
        let mut connection = self.store.read().await?;
        let (rows, progress, finished) = kek_status(&mut connection).await?;
        let version = |row: countersign_store::tables::keks::KekRow| KekVersion {
            version: row.version,
            created: row.created,
        };
        Ok(KekStatus {
            versions: rows.into_iter().map(version).collect(),
            sealing: self.secrets.keks().current().version().0,
            under_way: match progress {
                KekProgress::Idle => UnderWay::Nothing,
                KekProgress::Waiting(_version, at) => UnderWay::Waiting(at),
                KekProgress::Walking(_version, progress) => UnderWay::Rewrapping(progress),
            },
            finished,
        })
    }

    /// Reads versions that another node made, and carries a rewrap on for a bounded number of pages.
    ///
    /// # Errors
    /// When the store fails; the next turn goes on from there.
    pub async fn turn(&self) -> Result<(), RotationError> {
        let now = self.clock.now();
        self.secrets.refresh(&self.store, now).await?;
        for _ in 0..PAGES_PER_TURN {
            match self.page(now).await? {
                RewrapTurn::More => {}
                RewrapTurn::Blocked(unreadable) => {
                    tracing::error!(event = "rewrap_blocked", unreadable);
                    return Ok(());
                }
                RewrapTurn::Walked(KeyVersion(version)) => {
                    tracing::info!(event = "rewrap_walked", version);
                    return Ok(());
                }
                RewrapTurn::Due(_version) => return self.destroy(now).await,
                RewrapTurn::Busy | RewrapTurn::Idle => return Ok(()),
            }
        }
        Ok(())
    }

    /// One page of the rewrap: for tests that stop between two.
    #[doc(hidden)]
    pub async fn page(&self, now: UnixTime) -> Result<RewrapTurn, StoreError> {
        self.store
            .rewrap_page(
                self.secrets.keks(),
                self.secrets.random().clone(),
                self.options.destroy_after(),
                now,
            )
            .await
    }

    async fn destroy(&self, now: UnixTime) -> Result<(), RotationError> {
        let (id, time) = (self.secrets.random().event_id(), self.clock.millis());
        let event = move |finished: Finished, destroyed: usize| Record {
            id,
            time,
            tenant: Tenant::default_tenant(),
            request: None,
            event: KeyRotationEnded {
                destroyed: Count::of(u64::try_from(destroyed).unwrap_or(u64::MAX)),
                key: Code::of("key-encryption"),
                rewrapped: Count::of(finished.rewrapped),
                version: Count::of(u64::from(finished.version.0)),
            }
            .into(),
        };
        let id = self.secrets.keks().current().id();
        match self.store.destroy_keks(id, event, now).await? {
            KeksDestroyed::Not => {}
            KeksDestroyed::Named(table) => {
                tracing::warn!(event = "older_key_still_named", table);
            }
            KeksDestroyed::Gone(versions) => {
                tracing::info!(event = "older_keys_destroyed", ?versions);
                self.secrets.refresh(&self.store, now).await?;
            }
        }
        Ok(())
    }

    /// The first data key of a tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn first_data_key(&self, tenant: &Tenant) -> Result<(), RotationError> {
        let (new, of) = (self.new_data_key(tenant, 1)?, tenant.clone());
        self.store
            .write(move |tx| Box::pin(async move { vault_keys::add(tx, &of, new).await }))
            .await?;
        Ok(())
    }

    /// Lets another data key follow the one that seals a tenant's entries; the how-manieth it is. What older ones sealed is sealed again in the background.
    ///
    /// # Errors
    /// When another process was first, or the store fails: then nothing happened.
    pub async fn rotate_data(&self, tenant: &Tenant, asked: AskedBy) -> Result<u64, RotationError> {
        let mut connection = self.store.read().await?;
        let newest = vault_keys::all(&mut connection, tenant).await?.pop();
        drop(connection);
        // Where nothing was sealed yet, the first key is as good as another one.
        let Some(newest) = newest else {
            self.first_data_key(tenant).await?;
            return Ok(1);
        };
        let term = newest.term.saturating_add(1);
        let event = self.began(tenant, asked, "data", term);
        let new = self.new_data_key(tenant, term)?;
        self.store
            .follow_vault_key(tenant, newest.key, new, event)
            .await?;
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.insert(tenant.clone());
        drop(followed);
        tracing::info!(event = "data_key_rotated", %tenant, term);
        Ok(term)
    }

    fn new_data_key(&self, tenant: &Tenant, term: u64) -> Result<NewVaultKey, RotationError> {
        let random = self.secrets.random();
        let key = DataKey::generate(random);
        let id = *key.id().as_bytes();
        let aad = data_key_aad(tenant, &id);
        Ok(NewVaultKey {
            key: id,
            wrapped: key.wrap(&self.secrets.keks(), &aad, random)?.into_bytes(),
            created: self.clock.now(),
            term,
        })
    }

    /// The data key that seals a tenant's entries.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn data_key(&self, tenant: &Tenant) -> Result<DataKeyStatus, RotationError> {
        let mut connection = self.store.read().await?;
        let newest = vault_keys::all(&mut connection, tenant).await?.pop();
        let newest = newest.ok_or(RotationError::NoDataKey)?;
        Ok(DataKeyStatus {
            term: newest.term,
            created: newest.created,
            encryptions: newest.taken.messages,
        })
    }

    /// Where the data keys of a tenant stand.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn data_keys(&self, tenant: &Tenant) -> Result<DataKeysStatus, StoreError> {
        let mut connection = self.store.read().await?;
        let keys = vault_keys::all(&mut connection, tenant).await?;
        let left = match keys.as_slice() {
            [] | [_] => 0,
            [.., newest] => vault_keys::count_older(&mut connection, tenant, &newest.key).await?,
        };
        Ok(DataKeysStatus { keys, left })
    }

    /// Destroys data keys under which nothing is; how many.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn destroy_data_keys(
        &self,
        tenant: &Tenant,
        older: Vec<Vec<u8>>,
        term: u64,
    ) -> Result<usize, RotationError> {
        let event = self.ended(tenant, "data", term, (0, older.len()));
        let destroyed = self.store.destroy_vault_keys(tenant, older, event).await?;
        Ok(destroyed)
    }

    /// Puts every version of the key-encryption key under another root key. Data is not touched. When this returns, the old file or its parameters are gone from the data
    /// directory, and other nodes need the new one at their next start.
    ///
    /// # Errors
    /// When operators hold what is above the root key, a version of the key-encryption key was added meanwhile, or a file or the store fails. The installation opens at its
    /// next start whatever it was: see [`crate::root`].
    pub async fn rotate_root(&self, asked: AskedBy) -> Result<(), RotationError> {
        let tenant = Tenant::default_tenant();
        let event = self.began(&tenant, asked, "root", 0);
        self.secrets.change_root(&self.store, event).await?;
        tracing::info!(event = "root_key_rotated");
        Ok(())
    }
}
