//! The opened key-encryption keys and what is derived from them: keyed hashes of handles, of secrets and of nonces, and sealed values of the installation.
//!
//! Versions come and go while it is open ([`crate::rotation`]). A version that is new is known to every process before one seals by it, where several share the database;
//! whatever names a version that is not known here does not open, and the versions are read anew within a second.

use crate::root::{RootError, RootSource};
use arc_swap::ArcSwap;
use countersign_audit::Record;
use countersign_base::{Duration, Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, SealError};
use countersign_keys::hierarchy::KekSetError;
use countersign_keys::{Aad, Kek, KekSet, KeyVersion, OpenError, RootKey, Sealed};
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::{HandleHash, Kind, Store, StoreError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Why the key hierarchy cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The store holds keys that the root key does not open.
    #[error(
        "the root key does not open this store: {0}; bring back the key or passphrase that it was made with"
    )]
    AnotherRoot(OpenError),
    /// Operators hold what is above the root key.
    #[error("the root key is held by operators")]
    HeldByOperators,
    /// The versions contradict each other.
    #[error("the stored key-encryption keys cannot be used: {0}")]
    Keks(#[from] KekSetError),
    /// The store was used before, but its root key is gone.
    #[error("the store is sealed, and `{}` is not there; bring it back from your backup", .0.display())]
    RootMissing(PathBuf),
    /// The root key itself.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A key cannot be sealed.
    #[error("a key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long a new version is known before it seals, where several processes share the database: each reads the versions every second.
pub const KNOWN_BEFORE_IT_SEALS: Duration = Duration::from_secs(5);

/// The hierarchy, open.
pub struct Secrets {
    keks: ArcSwap<KekSet>,
    /// The rows that the set was opened from, by version and time.
    opened: Mutex<Vec<(u32, UnixTime)>>,
    root: ArcSwap<RootKey>,
    /// Where the root key came from, for another one.
    source: RootKept,
    /// Held while the root key changes: the file of the next one is one.
    changing: tokio::sync::Mutex<()>,
    derived: DerivedKeys,
    random: Random,
}

/// Keys of keyed hashes that were derived before. They follow from two names and from what all versions of the key-encryption key share: what
/// is kept can never be old. Several are asked for by every request, and deriving one costs more than using it.
#[derive(Default)]
struct DerivedKeys(RwLock<HashMap<Tenant, HashMap<&'static str, MacKey>>>);

/// Tenants whose derived keys are kept; past it all are derived anew.
const DERIVED_TENANTS_MAX: usize = 10_000;

impl DerivedKeys {
    fn of(&self, tenant: &Tenant, purpose: &'static str, keks: &KekSet) -> MacKey {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(tenant).and_then(|keys| keys.get(purpose)) {
            return key.clone();
        }
        drop(known);
        let key = keks.tenant_mac_key(tenant, purpose);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DERIVED_TENANTS_MAX {
            known.clear();
        }
        known
            .entry(tenant.clone())
            .or_default()
            .insert(purpose, key.clone());
        key
    }
}

impl Secrets {
    /// Opens the hierarchy with the root key; at the first start, makes both.
    ///
    /// # Errors
    /// When the root key is missing or another than the store's, or the store fails.
    pub async fn open(
        store: &Store,
        root: &RootSource,
        data: &Path,
        cost: Cost,
        random: &Random,
        now: UnixTime,
    ) -> Result<Self, SecretsError> {
        let mut connection = store.read().await?;
        let rows = keks::all(&mut connection).await?;
        drop(connection);
        let opened = root.open_that(data, |key| opens(key, &rows))?;
        let (key, rows) = match (rows.is_empty(), opened) {
            (false, None) => return Err(SecretsError::RootMissing(root.place(data))),
            (false, Some(key)) => (key, rows),
            (true, opened) => {
                // A crash between the file and the row leaves a root key that seals nothing yet: it is taken up.
                let key = match opened {
                    Some(key) => key,
                    None => root.create(data, cost, random)?,
                };
                let row = KekRow {
                    version: 1,
                    wrapped: KekSet::generate(random)
                        .current()
                        .wrap(&key, random)?
                        .into_bytes(),
                    created: now,
                };
                let first = row.clone();
                store
                    .write(move |tx| Box::pin(async move { keks::add(tx, &first).await }))
                    .await?;
                (key, vec![row])
            }
        };
        let keks = opened_set(&key, &rows, wait(store), now)?;
        Ok(Self {
            keks: ArcSwap::from_pointee(keks),
            opened: Mutex::new(named(&rows)),
            root: ArcSwap::new(key),
            source: RootKept::of(root, data, cost),
            changing: tokio::sync::Mutex::default(),
            derived: DerivedKeys::default(),
            random: random.clone(),
        })
    }

    /// Reads the versions anew, if there are others than before or one may seal by now.
    ///
    /// # Errors
    /// When the store fails, or a version does not open; then the set stays as it was.
    pub async fn refresh(&self, store: &Store, now: UnixTime) -> Result<(), SecretsError> {
        let mut connection = store.read().await?;
        let rows = keks::all(&mut connection).await?;
        drop(connection);
        let present = self.keks.load();
        let known = {
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            *opened == named(&rows)
        };
        if known && sealing(&rows, wait(store), now) == Some(present.current().version()) {
            return Ok(());
        }
        let opened = opened_set(&self.root.load(), &rows, wait(store), now);
        let keks = match opened {
            // Another process changed the root key, and its file was brought here.
            Err(SecretsError::AnotherRoot(error)) => {
                let Some(root) = self.source.open(&rows)? else {
                    return Err(SecretsError::AnotherRoot(error));
                };
                let keks = opened_set(&root, &rows, wait(store), now)?;
                self.root.store(root);
                keks
            }
            opened => opened?,
        };
        if keks.current().id() != present.current().id() {
            return Err(KekSetError::AnotherKey.into());
        }
        self.keks.store(Arc::new(keks));
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = named(&rows);
        Ok(())
    }

    /// Puts every version of the key-encryption key under another root key, whose file takes the place of the one before when that is committed.
    ///
    /// # Errors
    /// When operators hold the root key, or it is not the one of the store, or a file or the store fails.
    pub(crate) async fn change_root(
        &self,
        store: &Store,
        event: Record,
    ) -> Result<(), SecretsError> {
        let _alone = self.changing.lock().await;
        let mut connection = store.read().await?;
        let rows = keks::all(&mut connection).await?;
        drop(connection);
        let present = self.root.load_full();
        let open = |row: &KekRow| Kek::unwrap(&present, &Sealed::from_bytes(row.wrapped.clone()));
        // That the present root key opens them says too that no other one waits to take its place.
        let versions: Vec<Kek> = rows
            .iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map_err(SecretsError::AnotherRoot)?;
        let next = self.source.prepare(&self.random)?;
        let wrapped = versions
            .iter()
            .map(|kek| Ok(kek.wrap(&next, &self.random)?.into_bytes()))
            .collect::<Result<Vec<_>, SealError>>()?;
        let rows = rows.into_iter().zip(wrapped).collect();
        store.change_root(rows, None, event).await?;
        self.root.store(next);
        self.source.settle()?;
        Ok(())
    }

    /// A version of the key-encryption key that follows the stored ones, wrapped by the root key. It seals nothing until it is stored and read back.
    ///
    /// # Errors
    /// When the store fails, or a stored version does not open.
    pub async fn next_version(&self, store: &Store, now: UnixTime) -> Result<KekRow, SecretsError> {
        let mut connection = store.read().await?;
        let rows = keks::all(&mut connection).await?;
        drop(connection);
        let root = self.root.load();
        let next =
            opened_set(&root, &rows, Duration::ZERO, UnixTime(i64::MAX))?.rotate(&self.random)?;
        Ok(KekRow {
            version: next.current().version().0,
            wrapped: next.current().wrap(&root, &self.random)?.into_bytes(),
            created: now,
        })
    }

    /// Opens the hierarchy that a new seal has just stored.
    ///
    /// # Errors
    /// When the root key is another than the store's, or the store fails.
    pub(crate) async fn open_existing(
        store: &Store,
        root: &RootSource,
        random: &Random,
    ) -> Result<Self, SecretsError> {
        let nowhere = Path::new("");
        Self::open(
            store,
            root,
            nowhere,
            Cost::passphrase(),
            random,
            UnixTime(0),
        )
        .await
    }

    /// The key-encryption keys as they are now.
    #[must_use]
    pub fn keks(&self) -> Arc<KekSet> {
        self.keks.load_full()
    }

    /// The source of randomness.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// The key of keyed hashes for `purpose` in the whole installation.
    #[must_use]
    pub fn mac_key(&self, purpose: &'static str) -> MacKey {
        self.keks.load().mac_key(purpose)
    }

    /// The key of keyed hashes for `purpose` of one tenant.
    #[must_use]
    pub fn tenant_mac_key(&self, tenant: &Tenant, purpose: &'static str) -> MacKey {
        self.derived.of(tenant, purpose, &self.keks.load())
    }

    /// The keyed hash under which a one-time value is stored.
    #[must_use]
    pub fn handle<K: Kind>(&self, tenant: &Tenant, value: &str) -> HandleHash<K> {
        HandleHash::of(&self.tenant_mac_key(tenant, "handle"), tenant, value)
    }

    /// The key of the keyed hashes under which clients' secrets are kept.
    #[must_use]
    pub fn client_secret_key(&self, tenant: &Tenant) -> MacKey {
        self.tenant_mac_key(tenant, "client-secret")
    }

    /// Seals a value of the installation.
    ///
    /// # Errors
    /// When it is too long.
    pub fn seal(&self, name: &'static str, value: &[u8]) -> Result<Sealed, SealError> {
        envelope::seal(
            &**self.keks.load(),
            &Aad::installation(name),
            value,
            &self.random,
        )
    }

    /// Opens a value of the installation.
    ///
    /// # Errors
    /// When it was sealed elsewhere, or changed.
    pub fn open_sealed(
        &self,
        name: &'static str,
        sealed: Vec<u8>,
    ) -> Result<Secret<Vec<u8>>, OpenError> {
        envelope::open(
            &**self.keks.load(),
            &Aad::installation(name),
            &Sealed::from_bytes(sealed),
        )
    }
}

/// Where the root key came from.
enum RootKept {
    /// A file or a passphrase, in this data directory.
    Here {
        source: RootSource,
        data: PathBuf,
        cost: Cost,
    },
    /// Operators.
    Operators,
}

impl RootKept {
    fn of(source: &RootSource, data: &Path, cost: Cost) -> Self {
        let source = match source {
            RootSource::File => RootSource::File,
            RootSource::Passphrase(passphrase) => {
                RootSource::Passphrase(Secret::new(passphrase.expose().clone()))
            }
            RootSource::Unsealed(_) => return Self::Operators,
        };
        Self::Here {
            source,
            data: data.to_owned(),
            cost,
        }
    }

    /// The root key that opens these rows, if it is here.
    fn open(&self, rows: &[KekRow]) -> Result<Option<Arc<RootKey>>, SecretsError> {
        match self {
            Self::Operators => Ok(None),
            Self::Here { source, data, .. } => Ok(source.open_that(data, |key| opens(key, rows))?),
        }
    }

    fn prepare(&self, random: &Random) -> Result<Arc<RootKey>, SecretsError> {
        match self {
            Self::Operators => Err(SecretsError::HeldByOperators),
            Self::Here { source, data, cost } => Ok(source.prepare(data, *cost, random)?),
        }
    }

    fn settle(&self) -> Result<(), SecretsError> {
        match self {
            Self::Operators => Ok(()),
            Self::Here { source, data, .. } => Ok(source.settle(data)?),
        }
    }
}

/// Whether a root key is the one above these rows; any is above none.
fn opens(root: &RootKey, rows: &[KekRow]) -> bool {
    rows.first()
        .is_none_or(|row| Kek::unwrap(root, &Sealed::from_bytes(row.wrapped.clone())).is_ok())
}

/// How long a version waits before it seals.
fn wait(store: &Store) -> Duration {
    if store.is_shared() {
        KNOWN_BEFORE_IT_SEALS
    } else {
        Duration::ZERO
    }
}

fn named(rows: &[KekRow]) -> Vec<(u32, UnixTime)> {
    rows.iter().map(|row| (row.version, row.created)).collect()
}

/// The version that seals: the newest that has waited, or the oldest of all.
fn sealing(rows: &[KekRow], wait: Duration, now: UnixTime) -> Option<KeyVersion> {
    // Where no other process has to know it, no clock is asked.
    let waited = rows
        .iter()
        .filter(|row| wait.is_zero() || row.created.plus(wait) <= now);
    let newest = waited.map(|row| row.version).max();
    let oldest = rows.iter().map(|row| row.version).min();
    newest.or(oldest).map(KeyVersion)
}

fn opened_set(
    root: &RootKey,
    rows: &[KekRow],
    wait: Duration,
    now: UnixTime,
) -> Result<KekSet, SecretsError> {
    let open = |row: &KekRow| Kek::unwrap(root, &Sealed::from_bytes(row.wrapped.clone()));
    let versions = rows
        .iter()
        .map(open)
        .collect::<Result<_, _>>()
        .map_err(SecretsError::AnotherRoot)?;
    let set = KekSet::new(versions, KeyVersion(1))?;
    let sealing = sealing(rows, wait, now).unwrap_or(set.current().version());
    Ok(set.sealing_by(sealing)?)
}

#[cfg(test)]
mod tests {
    use super::{DERIVED_TENANTS_MAX, DerivedKeys};
    use countersign_base::Tenant;
    use countersign_crypto::random::Random;
    use countersign_keys::KekSet;

    #[test]
    fn a_key_from_before_is_the_derived_one_of_its_tenant_and_purpose() {
        let keks = KekSet::generate(&Random::system());
        let derived = DerivedKeys::default();
        let tenants: [Tenant; 2] = ["default".parse().unwrap(), "demo".parse().unwrap()];
        for _ in 0..2 {
            for tenant in &tenants {
                for purpose in ["handle", "refresh-token"] {
                    let tag = |key: countersign_crypto::mac::MacKey| key.tag("d", &[b"value"]);
                    let (kept, fresh) = (
                        tag(derived.of(tenant, purpose, &keks)),
                        tag(keks.tenant_mac_key(tenant, purpose)),
                    );
                    assert_eq!(kept.as_bytes(), fresh.as_bytes());
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let keks = KekSet::generate(&Random::system());
        let derived = DerivedKeys::default();
        for number in 0..=DERIVED_TENANTS_MAX {
            let tenant = format!("t{number}").parse().unwrap();
            let _key = derived.of(&tenant, "handle", &keks);
        }
        assert_eq!(derived.0.read().unwrap().len(), 1);
    }
}
