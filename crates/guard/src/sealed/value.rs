//! A value that is sealed, and the same value opened.
//!
//! A [`Sealed`] holds ciphertext and nothing else, so there is nothing in it that printing, comparing or serializing could give away. An [`Opened`] holds the
//! plaintext in a [`Secret`]; [`Opened::expose`] is the one way out.

use super::field::{Field, FieldValue as _, NotAValue};
use super::index::Indexed;
use super::mask::Masked;
use countersign_base::Secret;
use countersign_crypto::base64url;
use countersign_keys::envelope::OVERHEAD_BYTES;
use countersign_keys::{KeyId, KeyVersion, OpenError as EnvelopeError, Sealed as Envelope};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::marker::PhantomData;

/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
const ENVELOPE_BYTES_MAX: usize = VALUE_BYTES_MAX + OVERHEAD_BYTES;
/// Characters of base64url that so many bytes make.
const TEXT_BYTES_MAX: usize = (ENVELOPE_BYTES_MAX * 4).div_ceil(3);

/// A value of the column `F`, as ciphertext.
///
/// What is stored is an envelope (docs/formats/envelope.md): bytes in a database, base64url in JSON. It opens in its own column, row and tenant only.
pub struct Sealed<F> {
    envelope: Envelope,
    field: PhantomData<fn() -> F>,
}

impl<F: Field> Sealed<F> {
    /// Takes what was stored. Whether it belongs here shows when it is opened.
    ///
    /// # Errors
    /// When the bytes are no envelope of a known suite, or of more than [`VALUE_BYTES_MAX`] bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, NotSealed> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(NotSealed(EnvelopeError::Length));
        }
        let envelope = Envelope::from_bytes(bytes);
        envelope.key().map_err(NotSealed)?;
        Ok(Self::new(envelope))
    }

    /// The envelope, for storing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.envelope.as_bytes()
    }

    /// The key that the envelope names. Not authenticated before it is opened.
    ///
    /// # Errors
    /// Never for a value that was made or taken here; the type keeps the caller from assuming it.
    pub fn key(&self) -> Result<(KeyId, KeyVersion), NotSealed> {
        self.envelope.key().map_err(NotSealed)
    }

    pub(super) const fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            field: PhantomData,
        }
    }

    pub(super) const fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

/// What was stored is no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is stored is not sealed: {0}")]
pub struct NotSealed(EnvelopeError);

impl<F> Clone for Sealed<F> {
    fn clone(&self) -> Self {
        Self {
            envelope: self.envelope.clone(),
            field: PhantomData,
        }
    }
}

/// The classification only.
impl<F: Field> fmt::Debug for Sealed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?})", F::CLASSIFICATION)
    }
}

/// The envelope as base64url.
impl<F: Field> Serialize for Sealed<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.envelope.serialize(serializer)
    }
}

impl<'de, F: Field> Deserialize<'de> for Sealed<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(EnvelopeText(PhantomData))
    }
}

/// Reads base64url without keeping the text, and without quoting it in an error.
struct EnvelopeText<F>(PhantomData<fn() -> F>);

impl<F: Field> de::Visitor<'_> for EnvelopeText<F> {
    type Value = Sealed<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope in base64url")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sealed<F>, E> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(E::custom(NotSealed(EnvelopeError::Length)));
        }
        let bytes = base64url::decode(text).map_err(E::custom)?;
        Sealed::from_bytes(bytes).map_err(E::custom)
    }
}

/// A value that was opened with a permit. It is wiped when dropped.
#[must_use]
pub struct Opened<F: Field>(Secret<F::Value>);

impl<F: Field> Opened<F> {
    pub(super) fn read(bytes: &Secret<Vec<u8>>) -> Result<Self, NotAValue> {
        F::Value::read(bytes.expose()).map(|value| Self(Secret::new(value)))
    }

    /// The value. Whoever calls this answers for where it goes.
    #[must_use]
    pub const fn expose(&self) -> &F::Value {
        self.0.expose()
    }

    /// The value in custody, for sealing it in another row.
    #[must_use]
    pub const fn secret(&self) -> &Secret<F::Value> {
        &self.0
    }

    /// The value as it is shown to those who may not read it.
    #[must_use]
    pub fn masked(&self) -> Masked<F> {
        Masked::of(self.expose())
    }
}

impl<F: Indexed> Opened<F> {
    /// Whether this is `candidate`, normalised as the index normalises, in a time that depends on the lengths alone. An index finds rows that may match; this says
    /// which do.
    #[must_use]
    pub fn matches(&self, candidate: &F::Value) -> bool {
        F::normalise(self.expose()).matches(F::normalise(candidate).expose())
    }
}

/// The classification only.
impl<F: Field> fmt::Debug for Opened<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({:?})", F::CLASSIFICATION)
    }
}

#[cfg(test)]
mod tests;
