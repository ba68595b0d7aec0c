//! Unsealing by shares after a start. Each process gathers for itself; nothing of it is stored.

use super::gathering::{Gathered, Gathering};
use super::{Nonce, Seal, SealFault, SealRow, SealStatus, UnsealKey};
use crate::hierarchy::RootKey;
use crate::shamir::Share;
use countersign_crypto::random::Random;

/// A sealed process whose operators hold shares.
#[derive(Debug)]
#[must_use]
pub struct Unsealing {
    row: SealRow,
    gathering: Gathering,
    /// There is one from the first share on.
    nonce: Option<Nonce>,
}

/// What became of an unsealing by one more share.
#[derive(Debug)]
#[must_use]
pub enum UnsealStep {
    /// More shares are needed.
    More(Unsealing),
    /// The shares were wrong, and all were dropped.
    Refused(Unsealing, UnsealRefused),
    /// The root key, and the row that it came from.
    Unsealed(RootKey, SealRow),
}

/// Why shares were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealRefused {
    /// Two different shares have one number.
    #[error("two different shares have the same number; start again")]
    Conflict,
    /// The shares are not those of this seal. Which of them is wrong cannot be told.
    #[error("these shares do not open the seal; start again")]
    WrongShares,
}

impl Unsealing {
    /// Begins to gather.
    ///
    /// # Errors
    /// [`SealFault::NoQuorum`] when a source unseals and there are no shares.
    pub fn new(row: SealRow) -> Result<Self, SealFault> {
        match row.seal() {
            Seal::Auto { .. } => Err(SealFault::NoQuorum),
            Seal::Shamir(rule) => Ok(Self {
                gathering: Gathering::new(*rule),
                row,
                nonce: None,
            }),
        }
    }

    /// Takes a share. One that was given before counts once.
    pub fn provide(self, share: Share, random: &Random) -> UnsealStep {
        let (row, nonce) = (self.row, self.nonce);
        match self.gathering.provide(share) {
            Gathered::Conflict(gathering) => {
                UnsealStep::Refused(Self::empty(row, gathering), UnsealRefused::Conflict)
            }
            Gathered::Full(shares, gathering) => {
                let opened = UnsealKey::from_shares(&shares)
                    .ok()
                    .and_then(|key| row.open(&key).ok());
                match opened {
                    Some(root) => UnsealStep::Unsealed(root, row),
                    None => {
                        UnsealStep::Refused(Self::empty(row, gathering), UnsealRefused::WrongShares)
                    }
                }
            }
            Gathered::More(gathering) => UnsealStep::More(Self {
                nonce: Some(nonce.unwrap_or_else(|| Nonce::generate(random))),
                row,
                gathering,
            }),
        }
    }

    /// Drops the shares that were given.
    pub fn reset(self) -> Self {
        let gathering = Gathering::new(self.gathering.rule());
        Self::empty(self.row, gathering)
    }

    /// For `sys/seal-status`.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        SealStatus {
            progress: self.gathering.progress(),
            nonce: self
                .nonce
                .as_ref()
                .map(Nonce::to_string)
                .unwrap_or_default(),
            ..SealStatus::sealed(&self.row)
        }
    }

    const fn empty(row: SealRow, gathering: Gathering) -> Self {
        Self {
            row,
            gathering,
            nonce: None,
        }
    }
}
