//! Making a seal: the first one of an installation, and another one over the same root key.

use super::row::Recovery;
use super::{AutoSource, Seal, SealFault, SealRow, UnsealKey};
use crate::hierarchy::{KekSet, RootKey};
use crate::shamir::{SECRET_BYTES, Share, ShareRule};
use countersign_base::Secret;
use countersign_crypto::random::Random;
use std::num::NonZeroU64;

/// What a seal shall be.
#[derive(Debug)]
pub enum SealPlan {
    /// A source unseals without a person.
    Auto {
        /// Which one.
        source: AutoSource,
        /// Its unseal key, which it keeps, derives or wrapped before.
        key: UnsealKey,
        /// Recovery keys for operators. Without them nothing that needs a quorum can ever be done.
        recovery: Option<ShareRule>,
    },
    /// Operators hold shares.
    Shamir(ShareRule),
}

/// A seal that was made. The caller stores the row, and what the root key seals, in one transaction, and gives the shares out after it.
#[derive(Debug)]
#[must_use]
pub struct Initialized {
    /// For storing.
    pub row: SealRow,
    /// Shares of the unseal key; none when a source keeps it.
    pub shares: Vec<Share>,
    /// Recovery keys; none when the shares are those of the unseal key.
    pub recovery_shares: Vec<Share>,
    /// The root key, which seals the key-encryption keys.
    pub root_key: RootKey,
}

/// A first seal over a new root key. `keks` are the installation's key-encryption keys, made or loaded before; a hash under them recognizes recovery keys.
///
/// # Errors
/// Never for keys of this size; the type keeps the caller from assuming it.
pub fn initialize(
    plan: SealPlan,
    keks: &KekSet,
    random: &Random,
) -> Result<Initialized, SealFault> {
    over(plan, &random.secret(), NonZeroU64::MIN, keks, random)
}

/// A first seal over the root key of an installation that had none: `root` is what its file holds, or what its passphrase stands for
/// ([`UnsealKey::from_passphrase`] and [`UnsealKey::bytes_for_source`] give the same 32 bytes). What the root key sealed stays as it is.
///
/// # Errors
/// As [`initialize`].
pub fn adopt(
    plan: SealPlan,
    root: &Secret<[u8; SECRET_BYTES]>,
    keks: &KekSet,
    random: &Random,
) -> Result<Initialized, SealFault> {
    over(plan, root, NonZeroU64::MIN, keks, random)
}

/// Another seal over the same root key, by the unseal key itself: for what a source unseals. A quorum does it by [`super::SealChange`]. The generation rises by one.
///
/// # Errors
/// When `key` does not open the row, or the generations are spent.
pub fn reseal(
    row: &SealRow,
    key: &UnsealKey,
    plan: SealPlan,
    keks: &KekSet,
    random: &Random,
) -> Result<Initialized, SealFault> {
    let root = row.open_bytes(key)?;
    over(plan, &root, row.next_generation()?, keks, random)
}

pub(super) fn over(
    plan: SealPlan,
    root: &Secret<[u8; SECRET_BYTES]>,
    generation: NonZeroU64,
    keks: &KekSet,
    random: &Random,
) -> Result<Initialized, SealFault> {
    let (row, shares, recovery_shares) = match plan {
        SealPlan::Auto {
            source,
            key,
            recovery,
        } => {
            let issued = recovery.map(|rule| Recovery::issue(rule, keks, random));
            let (recovery, recovery_shares) = issued.unzip();
            let seal = Seal::Auto { source, recovery };
            let row = SealRow::wrap(generation, seal, &key, root, random)?;
            (row, Vec::new(), recovery_shares.unwrap_or_default())
        }
        SealPlan::Shamir(rule) => {
            let key = UnsealKey::generate(random);
            let row = SealRow::wrap(generation, Seal::Shamir(rule), &key, root, random)?;
            (row, key.split(rule, random), Vec::new())
        }
    };
    Ok(Initialized {
        row,
        shares,
        recovery_shares,
        root_key: RootKey::from_bytes(root),
    })
}
