//! Gathering a quorum for one operation, and the evidence that it was gathered.
//!
//! The holders are those of the unseal key's shares, or of recovery keys where a source unseals. An operation has a nonce: whoever gives a share names it, so that no share
//! given for one operation counts for another. Cancelling takes the nonce or an authorization (CVE-2025-4656, CVE-2025-52894, CVE-2026-5807), and starting does not
//! replace what is under way.

use super::gathering::{Gathered, Gathering};
use super::{Nonce, Seal, SealFault, SealRow, UnsealKey};
use crate::hierarchy::KekSet;
use crate::shamir::Share;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::mac::TagVerified;
use countersign_crypto::random::Random;

/// How long an operation waits for its quorum. Shares that were given for it lie in memory no longer than this is asked about.
pub const QUORUM_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a quorum is gathered for. Only the types of this module's siblings are operations.
pub trait Operation: sealed::Sealed {
    /// What records call it.
    const NAME: &'static str;
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// An operation that waits for its quorum.
#[derive(Debug)]
#[must_use]
pub struct Quorum<O: Operation> {
    row: SealRow,
    operation: O,
    nonce: Nonce,
    gathering: Gathering,
    started_at: UnixTime,
}

/// What became of a quorum by one more share.
#[derive(Debug)]
#[must_use]
pub enum QuorumStep<O: Operation> {
    /// Enough holders agreed.
    Held(QuorumHeld<O>),
    /// More shares are needed.
    More(Quorum<O>),
    /// The share did not count, or was the last of a wrong set.
    Refused(Quorum<O>, QuorumRefused),
}

/// Why a share did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumRefused {
    /// Two different shares have one number; all were dropped.
    #[error("two different shares have the same number; start again")]
    Conflict,
    /// The operation waited too long; all shares were dropped. Another one may be started.
    #[error("the operation has waited for too long; start another one")]
    Expired,
    /// The nonce is that of no operation, or of another; nothing changed.
    #[error("the nonce is not the one of this operation")]
    NonceDiffers,
    /// The shares are not those of this seal; all were dropped.
    #[error("these shares do not authorize the operation; start again")]
    WrongShares,
}

/// What there is to say of an operation under way.
#[derive(Debug, Clone)]
pub struct QuorumProgress {
    /// Its name.
    pub nonce: Nonce,
    /// When it was started.
    pub started_at: UnixTime,
    /// How many different shares were given.
    pub progress: u8,
    /// How many are needed.
    pub required: u8,
}

/// An authorization to cancel operations of others. The caller implements it for the evidence of its decision, and for nothing else.
pub trait CancelAuthority: Sync {}

/// Who cancels.
#[derive(Clone, Copy)]
pub enum CancelBy<'a> {
    /// Somebody whom a decision permits it.
    Authority(&'a dyn CancelAuthority),
    /// Whoever started it, or was told its nonce.
    Nonce(&'a Nonce),
}

impl CancelBy<'_> {
    pub(super) fn is_allowed(self, nonce: &Nonce) -> bool {
        match self {
            Self::Authority(_) => true,
            Self::Nonce(given) => given.is_same(nonce),
        }
    }
}

/// Evidence that an operation was cancelled; its shares are wiped.
#[derive(Debug)]
#[must_use]
pub struct Cancelled(());

impl Cancelled {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl<O: Operation> Quorum<O> {
    /// Starts to gather. `running` is the operation of this kind that is under way, if one is.
    ///
    /// # Errors
    /// [`SealFault::UnderWay`] when one is: it ends, is cancelled or expires first. [`SealFault::NoQuorum`] when nobody holds shares or recovery keys.
    pub fn start(
        running: Option<&Self>,
        row: SealRow,
        operation: O,
        random: &Random,
        now: UnixTime,
    ) -> Result<Self, SealFault> {
        if running.is_some_and(|running| !running.is_expired(now)) {
            return Err(SealFault::UnderWay);
        }
        let rule = row.seal().rule().ok_or(SealFault::NoQuorum)?;
        Ok(Self {
            row,
            operation,
            nonce: Nonce::generate(random),
            gathering: Gathering::new(rule),
            started_at: now,
        })
    }

