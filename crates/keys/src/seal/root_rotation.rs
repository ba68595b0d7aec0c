//! A new root key: wrapped by the same unseal key, with every version of the key-encryption key sealed again under it.
//!
//! Data is not touched: its keys hang below the key-encryption keys, which stay.

use super::quorum::{Operation, QuorumHeld, sealed};
use super::{SealFault, SealRow, UnsealKey};
use crate::envelope::Sealed;
use crate::hierarchy::{Kek, RootKey};
use countersign_crypto::random::Random;

/// Asks for a new root key.
#[derive(Debug, Clone, Copy)]
pub struct RootRotation;

impl sealed::Sealed for RootRotation {}

impl Operation for RootRotation {
    const NAME: &'static str = "rotate-root";
}

/// A new root key. The caller stores the row, in the place of the generation before, and the key-encryption keys in one transaction, which fails when a version was added
/// since they were read: that one would be left under the old root key.
#[derive(Debug)]
#[must_use]
pub struct RootRotated {
    /// For storing.
    pub row: SealRow,
    /// The versions of the key-encryption key, in the order in which they were given.
    pub keks: Vec<Sealed>,
    /// The new root key.
    pub root_key: RootKey,
}

impl QuorumHeld<RootRotation> {
    /// Rotates. Where a source unseals, it gives the unseal key once more; the holders of shares brought theirs along.
    ///
    /// # Errors
    /// As [`rotate_root`]; [`SealFault::SourceMissing`] when a source has to give its key and did not.
    pub fn rotate(
        self,
        source: Option<&UnsealKey>,
        keks: &[Sealed],
        random: &Random,
    ) -> Result<RootRotated, SealFault> {
        let key = self.authorized.unseal_key(source)?;
        rotate_root(&self.row, key, keks, random)
    }
}

/// Rotates the root key by the unseal key itself, for what a source unseals on a schedule.
///
/// # Errors
/// When `key` does not open the row, a key-encryption key does not open under the present root key, or the generations are spent.
pub fn rotate_root(
    row: &SealRow,
    key: &UnsealKey,
    keks: &[Sealed],
    random: &Random,
) -> Result<RootRotated, SealFault> {
    let present = row.open(key)?;
    let bytes = random.secret();
    let root_key = RootKey::from_bytes(&bytes);
    let rewrapped: Result<Vec<Sealed>, SealFault> = keks
        .iter()
        .map(|kek| Ok(Kek::unwrap(&present, kek)?.wrap(&root_key, random)?))
        .collect();
    Ok(RootRotated {
        row: SealRow::wrap(
            row.next_generation()?,
            row.seal.clone(),
            key,
            &bytes,
            random,
        )?,
        keks: rewrapped?,
        root_key,
    })
}
