//! The process's memory of one-time credentials that live shorter than a restart matters: DPoP proofs.
//!
//! The memory itself is [`countersign_authn::replay`]; here is the door through which the shell spends. Client assertions are not
//! spent here but in the database ([`crate::Store::issue`]), so that a restart does not forget them.

use countersign_authn::Unspent;
use countersign_authn::replay::{ReplayLimits, Replayed};
use countersign_base::UnixTime;

/// One per process, shared by every core: a proof that was sent to one core is known on all.
#[derive(Debug)]
pub struct ReplayMemory(countersign_authn::replay::ReplayMemory);

impl ReplayMemory {
    /// An empty memory.
    #[must_use]
    pub fn new(limits: ReplayLimits) -> Self {
        Self(countersign_authn::replay::ReplayMemory::new(limits))
    }

    /// Spends the one-time values of a credential and opens it. Of any number of calls with the same value, one succeeds.
    ///
    /// # Errors
    /// When it was used before, is past its time, or its owner has used more than is remembered; nothing is evicted to make room.
    pub fn spend_replay<T>(&self, unspent: Unspent<T>, now: UnixTime) -> Result<T, Replayed> {
        self.0.spend(unspent, now)
    }
}