    /// Takes a share for the operation that `nonce` names. One that was given before counts once. `keks` recognize recovery keys.
    pub fn provide(
        self,
        nonce: &Nonce,
        share: Share,
        keks: &KekSet,
        now: UnixTime,
    ) -> QuorumStep<O> {
        if !self.nonce.is_same(nonce) {
            return QuorumStep::Refused(self, QuorumRefused::NonceDiffers);
        }
        if self.is_expired(now) {
            let gathering = Gathering::new(self.gathering.rule());
            return QuorumStep::Refused(Self { gathering, ..self }, QuorumRefused::Expired);
        }
        let (row, operation, nonce, started_at) =
            (self.row, self.operation, self.nonce, self.started_at);
        let with = |row, operation, gathering| Self {
            row,
            operation,
            nonce,
            gathering,
            started_at,
        };
        match self.gathering.provide(share) {
            Gathered::Conflict(gathering) => {
                QuorumStep::Refused(with(row, operation, gathering), QuorumRefused::Conflict)
            }
            Gathered::Full(shares, gathering) => match Authorized::by(&row, &shares, keks) {
                Some(authorized) => QuorumStep::Held(QuorumHeld {
                    row,
                    operation,
                    authorized,
                }),
                None => {
                    QuorumStep::Refused(with(row, operation, gathering), QuorumRefused::WrongShares)
                }
            },
            Gathered::More(gathering) => QuorumStep::More(with(row, operation, gathering)),
        }
    }

    /// Gives the operation up.
    ///
    /// # Errors
    /// The operation, going on, when the nonce is another one.
    #[expect(clippy::result_large_err, reason = "what is refused goes on as it was")]
    pub fn cancel(self, by: CancelBy<'_>) -> Result<Cancelled, Self> {
        if by.is_allowed(&self.nonce) {
            Ok(Cancelled::new())
        } else {
            Err(self)
        }
    }

    /// Whether it waited too long: it takes no share any more, and another one may be started in its place.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        now.since(self.started_at) > QUORUM_AGE_MAX
    }

    /// What there is to say of it.
    #[must_use]
    pub fn progress(&self) -> QuorumProgress {
        QuorumProgress {
            nonce: self.nonce.clone(),
            started_at: self.started_at,
            progress: self.gathering.progress(),
            required: self.gathering.rule().threshold(),
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn operation(&self) -> &O {
        &self.operation
    }
}

/// Evidence that enough holders agreed to this one operation. Carrying it out consumes it.
#[derive(Debug)]
#[must_use]
pub struct QuorumHeld<O: Operation> {
    pub(super) row: SealRow,
    pub(super) operation: O,
    pub(super) authorized: Authorized,
}

impl<O: Operation> QuorumHeld<O> {
    /// What they agreed to.
    #[must_use]
    pub const fn operation(&self) -> &O {
        &self.operation
    }
}

/// What a quorum of right shares gives.
#[derive(Debug)]
pub(super) enum Authorized {
    /// Recovery keys were recognized. They open nothing.
    Recovery(TagVerified),
    /// The unseal key itself.
    Shares(UnsealKey),
}

impl Authorized {
    /// The unseal key: the one that the holders brought along, or what the source gave when they hold recovery keys.
    pub(super) fn unseal_key<'a>(
        &'a self,
        source: Option<&'a UnsealKey>,
    ) -> Result<&'a UnsealKey, SealFault> {
        match self {
            Self::Recovery(_) => source.ok_or(SealFault::SourceMissing),
            Self::Shares(key) => Ok(key),
        }
    }

    /// Checks shares against a row: those of the unseal key by opening it, recovery keys by their keyed hash.
    pub(super) fn by(row: &SealRow, shares: &[Share], keks: &KekSet) -> Option<Self> {
        match row.seal() {
            Seal::Auto { recovery, .. } => {
                recovery.as_ref()?.verify(shares, keks).map(Self::Recovery)
            }
            Seal::Shamir(_) => {
                let key = UnsealKey::from_shares(shares).ok()?;
                row.open_bytes(&key).ok().map(|_| Self::Shares(key))
            }
        }
    }
}
