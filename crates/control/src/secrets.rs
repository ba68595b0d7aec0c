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
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    random: Random,
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
            random: random.clone(),
        })
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
        self.keks.tenant_mac_key(tenant, purpose)
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
