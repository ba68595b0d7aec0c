//! The opened key-encryption keys and what is derived from them: keyed hashes of handles, of secrets and of nonces, and sealed values of the installation.

use crate::root::{RootError, RootSource};
use countersign_base::{Secret, Tenant, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, SealError};
use countersign_keys::hierarchy::KekSetError;
use countersign_keys::{Aad, Kek, KekSet, KeyVersion, OpenError, Sealed};
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::{HandleHash, Kind, Store, StoreError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Why the key hierarchy cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The store holds keys that the root key does not open.
    #[error(
        "the root key does not open this store: {0}; bring back the key or passphrase that it was made with"
    )]
    AnotherRoot(OpenError),
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

/// The hierarchy, open.
pub struct Secrets {
    keks: Arc<KekSet>,
    derived: DerivedKeys,
    random: Random,
}

/// Keys of keyed hashes that were derived before. They follow from the hierarchy and two names alone, and the hierarchy does not change while it is open: what
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
        let opened = root.open(data)?;
        let keks = match (rows.is_empty(), opened) {
            (false, None) => return Err(SecretsError::RootMissing(root.place(data))),
            (false, Some(key)) => {
                let open =
                    |row: &KekRow| Kek::unwrap(&key, &Sealed::from_bytes(row.wrapped.clone()));
                let versions = rows
                    .iter()
                    .map(open)
                    .collect::<Result<_, _>>()
                    .map_err(SecretsError::AnotherRoot)?;
                KekSet::new(versions, KeyVersion(1))?
            }
            (true, opened) => {
                // A crash between the file and the row leaves a root key that seals nothing yet: it is taken up.
                let key = match opened {
                    Some(key) => key,
                    None => root.create(data, cost, random)?,
                };
                let keks = KekSet::generate(random);
                let row = KekRow {
                    version: 1,
                    wrapped: keks.current().wrap(&key, random)?.into_bytes(),
                    created: now,
                };
                store
                    .write(move |tx| Box::pin(async move { keks::add(tx, &row).await }))
                    .await?;
                keks
            }
        };
        Ok(Self {
            keks: Arc::new(keks),
            derived: DerivedKeys::default(),
            random: random.clone(),
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

    /// The key-encryption keys.
    #[must_use]
    pub fn keks(&self) -> &KekSet {
        &self.keks
    }

    /// The same, as what keeps the queries behind decisions asks for them.
    #[must_use]
    pub fn shared_keks(&self) -> Arc<KekSet> {
        Arc::clone(&self.keks)
    }

    /// The source of randomness.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// The key of keyed hashes for `purpose` in the whole installation.
    #[must_use]
    pub fn mac_key(&self, purpose: &'static str) -> MacKey {
        self.keks.mac_key(purpose)
    }

    /// The key of keyed hashes for `purpose` of one tenant.
    #[must_use]
    pub fn tenant_mac_key(&self, tenant: &Tenant, purpose: &'static str) -> MacKey {
        self.derived.of(tenant, purpose, &self.keks)
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
        envelope::seal(&*self.keks, &Aad::installation(name), value, &self.random)
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
            &*self.keks,
            &Aad::installation(name),
            &Sealed::from_bytes(sealed),
        )
    }
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
