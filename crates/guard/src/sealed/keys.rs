//! The keys of sealed fields, and what is done with them: sealing, opening, showing, indexing, sealing again.
//!
//! Data keys come through a [`DataKeySource`] that the service supplies. They are kept for a while and no longer ([`CacheLimits`]): the age is the time for which a
//! person's fields can still be opened on a node that nobody told of the erasure. A node that is told calls [`FieldKeys::forget`].

use super::cache::Shelf;
use super::field::{Field, FieldValue as _, NotAValue, Purpose};
use super::index::{BlindIndex, IndexRoot, Indexed};
use super::mask::Masked;
use super::permit::{Covered, MaskPermit, OpenPermit, PermitMismatch};
use super::place::{KeyOwner, Place};
use super::value::{NotSealed, Opened, Sealed, VALUE_BYTES_MAX};
use countersign_base::{Clock, Duration, Secret, Tenant};
use countersign_crypto::Random;
use countersign_keys::envelope::{self, EnvelopeKey, KeyLookup, Sealer};
use countersign_keys::{DataKey, KeyId, KeyVersion, OpenError as EnvelopeError};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// How long, how often and how many data keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// How old a key may be. Also the longest that an erased person's fields stay readable here, if [`FieldKeys::forget`] is not called.
    pub age_max: Duration,
    /// How many keys are kept.
    pub entries_max: usize,
    /// How often a key is used before it is asked for again.
    pub uses_max: u64,
}

/// Thirty seconds, 10,000 keys, 100,000 uses.
impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(30),
            entries_max: 10_000,
            uses_max: 100_000,
        }
    }
}

/// A data key in the clear, with the name that envelopes call it by.
pub struct FieldKey(Named);

enum Named {
    Data(DataKey),
    Envelope(EnvelopeKey),
}

impl FieldKey {
    /// A key that was unwrapped elsewhere: by the vault's `transit/datakey`, say, whose ciphertext the service keeps in a row under this id and version.
    #[must_use]
    pub const fn new(id: KeyId, version: KeyVersion, secret: Secret<[u8; 32]>) -> Self {
        Self(Named::Envelope(EnvelopeKey::new(id, version, secret)))
    }

    fn name(&self) -> (KeyId, KeyVersion) {
        let key = self.envelope_key();
        (key.id(), key.version())
    }
}

/// A key that was wrapped under a key-encryption key of the service's own.
impl From<DataKey> for FieldKey {
    fn from(key: DataKey) -> Self {
        Self(Named::Data(key))
    }
}

impl Sealer for FieldKey {
    fn envelope_key(&self) -> &EnvelopeKey {
        match &self.0 {
            Named::Data(key) => key.envelope_key(),
            Named::Envelope(key) => key,
        }
    }
}

impl KeyLookup for FieldKey {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, EnvelopeError> {
        self.envelope_key().find(id, version)
    }
}

impl fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.envelope_key(), f)
    }
}

