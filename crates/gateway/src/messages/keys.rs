//! The keys of a partner: out of a file, once and for all, or out of the set at the partner's address, as it is now.
//!
//! A set is read as RFC 7517 §5 has it: a key that cannot be used is passed over, be it of an unknown kind, shared, or private. Keys for signatures and keys to seal to never
//! take each other's place (`use`).

use countersign_control::FollowedKeys;
use countersign_crypto::jose::{EncryptionKey, EncryptionKeySet, JoseError, JwkSet, KeyManagement};
use std::sync::Arc;

/// Ways to seal, a wrapped key before an agreed one.
const WAYS: [KeyManagement; 3] = [
    KeyManagement::EcdhEsA256Kw,
    KeyManagement::RsaOaep256,
    KeyManagement::EcdhEs,
];

/// The public keys of a partner.
#[derive(Debug, Clone)]
pub struct PartnerKeySet {
    signatures: JwkSet,
    receiver: Option<(EncryptionKey, KeyManagement)>,
}

impl PartnerKeySet {
    /// Reads them out of a JWK set.
    ///
    /// # Errors
    /// When it is no JWK set, or is too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, JoseError> {
        let (signatures, _skipped) = JwkSet::parse(bytes)?;
        let (encryption, _skipped) = EncryptionKeySet::parse_usable(bytes)?;
        let receiver = encryption.iter().find_map(|key| {
            let named = key.kid().is_some();
            let way = WAYS.into_iter().find(|way| named && key.fits(*way));
            way.map(|way| (key.clone(), way))
        });
        Ok(Self {
            signatures,
            receiver,
        })
    }

    /// The keys for signatures.
    #[must_use]
    pub const fn signatures(&self) -> &JwkSet {
        &self.signatures
    }

    /// The first key with a name that messages can be sealed to, and how.
    #[must_use]
    pub fn receiver(&self) -> Option<(&EncryptionKey, KeyManagement)> {
        self.receiver.as_ref().map(|(key, way)| (key, *way))
    }
}

/// Where the keys of a partner come from.
#[derive(Clone)]
pub enum PartnerKeys {
    /// The set at the partner's address.
    Followed(Arc<FollowedKeys<PartnerKeySet>>),
    /// The configuration holds them.
    Pinned(Arc<PartnerKeySet>),
}

impl PartnerKeys {
    /// The keys that count now. Nothing where a set cannot be had.
    pub(crate) async fn current(&self) -> Option<Arc<PartnerKeySet>> {
        match self {
            Self::Followed(keys) => keys.current().await,
            Self::Pinned(keys) => Some(Arc::clone(keys)),
        }
    }

    /// Other keys than these, if there are any by now.
    pub(crate) async fn newer(&self, than: &Arc<PartnerKeySet>) -> Option<Arc<PartnerKeySet>> {
        match self {
            Self::Followed(keys) => keys.newer(than).await,
            Self::Pinned(_) => None,
        }
    }
}
