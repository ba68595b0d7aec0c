//! Data keys as wrapped rows of the service's own: a [`DataKeySource`] that is ready to use.
//!
//! Two parts are the service's: [`KeyRows`] reads and writes a table, [`KeyWrapper`] wraps and unwraps 32 bytes. [`KekWrapper`] is one over a key-encryption key; one over a
//! vault calls `transit/datakey/plaintext` to make a key and `transit/decrypt` to unwrap it, with [`KeyOwner::associated_data`] as `associated_data`, so that a wrapped key
//! which somebody moves to another owner's row does not unwrap there: otherwise a copy in another row would outlive an erasure.
//!
//! A table needs owner, id, version and wrapped key. Erasing an owner empties the wrapped keys and keeps a row: no key is ever made for that owner again.

use super::index::IndexRoot;
use super::keys::{DataKeyError, DataKeySource, FieldKey};
use super::place::KeyOwner;
use countersign_base::{Secret, Tenant};
use countersign_crypto::{Random, base64url};
use countersign_keys::{Aad, KekSet, KeyId, KeyVersion, OpenError, Sealed, envelope};
use futures_util::future::{BoxFuture, ready};
use std::fmt;
use std::sync::Arc;

/// A key as it lies in a row.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its name, the same for all versions.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// What the wrapper made of it: an envelope, or `vault:v1:...`.
    pub wrapped: String,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey({} v{})", self.id, self.version.0)
    }
}

/// What a table says of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRow {
    /// There is no such key.
    Absent,
    /// The owner was erased.
    Erased,
    /// There is.
    Key(WrappedKey),
}

/// The service's table of wrapped keys. Implementations end within a timeout of their own.
pub trait KeyRows: Send + Sync + 'static {
    /// The newest version of an owner's key.
    fn newest(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<KeyRow, DataKeyError>>;

    /// One version of an owner's key.
    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>>;

    /// Adds a version, durably, unless the owner was erased or has this version already: then nothing is written. Answers with the newest version that is there
    /// afterwards, which is another one's where two nodes add at once.
    fn add(
        &self,
        owner: &KeyOwner,
        key: WrappedKey,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>>;
}

/// Wraps the 32 bytes of a data key. Implementations end within a timeout of their own.
pub trait KeyWrapper: Send + Sync + 'static {
    /// Makes a key of random bytes, and wraps it for its owner.
    fn make(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<NewKey, DataKeyError>>;

    /// Unwraps what was wrapped for this owner: [`DataKeyError::Broken`] if it was not.
    fn unwrap(
        &self,
        owner: &KeyOwner,
        wrapped: &str,
    ) -> BoxFuture<'static, Result<Secret<[u8; 32]>, DataKeyError>>;
}

/// A key that was just made.
pub struct NewKey {
    /// The 32 bytes.
    pub secret: Secret<[u8; 32]>,
    /// The same, wrapped.
    pub wrapped: String,
}

/// Data keys in rows of the service's own.
#[derive(Clone)]
pub struct WrappedKeys {
    rows: Arc<dyn KeyRows>,
    wrapper: Arc<dyn KeyWrapper>,
    random: Random,
}

impl WrappedKeys {
    /// Keys of this table, under this wrapper.
    #[must_use]
    pub fn new(rows: impl KeyRows, wrapper: impl KeyWrapper, random: Random) -> Self {
        Self {
            rows: Arc::new(rows),
            wrapper: Arc::new(wrapper),
            random,
        }
    }

    /// Gives an owner a new version, which seals from now on; nodes that keep the one before go on sealing with it until it is too old for them. The root of blind indexes
    /// does not rotate: what was indexed would not be found.
    ///
    /// # Errors
    /// When the owner was erased or has no key, is the owner of blind indexes, or the table or the wrapper does not answer.
    pub async fn rotate(&self, owner: &KeyOwner) -> Result<KeyVersion, DataKeyError> {
        if matches!(owner, KeyOwner::Indexes(_)) {
            return Err(DataKeyError::Unknown);
        }
        let before = present(self.rows.newest(owner).await?)?;
        let next = before.version.0.checked_add(1);
        let version = KeyVersion(next.ok_or(DataKeyError::Unknown)?);
        let made = self.wrapper.make(owner).await?;
        let key = WrappedKey {
            id: before.id,
            version,
            wrapped: made.wrapped,
        };
        let newest = present(self.rows.add(owner, key).await?)?;
        Ok(newest.version)
    }

    async fn newest(&self, owner: &KeyOwner) -> Result<Unwrapped, DataKeyError> {
        match self.rows.newest(owner).await? {
            KeyRow::Absent => self.first(owner).await,
            KeyRow::Erased => Err(DataKeyError::Erased),
            KeyRow::Key(key) => self.unwrapped(owner, key).await,
        }
    }

    /// Makes the first key. Of two nodes that make one at once, both use the one whose row came first.
    async fn first(&self, owner: &KeyOwner) -> Result<Unwrapped, DataKeyError> {
        let made = self.wrapper.make(owner).await?;
        let ours = WrappedKey {
            id: KeyId::from_bytes(self.random.bytes()),
            version: KeyVersion(1),
            wrapped: made.wrapped,
        };
        let there = present(self.rows.add(owner, ours.clone()).await?)?;
        if there == ours {
            return Ok(Unwrapped {
                key: ours,
                secret: made.secret,
            });
        }
        self.unwrapped(owner, there).await
    }

    async fn unwrapped(
        &self,
        owner: &KeyOwner,
        key: WrappedKey,
    ) -> Result<Unwrapped, DataKeyError> {
        let secret = self.wrapper.unwrap(owner, &key.wrapped).await?;
        Ok(Unwrapped { key, secret })
    }
}

/// A row and what was in it.
struct Unwrapped {
    key: WrappedKey,
    secret: Secret<[u8; 32]>,
}

impl From<Unwrapped> for FieldKey {
    fn from(unwrapped: Unwrapped) -> Self {
        let WrappedKey { id, version, .. } = unwrapped.key;
        Self::new(id, version, unwrapped.secret)
    }
}

fn present(row: KeyRow) -> Result<WrappedKey, DataKeyError> {
    match row {
        KeyRow::Absent => Err(DataKeyError::Unknown),
        KeyRow::Erased => Err(DataKeyError::Erased),
        KeyRow::Key(key) => Ok(key),
    }
}

impl DataKeySource for WrappedKeys {
    fn current(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        let (keys, owner) = (self.clone(), owner.clone());
        Box::pin(async move { keys.newest(&owner).await.map(FieldKey::from) })
    }

    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        let (keys, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let row = present(keys.rows.named(&owner, id, version).await?)?;
            keys.unwrapped(&owner, row).await.map(FieldKey::from)
        })
    }

    fn index_root(&self, tenant: &Tenant) -> BoxFuture<'static, Result<IndexRoot, DataKeyError>> {
        let (keys, owner) = (self.clone(), KeyOwner::Indexes(tenant.clone()));
        Box::pin(async move {
            let root = keys.newest(&owner).await?;
            Ok(IndexRoot::new(root.secret))
        })
    }
}

