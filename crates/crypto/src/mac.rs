//! Keyed hashes (HMAC-SHA-256) over separated parts, for handles, refresh tokens and nonces.
//!
//! What is hashed is `len(domain) ‖ domain ‖ len(part) ‖ part ...`, each length as 8 bytes, big-endian: no two lists of parts
//! hash alike, and a tag of one domain is never one of another.

use crate::base64url;
use aws_lc_rs::hmac;
use countersign_base::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A key for tags. Its copies share the key's state, which is most of a kilobyte.
#[derive(Clone)]
pub struct MacKey(Arc<hmac::Key>);

impl MacKey {
    /// Makes the key of 32 bytes.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the secret is taken into custody, so that the caller keeps no second copy"
    )]
    pub fn new(key: Secret<[u8; 32]>) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// The tag of `parts` in `domain`.
    #[must_use]
    pub fn tag(&self, domain: &'static str, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        Tag(tag)
    }

    /// Checks that `tag` is the tag of `parts` in `domain`, in constant time.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(
        &self,
        domain: &'static str,
        parts: &[&[u8]],
        tag: &Tag,
    ) -> Result<TagVerified, MacError> {
        self.tag(domain, parts).verify_same(tag)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

/// A tag of 32 bytes. It has no `PartialEq`: tags are compared by [`MacKey::verify`] or [`Tag::verify_same`], in constant time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag([u8; 32]);

impl Tag {
    /// Takes the 32 bytes of a tag, as they were stored or received.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for storing or sending.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares two tags in constant time: a freshly computed one with the one that was stored.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify_same(&self, other: &Self) -> Result<TagVerified, MacError> {
        if bool::from(self.0.ct_eq(&other.0)) {
            Ok(TagVerified(()))
        } else {
            Err(MacError)
        }
    }
}

impl TryFrom<String> for Tag {
    type Error = base64url::NotBase64Url;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        base64url::decode_array(&text).map(Self)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        base64url::encode(&tag.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag")
    }
}

/// Evidence that a tag was the right one.
#[derive(Debug)]
#[must_use]
pub struct TagVerified(());

/// The tag is not the one of these parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tag does not match")]
pub struct MacError;

#[cfg(test)]
mod tests;
