//! The key above the root key, and its ways in: shares, a passphrase, or 32 bytes that a source keeps or opens.

use crate::envelope::{EnvelopeKey, KeyId, KeyLookup, KeyVersion, OpenError, Sealer};
use crate::hierarchy::PassphraseParameters;
use crate::shamir::{self, CombineError, SECRET_BYTES, Share, ShareRule};
use countersign_base::Secret;
use countersign_crypto::kdf;
use countersign_crypto::password::PasswordError;
use countersign_crypto::random::Random;
use std::fmt;

/// A key that wraps the root key and nothing else.
pub struct UnsealKey {
    bytes: Secret<[u8; SECRET_BYTES]>,
    key: EnvelopeKey,
}

impl UnsealKey {
    /// A new one.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self::from_bytes(random.secret())
    }

    /// Takes the 32 random bytes that a source keeps in a file, or opened in its hardware.
    #[must_use]
    pub fn from_bytes(bytes: Secret<[u8; SECRET_BYTES]>) -> Self {
        // The name is derived, so that a wrong key is told from a damaged row.
        let id = kdf::hkdf_sha256::<8>(bytes.expose(), &[], &[b"countersign unseal key id"]);
        let secret = kdf::hkdf_sha256::<32>(bytes.expose(), &[], &[b"countersign unseal key"]);
        let key = EnvelopeKey::new(KeyId::from_bytes(*id.expose()), KeyVersion(1), secret);
        Self { bytes, key }
    }

    /// Derives the key from a passphrase (Argon2id). A wrong one gives another key, which shows when the row is opened.
    ///
    /// # Errors
    /// When the passphrase is empty or too long, or the parameters are outside their bounds.
    pub fn from_passphrase(
        passphrase: &Secret<String>,
        parameters: &PassphraseParameters,
    ) -> Result<Self, PasswordError> {
        parameters.derive(passphrase).map(Self::from_bytes)
    }

    /// The 32 bytes, for the one thing that may be done with them: a source wraps them in its hardware, or keeps them in its file.
    #[must_use]
    pub const fn bytes_for_source(&self) -> &Secret<[u8; SECRET_BYTES]> {
        &self.bytes
    }

    pub(super) fn from_shares(shares: &[Share]) -> Result<Self, CombineError> {
        shamir::combine(shares).map(Self::from_bytes)
    }

    pub(super) fn split(&self, rule: ShareRule, random: &Random) -> Vec<Share> {
        shamir::split(&self.bytes, rule, random)
    }

    /// The sealing side, for the row alone: an `UnsealKey` is no [`Sealer`].
    pub(super) const fn wrapping(&self) -> Wrapping<'_> {
        Wrapping(&self.key)
    }
}

impl fmt::Debug for UnsealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsealKey")
    }
}

/// An unseal key at the work of sealing or opening a root key.
pub(super) struct Wrapping<'a>(&'a EnvelopeKey);

impl Sealer for Wrapping<'_> {
    fn envelope_key(&self) -> &EnvelopeKey {
        self.0
    }
}

impl KeyLookup for Wrapping<'_> {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        self.0.find(id, version)
    }
}
