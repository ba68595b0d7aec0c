//! New shares: of a new unseal key over the same root key, or new recovery keys. The old ones stop counting when the new row is stored.
//!
//! With verification the new row is given out only after enough of the new shares came back, so that shares which were lost on the way lock nobody out.

use super::gathering::{Gathered, Gathering};
use super::init::{Initialized, SealPlan, over};
use super::quorum::{
    Authorized, CancelBy, Cancelled, Operation, QUORUM_AGE_MAX, QuorumHeld, QuorumRefused, sealed,
};
use super::row::Recovery;
use super::{Nonce, Seal, SealFault, SealRow};
use crate::hierarchy::KekSet;
use crate::shamir::{Share, ShareRule};
use countersign_base::UnixTime;
use countersign_crypto::random::Random;
use std::num::NonZeroU64;

/// Asks for new shares.
#[derive(Debug, Clone, Copy)]
pub struct RekeyRequest {
    /// How many there shall be.
    pub rule: ShareRule,
    /// Whether they have to be shown once before they count.
    pub verification: Verification,
}

impl sealed::Sealed for RekeyRequest {}

impl Operation for RekeyRequest {
    const NAME: &'static str = "rekey";
}

/// Whether new shares have to be shown once before they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// They count at once.
    NotRequired,
    /// As many as will be needed are shown first.
    Required,
}

/// New shares that count once the row is stored.
#[derive(Debug)]
#[must_use]
pub struct Rekeyed {
    /// For storing, in the place of the generation before.
    pub row: SealRow,
    /// For the holders, after the row is stored.
    pub shares: Vec<Share>,
}

/// What a rekey ends in.
#[derive(Debug)]
#[must_use]
pub enum RekeyOutcome {
    /// The row is to be stored.
    Done(Rekeyed),
    /// The shares go to their holders and have to come back; the old ones count until then.
    ToVerify(RekeyVerification, Vec<Share>),
}

impl QuorumHeld<RekeyRequest> {
    /// Makes the new shares.
    ///
    /// # Errors
    /// When the generations are spent.
    pub fn rekey(
        self,
        keks: &KekSet,
        random: &Random,
        now: UnixTime,
    ) -> Result<RekeyOutcome, SealFault> {
        let Self {
            row,
            operation,
            authorized,
        } = self;
        let generation = row.next_generation()?;
        let (row, shares) = match authorized {
            Authorized::Recovery(_) => recovery_row(row, generation, operation.rule, keks, random)?,
            Authorized::Shares(key) => {
                let root = row.open_bytes(&key)?;
                let plan = SealPlan::Shamir(operation.rule);
                let Initialized { row, shares, .. } = over(plan, &root, generation, keks, random)?;
                (row, shares)
            }
        };
        Ok(match operation.verification {
            Verification::NotRequired => RekeyOutcome::Done(Rekeyed { row, shares }),
            Verification::Required => RekeyOutcome::ToVerify(
                RekeyVerification {
                    row,
                    nonce: Nonce::generate(random),
                    gathering: Gathering::new(operation.rule),
                    started_at: now,
                },
                shares,
            ),
        })
    }
}

/// The same wrapped root key with new recovery keys: nobody needs the unseal key for that.
fn recovery_row(
    row: SealRow,
    generation: NonZeroU64,
    rule: ShareRule,
    keks: &KekSet,
    random: &Random,
) -> Result<(SealRow, Vec<Share>), SealFault> {
    let Seal::Auto { source, .. } = row.seal else {
        return Err(SealFault::NoQuorum);
    };
    let (recovery, shares) = Recovery::issue(rule, keks, random);
    let seal = Seal::Auto {
        source,
        recovery: Some(recovery),
    };
    let row = SealRow {
        generation,
        seal,
        root: row.root,
    };
    Ok((row, shares))
}

/// New shares that have to be shown before they count.
#[derive(Debug)]
#[must_use]
pub struct RekeyVerification {
    row: SealRow,
    nonce: Nonce,
    gathering: Gathering,
    started_at: UnixTime,
}

/// What became of a verification by one more share.
#[derive(Debug)]
#[must_use]
pub enum VerificationStep {
    /// More shares are needed.
    More(RekeyVerification),
    /// The share did not count, or was the last of a wrong set.
    Refused(RekeyVerification, QuorumRefused),
    /// The row is to be stored, in the place of the generation before.
    Verified(SealRow),
}

impl RekeyVerification {
    /// Takes one of the new shares.
    pub fn provide(
        self,
        nonce: &Nonce,
        share: Share,
        keks: &KekSet,
        now: UnixTime,
    ) -> VerificationStep {
        if !self.nonce.is_same(nonce) {
            return VerificationStep::Refused(self, QuorumRefused::NonceDiffers);
        }
        if now.since(self.started_at) > QUORUM_AGE_MAX {
            let gathering = Gathering::new(self.gathering.rule());
            return VerificationStep::Refused(Self { gathering, ..self }, QuorumRefused::Expired);
        }
        let (row, nonce, started_at) = (self.row, self.nonce, self.started_at);
        let with = |row, gathering| Self {
            row,
            nonce,
            gathering,
            started_at,
        };
        match self.gathering.provide(share) {
            Gathered::Conflict(gathering) => {
                VerificationStep::Refused(with(row, gathering), QuorumRefused::Conflict)
            }
            Gathered::Full(shares, gathering) => match Authorized::by(&row, &shares, keks) {
                Some(_) => VerificationStep::Verified(row),
                None => VerificationStep::Refused(with(row, gathering), QuorumRefused::WrongShares),
            },
            Gathered::More(gathering) => VerificationStep::More(with(row, gathering)),
        }
    }

    /// Drops the shares that were shown and takes a new nonce; the new shares stay the same.
    ///
    /// # Errors
    /// The verification, going on, when the nonce is another one.
    #[expect(clippy::result_large_err, reason = "what is refused goes on as it was")]
    pub fn restart(self, by: CancelBy<'_>, random: &Random) -> Result<Self, Self> {
        if by.is_allowed(&self.nonce) {
            Ok(Self {
                gathering: Gathering::new(self.gathering.rule()),
                nonce: Nonce::generate(random),
                row: self.row,
                started_at: self.started_at,
            })
        } else {
            Err(self)
        }
    }

    /// Gives the new shares up; the old ones go on counting.
    ///
    /// # Errors
    /// The verification, going on, when the nonce is another one.
    #[expect(clippy::result_large_err, reason = "what is refused goes on as it was")]
    pub fn cancel(self, by: CancelBy<'_>) -> Result<Cancelled, Self> {
        if by.is_allowed(&self.nonce) {
            Ok(Cancelled::new())
        } else {
            Err(self)
        }
    }

    /// Its name.
    #[must_use]
    pub const fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// How many different shares were shown, and how many are needed.
    #[must_use]
    pub fn progress(&self) -> (u8, u8) {
        (self.gathering.progress(), self.gathering.rule().threshold())
    }
}
