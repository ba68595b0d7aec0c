//! Nonces (RFC 8555 §6.5): made without being stored, known again by a keyed hash, and each spent at most once.
//!
//! A nonce says when it was made; what is spent is remembered until it would be too old anyway.

use crate::call::{Call, Cx};
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::mac::Tag;

/// How long a nonce can be spent.
const LASTS: Duration = Duration::from_secs(600);
const DOMAIN: &str = "acme-nonce";

/// A nonce that is ours and not too old.
#[must_use]
pub(super) struct Nonce {
    entry: EntryName,
    until: UnixTime,
}

/// Makes one: 8 octets of the time, 16 random ones, the tag of both.
pub(super) fn fresh(mount: &str, cx: &Cx<'_>) -> String {
    let body = [cx.now.0.to_be_bytes().as_slice(), &cx.random.bytes::<16>()].concat();
    let tag = cx.mac.tag(DOMAIN, &[mount.as_bytes(), &body]);
    base64url::encode(&[body.as_slice(), tag.as_bytes()].concat())
}

/// Whether it is one of ours for this mount, and not too old.
pub(super) fn check(shown: &str, call: &Call, cx: &Cx<'_>) -> Option<Nonce> {
    let bytes: [u8; 56] = base64url::decode_array(shown).ok()?;
    let (body, tag) = bytes.split_first_chunk::<24>()?;
    let tag = Tag::from_bytes(tag.try_into().ok()?);
    let mount = call.mount.uuid.as_bytes();
    let _ours = cx.mac.verify(DOMAIN, &[mount, body], &tag).ok()?;
    let made = UnixTime(i64::from_be_bytes(*body.first_chunk()?));
    let until = made.plus(LASTS);
    (cx.now < until).then(|| Nonce {
        entry: call.entry(&["pki", "acme-nonce", shown]),
        until,
    })
}

impl Nonce {
    /// # Errors
    /// As [`Work::read`].
    pub(super) fn is_spent(&self, work: &mut Work<'_>) -> Result<bool, Stop> {
        Ok(work.read::<bool>(&self.entry)?.is_some())
    }

    /// Spends it. Of two steps that do so at the same time one is committed, and the other runs again and sees it spent.
    ///
    /// # Errors
    /// As [`Work::put`].
    pub(super) fn spend(self, work: &mut Work<'_>) -> Result<(), Stop> {
        work.put_until(&self.entry, &true, Some(self.until))
    }
}