impl fmt::Debug for WrappedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedKeys")
    }
}

/// Wraps under a key-encryption key that the service holds: an envelope in base64url, bound to its owner.
pub struct KekWrapper {
    keks: Arc<KekSet>,
    random: Random,
}

impl KekWrapper {
    /// A wrapper of these versions.
    #[must_use]
    pub const fn new(keks: Arc<KekSet>, random: Random) -> Self {
        Self { keks, random }
    }

    fn wrap(&self, owner: &KeyOwner) -> Result<NewKey, DataKeyError> {
        let secret = self.random.secret::<32>();
        let sealed = envelope::seal(&*self.keks, &place_of(owner), secret.expose(), &self.random)
            .map_err(|_| DataKeyError::Broken)?;
        Ok(NewKey {
            secret,
            wrapped: base64url::encode(sealed.as_bytes()),
        })
    }

    fn opened(&self, owner: &KeyOwner, wrapped: &str) -> Result<Secret<[u8; 32]>, DataKeyError> {
        let bytes = base64url::decode(wrapped).map_err(|_| DataKeyError::Broken)?;
        let sealed = Sealed::from_bytes(bytes);
        let bytes = envelope::open(&*self.keks, &place_of(owner), &sealed).map_err(broken)?;
        let secret = bytes.expose().as_slice().try_into();
        secret.map(Secret::new).map_err(|_| DataKeyError::Broken)
    }
}

/// A key-encryption key that is not at hand may come back; what does not open does not.
const fn broken(error: OpenError) -> DataKeyError {
    match error {
        OpenError::KeyUnknown { .. } => DataKeyError::Unavailable,
        OpenError::Authentication
        | OpenError::Commitment
        | OpenError::Content
        | OpenError::KeyVersionTooOld { .. }
        | OpenError::Length
        | OpenError::Magic
        | OpenError::Suite(_) => DataKeyError::Broken,
    }
}

fn place_of(owner: &KeyOwner) -> Aad {
    let (kind, subject) = owner.parts();
    Aad::row(owner.tenant(), "data_keys", kind, subject.as_bytes())
}

impl KeyOwner {
    /// What a wrapped key is bound to: tenant, kind of owner and person, each after its length. For a vault's `associated_data`, in base64.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        place_of(self).as_bytes().to_vec()
    }
}

impl KeyWrapper for KekWrapper {
    fn make(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<NewKey, DataKeyError>> {
        Box::pin(ready(self.wrap(owner)))
    }

    fn unwrap(
        &self,
        owner: &KeyOwner,
        wrapped: &str,
    ) -> BoxFuture<'static, Result<Secret<[u8; 32]>, DataKeyError>> {
        Box::pin(ready(self.opened(owner, wrapped)))
    }
}

impl fmt::Debug for KekWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KekWrapper")
    }
}

#[cfg(test)]
mod tests;
