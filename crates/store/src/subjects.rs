//! Keys of people, and what wraps them: the key-encryption key, and inside of it a key of the person's own place in the epoch key.
//!
//! The epoch key ([`PuncturableKey`]) stands in a file of its own, never in the database, so that no backup, replica or write-ahead log of the database holds it.
//! Erasing a person forgets their place in it. Their key, wherever a copy of its row may be, is wrapped under something that cannot be computed any more; everybody
//! else's opens as before (docs/decisions/0021).
//!
//! Not here: the file; whoever opens the epoch key says how it is stored.

use crate::details::Keks;
use crate::tables::subject_keys::OutsideEpochs;
use countersign_base::{Secret, Tenant, UserId};
use countersign_crypto::digest::sha256_parts;
use countersign_crypto::puncturable::{Forgotten, PuncturableError, PuncturableKey};
use countersign_crypto::random::Random;
use countersign_keys::DataKey;
use countersign_keys::envelope::{
    self, Aad, EnvelopeKey, KeyId, KeyVersion, OpenError, SealError, Sealed, Sealer,
};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a person's key inside its wrapping: id, version, key.
const KEY_BYTES: usize = 8 + 4 + 32;

/// Stores the epoch key in the place of the one before, durably and in one step.
pub type KeepEpochs = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// A handle on what wraps people's keys. Cloning it is cheap.
#[derive(Clone)]
pub struct Subjects {
    keks: Keks,
    epochs: Arc<Mutex<Epochs>>,
    keep: KeepEpochs,
}

struct Epochs {
    key: PuncturableKey,
    /// Whether the file holds something that the key has forgotten.
    behind: Behind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    No,
    Yes,
}

/// A person's key.
pub type SubjectDataKey = DataKey;

/// The key of a person's place.
struct PlaceKey(EnvelopeKey);

impl Sealer for PlaceKey {
    fn envelope_key(&self) -> &EnvelopeKey {
        &self.0
    }
}

