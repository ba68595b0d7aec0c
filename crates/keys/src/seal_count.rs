//! How much one version of a key has sealed, so that it is rotated before a limit of messages or bytes.
//!
//! The count never falls behind what was sealed: a process takes a block of messages and bytes from the stored count before it seals any of it. After a crash, what was
//! taken counts as used; several processes share one stored count.
//!
//! Suite 1 derives a key for every message, so the limit of GCM with random nonces (2^32 messages a key, SP 800-38D §8.3) does not bind it; the default keeps to it all
//! the same, for it is what auditors ask for.
//!
//! Not here: storing the count, and rotating.

use serde::{Deserialize, Serialize};

/// Messages and bytes of plaintext.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealCount {
    /// Messages.
    pub messages: u64,
    /// Bytes of their plaintexts.
    pub bytes: u64,
}

impl SealCount {
    /// The sum; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    const fn minus(self, other: Self) -> Option<Self> {
        match (
            self.messages.checked_sub(other.messages),
            self.bytes.checked_sub(other.bytes),
        ) {
            (Some(messages), Some(bytes)) => Some(Self { messages, bytes }),
            (None, _) | (_, None) => None,
        }
    }

    const fn is_within(self, limit: Self) -> bool {
        self.messages <= limit.messages && self.bytes <= limit.bytes
    }
}

/// When a version is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealLimits {
    /// A version seals no more than this.
    pub limit: SealCount,
    /// What is taken from the stored count at a time.
    pub block: SealCount,
}

impl Default for SealLimits {
    /// 2^32 messages, 2^50 bytes; blocks of 2^16 messages and 2^32 bytes.
    fn default() -> Self {
        Self {
            limit: SealCount {
                messages: 1 << 32,
                bytes: 1 << 50,
            },
            block: SealCount {
                messages: 1 << 16,
                bytes: 1 << 32,
            },
        }
    }
}

impl SealLimits {
    /// Whether a stored count has come so far (three quarters of the limit) that a rotation is due in the background, before anybody has to wait for one.
    #[must_use]
    pub fn is_due(&self, stored: SealCount) -> bool {
        let share = |limit: u64| limit - limit / 4;
        stored.messages >= share(self.limit.messages) || stored.bytes >= share(self.limit.bytes)
    }
}

/// One process's count of one version.
#[derive(Debug)]
pub struct SealCounter {
    limits: SealLimits,
    /// Taken from the stored count and not used yet.
    left: SealCount,
}

/// Whether a message may be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Counted {
    /// It may; it is counted.
    Granted,
    /// A block has to be added to the stored count first; then it is asked again.
    Reserve(SealCount),
}

/// Whether a block counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Reserved {
    /// Messages may be sealed.
    Granted,
    /// The limit would be passed: this version seals no more.
    Rotate,
}

impl SealCounter {
    /// Begins with nothing taken, whatever was taken before a stop.
    #[must_use]
    pub const fn new(limits: SealLimits) -> Self {
        Self {
            limits,
            left: SealCount {
                messages: 0,
                bytes: 0,
            },
        }
    }

    /// Asks for a message of `bytes`.
    pub fn count(&mut self, bytes: u64) -> Counted {
        let message = SealCount { messages: 1, bytes };
        match self.left.minus(message) {
            Some(left) => {
                self.left = left;
                Counted::Granted
            }
            // At least as much as this message needs, or it would be asked for again and again.
            None => Counted::Reserve(SealCount {
                messages: self.limits.block.messages.max(1),
                bytes: self.limits.block.bytes.max(bytes),
            }),
        }
    }

    /// Takes a block that was added durably; `stored` is the count after it.
    pub fn reserved(&mut self, block: SealCount, stored: SealCount) -> Reserved {
        if stored.is_within(self.limits.limit) {
            self.left = self.left.plus(block);
            Reserved::Granted
        } else {
            Reserved::Rotate
        }
    }
}

#[cfg(test)]
mod tests;
