//! Evidence of a verified message whose `jti` may have been used before.

use super::{LEEWAY, MessageId, Party};
use countersign_base::UnixTime;
use countersign_crypto::digest::sha256_parts;

/// A verified message that may be a replay: it is not to be acted on until its one-time value is spent.
///
/// It has no `Clone`, no `Debug` and no way to act on its content but [`danger::spent`], which belongs to whoever keeps the memory.
#[must_use = "an unspent message may be a replay"]
pub struct Unspent<T> {
    value: T,
    one_time: OneTime,
}

/// What is to be remembered of a message, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneTime {
    /// The digest of the writer's name.
    pub owner: [u8; 32],
    /// The digest of the writer's name and of the message's.
    pub key: [u8; 32],
    /// From when on the message is refused for its age, so that this may be forgotten.
    pub expires: UnixTime,
}

impl OneTime {
    pub(super) fn new(issuer: &Party, id: &MessageId, expires: UnixTime) -> Self {
        // Neither name can hold a zero byte, so that no two pairs are one.
        let owner = sha256_parts(&[b"message\0", issuer.as_str().as_bytes()]);
        Self {
            owner,
            key: sha256_parts(&[b"message\0", &owner, b"\0", id.as_str().as_bytes()]),
            expires: expires.plus(LEEWAY),
        }
    }
}

impl<T> Unspent<T> {
    pub(super) const fn new(value: T, one_time: OneTime) -> Self {
        Self { value, one_time }
    }

    /// The message, to be judged before it is spent. Whoever looks acts on nothing of it.
    #[must_use]
    pub const fn danger_unspent(&self) -> &T {
        &self.value
    }

    /// What must be spent first.
    #[must_use]
    pub const fn one_time(&self) -> &OneTime {
        &self.one_time
    }
}

/// For the keepers of replay memories alone.
pub mod danger {
    use super::Unspent;

    /// The message, after its one-time value was marked as used, and was not before.
    pub fn spent<T>(unspent: Unspent<T>) -> T {
        unspent.value
    }
}