/// Why a person's key cannot be unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectKeyError {
    /// The person was erased: their place is forgotten.
    #[error("the person was erased")]
    Erased,
    /// The wrapping does not open.
    #[error("the key of a person does not open: {0}")]
    Open(#[from] OpenError),
    /// The key cannot be wrapped.
    #[error("the key of a person cannot be wrapped: {0}")]
    Seal(#[from] SealError),
}

/// Why a person's place cannot be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The file cannot be written; nothing opens with the place any more, but the file still holds it until the next attempt.
    #[error("the epoch key cannot be stored: {0}")]
    Keep(#[from] io::Error),
    /// There is no room for more.
    #[error(transparent)]
    Key(#[from] PuncturableError),
}

impl Subjects {
    /// Wraps with this epoch key, which `keep` stores.
    #[must_use]
    pub fn new(keks: Keks, key: PuncturableKey, keep: KeepEpochs) -> Self {
        let epochs = Epochs {
            key,
            behind: Behind::No,
        };
        Self {
            keks,
            epochs: Arc::new(Mutex::new(epochs)),
            keep,
        }
    }

    pub(crate) fn keks(&self) -> &Keks {
        &self.keks
    }

    /// The epoch key's name.
    #[must_use]
    pub fn epoch(&self) -> [u8; 8] {
        self.lock().key.id()
    }

    /// How many people the epoch key has forgotten.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.lock().key.forgotten()
    }

    /// Whether this person was erased, here or in a database that is older or newer than this one.
    #[must_use]
    pub fn is_forgotten(&self, tenant: &Tenant, user: UserId) -> bool {
        let epochs = self.lock();
        epochs
            .key
            .key_at(place(epochs.key.id(), tenant, user))
            .is_none()
    }

    /// A new key for a person, wrapped, with the name of the epoch key.
    ///
    /// # Errors
    /// Never for a key of this size but when the person was erased.
    pub fn generate(
        &self,
        tenant: &Tenant,
        user: UserId,
        random: &Random,
    ) -> Result<(Vec<u8>, [u8; 8]), SubjectKeyError> {
        let (id, secret) = (random.bytes::<8>(), random.secret::<32>());
        let version = 1_u32.to_be_bytes();
        let bytes = [id.as_slice(), &version, secret.expose()].concat();
        self.wrap(tenant, user, &Secret::new(bytes), random)
    }

    fn wrap(
        &self,
        tenant: &Tenant,
        user: UserId,
        bytes: &Secret<Vec<u8>>,
        random: &Random,
    ) -> Result<(Vec<u8>, [u8; 8]), SubjectKeyError> {
        let (epoch, of_place) = self.place_key(tenant, user)?;
        let inner = envelope::seal(&of_place, &inner_aad(tenant, user), bytes.expose(), random)?;
        let aad = outer_aad(tenant, user);
        let outer = envelope::seal(&*(self.keks)(), &aad, &inner.into_bytes(), random)?;
        Ok((outer.into_bytes(), epoch))
    }

    /// A key that was stored.
    ///
    /// # Errors
    /// When the person was erased, or the wrapping does not open.
    pub fn unwrap(
        &self,
        tenant: &Tenant,
        user: UserId,
        wrapped: Vec<u8>,
    ) -> Result<SubjectDataKey, SubjectKeyError> {
        let bytes = self.bytes(tenant, user, wrapped)?;
        DataKey::from_content(&bytes).ok_or(SubjectKeyError::Open(OpenError::Content))
    }

    fn bytes(
        &self,
        tenant: &Tenant,
        user: UserId,
        wrapped: Vec<u8>,
    ) -> Result<Secret<Vec<u8>>, SubjectKeyError> {
        let (_epoch, of_place) = self.place_key(tenant, user)?;
        let aad = outer_aad(tenant, user);
        let content = envelope::open(&*(self.keks)(), &aad, &Sealed::from_bytes(wrapped))?;
        // A key from before there were epochs is not wrapped twice.
        if content.expose().len() == KEY_BYTES {
            return Ok(content);
        }
        let inner = Sealed::from_bytes(content.expose().clone());
        Ok(envelope::open(
            &of_place.0,
            &inner_aad(tenant, user),
            &inner,
        )?)
    }

    /// A key from before there were epochs, wrapped under its person's place too, with the name of the epoch key.
    ///
    /// # Errors
    /// As [`Subjects::unwrap`].
    pub fn take_in(
        &self,
        key: &OutsideEpochs,
        random: &Random,
    ) -> Result<(Vec<u8>, [u8; 8]), SubjectKeyError> {
        let bytes = self.bytes(&key.tenant, key.user, key.wrapped.clone())?;
        self.wrap(&key.tenant, key.user, &bytes, random)
    }

    /// Forgets these people, and stores what is left of the epoch key. When this returns, nothing that is stored here opens their keys; calling it again after an
    /// error, or after the program was killed, completes it.
    ///
    /// # Errors
    /// When there is no room, or the file cannot be written.
    pub fn forget<'p>(
        &self,
        people: impl IntoIterator<Item = (&'p Tenant, UserId)>,
    ) -> Result<(), ForgetError> {
        let mut epochs = self.lock();
        let id = epochs.key.id();
        for (tenant, user) in people {
            if epochs.key.forget(place(id, tenant, user))? == Forgotten::Now {
                epochs.behind = Behind::Yes;
            }
        }
        if epochs.behind == Behind::Yes {
            (self.keep)(&epochs.key.to_bytes())?;
            epochs.behind = Behind::No;
        }
        Ok(())
    }

    fn place_key(
        &self,
        tenant: &Tenant,
        user: UserId,
    ) -> Result<([u8; 8], PlaceKey), SubjectKeyError> {
        let epochs = self.lock();
        let id = epochs.key.id();
        let secret = epochs.key.key_at(place(id, tenant, user));
        drop(epochs);
        let secret = secret.ok_or(SubjectKeyError::Erased)?;
        let key = EnvelopeKey::new(KeyId::from_bytes(id), KeyVersion(1), secret);
        Ok((id, PlaceKey(key)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Epochs> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subjects")
    }
}

/// A person's place: 64 bits of a digest. Among a million people two share one, and would be erased together, with a chance of one in 2^25.
fn place(epoch: [u8; 8], tenant: &Tenant, user: UserId) -> u64 {
    let digest = sha256_parts(&[
        b"countersign subject place\0",
        &epoch,
        user.as_bytes(),
        tenant.as_str().as_bytes(),
    ]);
    let (place, _rest) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*place)
}

pub(crate) fn outer_aad(tenant: &Tenant, user: UserId) -> Aad {
    Aad::row(tenant, "subject_keys", "wrapped", user.as_bytes())
}

fn inner_aad(tenant: &Tenant, user: UserId) -> Aad {
    Aad::row(tenant, "subject_keys", "epoch", user.as_bytes())
}

#[cfg(test)]
mod tests;
