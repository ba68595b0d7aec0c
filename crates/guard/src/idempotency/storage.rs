//! What a storage of keys has to do: the trait, the values that pass, and the one judgement that every storage makes.
//!
//! A storage keeps, under a name of 32 bytes, who was first, what was asked and what became of it. Taking a key is atomic: of any number that come at once one is the first. Whoever
//! takes one gets a fencing token, and an end counts only with the token that the key has now.

use super::answer::Answer;
use countersign_base::UnixTime;
use futures_util::future::BoxFuture;
use std::fmt;

/// Proves who took a key: drawn anew each time that one is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FencingToken([u8; 16]);

impl FencingToken {
    /// The token of these bytes, which nobody draws twice.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FencingToken")
    }
}

/// What becomes of a key whose first request said nothing until its lease was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLease {
    /// Whether it took effect is not known: whoever asks is told so, and nothing is done again.
    OutcomeUnknown,
    /// It is executed again. Right only where executing it twice has the effect of once: because the handler says so of itself, or because it completes the key in the transaction of
    /// its own effects ([`super::Execution`]).
    RunAgain,
}

/// A request that wants to be the first under a key.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The digest of whose key it is, for what, and the key.
    pub name: [u8; 32],
    /// The digest of who asks: tenant, issuer, subject and client.
    pub caller: [u8; 32],
    /// The digest of what is asked.
    pub fingerprint: [u8; 32],
    /// What it proves itself with later.
    pub token: FencingToken,
    /// Now.
    pub now: UnixTime,
    /// Until when it will have said what became of it.
    pub lease_ends: UnixTime,
    /// Until when its answer is kept.
    pub expires: UnixTime,
    /// What to do with a first one that said nothing in time.
    pub after_lease: AfterLease,
}

/// What is kept of a key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The digest of what was asked.
    pub fingerprint: [u8; 32],
    /// How often it was taken; 1 for the first time.
    pub attempt: u32,
    /// Until when whoever took it will have said what became of it.
    pub lease_ends: UnixTime,
    /// Until when it is kept.
    pub expires: UnixTime,
    /// What became of it.
    pub state: EntryState,
}

/// What became of the first request under a key.
#[derive(Debug, Clone)]
pub enum EntryState {
    /// It was answered so.
    Answered(Answer),
    /// It was answered, and the answer is not kept.
    NotKept,
    /// Nobody said yet.
    Running,
    /// Nobody knows.
    Unknown,
}

/// What a claim found.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// It is the first, or takes over: this is the so-and-so-manieth attempt.
    First {
        /// 1, unless an earlier one said nothing in time.
        attempt: u32,
    },
    /// Somebody else was first.
    Known(Known),
    /// There is no room for another key.
    NoRoom,
}

/// What whoever asks again is told.
#[derive(Debug, Clone)]
pub enum Known {
    /// The first one was answered so.
    Answered(Answer),
    /// Something else was asked under this key.
    Mismatch,
    /// The first one was answered, and the answer is not kept.
    NotKept,
    /// The first one is under way.
    Running,
    /// What became of the first one nobody knows.
    Unknown,
}

/// What a storage does with a claim, given what it has under the name.
#[derive(Debug, Clone)]
pub enum Judgement {
    /// Answer with this.
    Tell(Known),
    /// Put the claim in its place, as this attempt.
    Take {
        /// 1, unless an earlier one said nothing in time.
        attempt: u32,
    },
}

/// How a first request ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// With this answer.
    Answered(Answer),
    /// It surely was not carried out: the key is free.
    Free,
    /// With an answer that is not kept.
    NotKept,
    /// Nobody knows.
    Unknown,
}

/// Whether an end counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It does, and is as durable as the storage is.
    Kept,
    /// The key is somebody else's by now, or was completed already; nothing was changed.
    Lost,
}

/// The storage cannot be asked. Nothing is executed then.
#[derive(Debug, thiserror::Error)]
#[error("the storage of idempotency keys failed: {0}")]
pub struct StorageError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StorageError {
    /// With what the storage itself says.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Where keys are kept.
pub trait IdempotencyStorage: Send + Sync + 'static {
    /// Takes the key of `claim`, or tells what is known of it: [`judge`] says which. Of claims at once, one takes it.
    ///
    /// When this answers [`Claimed::First`], the taking is as durable as this storage is. A future that is dropped may have taken the key; its lease ends.
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StorageError>>;

    /// Writes what became of the key `name`, if `token` is the one that it was last taken with and nothing was written yet.
    fn end(
        &self,
        name: [u8; 32],
        token: FencingToken,
        ending: Ending,
    ) -> BoxFuture<'_, Result<Ended, StorageError>>;
}

/// What is done with a claim where `entry` is kept under its name. An entry past its time is as if it were not there, but one that is under its lease stays until that ends.
#[must_use]
pub fn judge(entry: Option<&Entry>, claim: &Claim) -> Judgement {
    let Some(entry) = entry else {
        return Judgement::Take { attempt: 1 };
    };
    let lease_is_over = entry.lease_ends <= claim.now;
    let runs = matches!(entry.state, EntryState::Running) && !lease_is_over;
    if entry.expires <= claim.now && !runs {
        return Judgement::Take { attempt: 1 };
    }
    if entry.fingerprint != claim.fingerprint {
        return Judgement::Tell(Known::Mismatch);
    }
    Judgement::Tell(match (&entry.state, claim.after_lease) {
        (EntryState::Answered(answer), _) => Known::Answered(answer.clone()),
        (EntryState::NotKept, _) => Known::NotKept,
        (EntryState::Running, _) if !lease_is_over => Known::Running,
        (EntryState::Running | EntryState::Unknown, AfterLease::RunAgain) => {
            let attempt = entry.attempt.saturating_add(1);
            return Judgement::Take { attempt };
        }
        (EntryState::Running | EntryState::Unknown, AfterLease::OutcomeUnknown) => Known::Unknown,
    })
}

#[cfg(test)]
mod tests;