/// Where data keys come from: the service's own rows of wrapped keys ([`super::WrappedKeys`]), or another place. Implementations end within a timeout of their own.
pub trait DataKeySource: Send + Sync + 'static {
    /// The key that seals for `owner` from now on. Where there is none yet, it is made and stored before it is answered; where the owner was erased, none is ever made again.
    fn current(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<FieldKey, DataKeyError>>;

    /// The key of that name, which may be an older one, if it is `owner`'s.
    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<FieldKey, DataKeyError>>;

    /// What the tenant's blind indexes are derived from: always the same.
    fn index_root(&self, tenant: &Tenant) -> BoxFuture<'static, Result<IndexRoot, DataKeyError>>;
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataKeyError {
    /// What is stored for the owner does not unwrap: it was damaged, or wrapped for somebody else.
    #[error("the wrapped key does not unwrap for its owner")]
    Broken,
    /// The owner's keys were destroyed. It stays so.
    #[error("the keys were erased")]
    Erased,
    /// Nobody can tell now; try again.
    #[error("the source of data keys does not answer")]
    Unavailable,
    /// The owner has no key of that name.
    #[error("the owner has no key of that name")]
    Unknown,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Current(KeyOwner),
    Named(KeyOwner, KeyId, KeyVersion),
}

impl Wanted {
    const fn owner(&self) -> &KeyOwner {
        match self {
            Self::Current(owner) | Self::Named(owner, ..) => owner,
        }
    }
}

/// Seals and opens the fields of a service; shared by all of it.
pub struct FieldKeys {
    source: Arc<dyn DataKeySource>,
    keys: Shelf<Wanted, FieldKey>,
    roots: Shelf<Tenant, IndexRoot>,
    clock: Clock,
    random: Random,
}

impl FieldKeys {
    /// Keys of `source`, none kept yet.
    #[must_use]
    pub fn new(
        source: impl DataKeySource,
        limits: CacheLimits,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            source: Arc::new(source),
            keys: Shelf::new(limits, clock.clone()),
            roots: Shelf::new(limits, clock.clone()),
            clock,
            random,
        }
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// When it is too long, or there is no key.
    pub async fn seal<F: Field>(
        &self,
        value: &Secret<F::Value>,
        place: &Place<F>,
    ) -> Result<Sealed<F>, SealError> {
        let bytes = value.expose().write();
        if bytes.expose().len() > VALUE_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        let key = self.current(place.owner()).await?;
        envelope::seal(&*key, &place.aad(), bytes.expose(), &self.random)
            .map(Sealed::new)
            .map_err(|_| SealError::TooLong)
    }

    /// Opens a value for a purpose, with the permit that says so. The permit is spent, whatever comes of it.
    ///
    /// # Errors
    /// When the permit is for something else, the value is not of this place, or there is no key.
    pub async fn open<F: Field>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
        purpose: Purpose<F>,
        permit: OpenPermit<F>,
    ) -> Result<Opened<F>, OpenError> {
        let covered = permit.covers(place, purpose, self.clock.now())?;
        self.opened(sealed, place, covered).await
    }

    /// The mask of a value, with the permit that says so. The permit is spent, whatever comes of it.
    ///
    /// # Errors
    /// As [`FieldKeys::open`].
    pub async fn show<F: Field>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
        permit: MaskPermit<F>,
    ) -> Result<Masked<F>, OpenError> {
        let covered = permit.covers(place, self.clock.now())?;
        let opened = self.opened(sealed, place, covered).await?;
        Ok(opened.masked())
    }

    /// What a row with this value is found by.
    ///
    /// # Errors
    /// When there is no key.
    pub async fn index<F: Indexed>(
        &self,
        value: &F::Value,
        tenant: &Tenant,
    ) -> Result<BlindIndex<F>, DataKeyError> {
        let (source, of) = (Arc::clone(&self.source), tenant.clone());
        let ask = async move { source.index_root(&of).await };
        let root = self.roots.take(tenant, ask).await?;
        Ok(root.index(tenant, value))
    }

    /// Seals again with the owner's current key, for the rewrap after a rotation; `None` where it is sealed with that key already. Nothing of the value comes out, so
    /// it takes no permit.
    ///
    /// # Errors
    /// When the value is not of this place, or there is no key.
    pub async fn rewrap<F: Field>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
    ) -> Result<Option<Sealed<F>>, OpenError> {
        let current = self.current(place.owner()).await?;
        if sealed.key()? == current.name() {
            return Ok(None);
        }
        let bytes = self.bytes(sealed, place).await?;
        let again = envelope::seal(&*current, &place.aad(), bytes.expose(), &self.random);
        again
            .map(|envelope| Some(Sealed::new(envelope)))
            .map_err(|_| OpenError::Elsewhere)
    }

    /// Drops every key of an owner that is kept, and every one on its way: the answer to the news that somebody was erased. What is being opened at this moment may
    /// still open; nothing that begins after this returns does, unless the source still gives the key.
    pub fn forget(&self, owner: &KeyOwner) {
        self.keys.forget(|wanted| wanted.owner() == owner);
        match owner {
            KeyOwner::Indexes(tenant) | KeyOwner::Tenant(tenant) => {
                self.roots.forget(|of| of == tenant);
            }
            KeyOwner::Subject(..) => {}
        }
    }

    /// How many data keys are kept now, for metrics.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.keys.len()
    }

    async fn opened<F: Field>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
        _covered: Covered,
    ) -> Result<Opened<F>, OpenError> {
        let bytes = self.bytes(sealed, place).await?;
        Ok(Opened::read(&bytes)?)
    }

    async fn bytes<F: Field>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
    ) -> Result<Secret<Vec<u8>>, OpenError> {
        let (id, version) = sealed.key()?;
        let owner = place.owner().clone();
        let source = Arc::clone(&self.source);
        let wanted = Wanted::Named(owner.clone(), id, version);
        let key = self
            .take(
                &wanted,
                async move { source.named(&owner, id, version).await },
            )
            .await?;
        Ok(envelope::open(&*key, &place.aad(), sealed.envelope())?)
    }

    async fn current(&self, owner: &KeyOwner) -> Result<Arc<FieldKey>, DataKeyError> {
        let (source, of) = (Arc::clone(&self.source), owner.clone());
        let ask = async move { source.current(&of).await };
        self.take(&Wanted::Current(owner.clone()), ask).await
    }

    async fn take(
        &self,
        wanted: &Wanted,
        ask: impl Future<Output = Result<FieldKey, DataKeyError>> + Send + 'static,
    ) -> Result<Arc<FieldKey>, DataKeyError> {
        let found = self.keys.take(wanted, ask).await;
        // Who learns of an erasure by asking for one key forgets the others.
        if let Err(DataKeyError::Erased) = found {
            self.forget(wanted.owner());
        }
        found
    }
}

