//! Another seal over the same root key, by quorum: from shares to a source, from one source to another, or back.

use super::init::{Initialized, SealPlan, reseal};
use super::quorum::{Operation, QuorumHeld, sealed};
use super::{SealFault, UnsealKey};
use crate::hierarchy::KekSet;
use countersign_crypto::random::Random;

/// Asks for another seal. The plan is part of what the holders agree to.
#[derive(Debug)]
pub struct SealChange {
    /// What the seal shall be.
    pub plan: SealPlan,
}

impl sealed::Sealed for SealChange {}

impl Operation for SealChange {
    const NAME: &'static str = "change-seal";
}

impl QuorumHeld<SealChange> {
    /// Makes the seal. Where a source unseals today, it gives the unseal key once more; the holders of shares brought theirs along.
    ///
    /// # Errors
    /// [`SealFault::SourceMissing`] when a source has to give its key and did not; else as [`reseal`].
    pub fn change(
        self,
        source: Option<&UnsealKey>,
        keks: &KekSet,
        random: &Random,
    ) -> Result<Initialized, SealFault> {
        let key = self.authorized.unseal_key(source)?;
        reseal(&self.row, key, self.operation.plan, keks, random)
    }
}