impl fmt::Debug for FieldKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldKeys")
    }
}

/// Why a value is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key.
    #[error("the value is not sealed: {0}")]
    Key(#[from] DataKeyError),
    /// It is longer than [`VALUE_BYTES_MAX`].
    #[error("the value is longer than 64 KiB; seal a key for it, and keep it elsewhere")]
    TooLong,
}

/// Why a value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed for another tenant, table, column or row, or by another key of this name, or was changed.
    #[error("the value was not sealed here, or was changed")]
    Elsewhere,
    /// The keys that it is sealed under were destroyed. Nothing brings it back.
    #[error("the value was erased with its key")]
    Erased,
    /// The key that it is sealed under does not unwrap for its owner.
    #[error("the value is sealed under a key that does not unwrap for its owner")]
    KeyBroken,
    /// The owner has no key of the name that it carries.
    #[error("the value is sealed under a key that its owner does not have")]
    KeyUnknown,
    /// What is stored is no envelope.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// The permit is for something else.
    #[error("the value is not opened: {0}")]
    Permit(#[from] PermitMismatch),
    /// The source of keys does not answer.
    #[error("the value is not opened: the source of data keys does not answer")]
    Unavailable,
    /// It is no value of the field's type.
    #[error(transparent)]
    Value(#[from] NotAValue),
}

impl From<DataKeyError> for OpenError {
    fn from(error: DataKeyError) -> Self {
        match error {
            DataKeyError::Broken => Self::KeyBroken,
            DataKeyError::Erased => Self::Erased,
            DataKeyError::Unavailable => Self::Unavailable,
            DataKeyError::Unknown => Self::KeyUnknown,
        }
    }
}

impl From<EnvelopeError> for OpenError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::KeyUnknown { .. } | EnvelopeError::KeyVersionTooOld { .. } => {
                Self::KeyUnknown
            }
            EnvelopeError::Authentication
            | EnvelopeError::Commitment
            | EnvelopeError::Content
            | EnvelopeError::Length
            | EnvelopeError::Magic
            | EnvelopeError::Suite(_) => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests;
