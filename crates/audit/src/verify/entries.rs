//! Reading entries from their bundles, in order; finding one and proving it; following the end.

use super::{CHECKPOINT_PATH, LogFiles, VerifyError};
use crate::checkpoint::Checkpoint;
use crate::merkle::{Hash, TileLevels};
use crate::note::VerifierKey;
use crate::proof::{Receipt, prove_inclusion, verify_inclusion};
use crate::record::Record;
use crate::tile::{TILE_WIDTH, Tile, bundle_entries};
use countersign_base::EventId;
use std::collections::VecDeque;

/// The entries `from..size` of a log, bundle by bundle.
#[derive(Debug)]
pub struct Entries<'a, F> {
    files: &'a F,
    next: u64,
    size: u64,
    ahead: VecDeque<Vec<u8>>,
    bundles: u64,
}

impl<'a, F: LogFiles> Entries<'a, F> {
    /// The entries from number `from` on, below `size`.
    #[must_use]
    pub const fn new(files: &'a F, from: u64, size: u64) -> Self {
        Self {
            files,
            next: from,
            size,
            ahead: VecDeque::new(),
            bundles: 0,
        }
    }

    /// The next entry with its number; `None` after the last.
    ///
    /// # Errors
    /// When a bundle is missing or malformed.
    pub fn next_entry(&mut self) -> Result<Option<(u64, Vec<u8>)>, VerifyError> {
        if self.next >= self.size {
            return Ok(None);
        }
        if self.ahead.is_empty() {
            self.ahead = self.read_bundle()?;
        }
        let index = self.next;
        self.next += 1;
        Ok(self.ahead.pop_front().map(|entry| (index, entry)))
    }

    /// How many bundles were read.
    #[must_use]
    pub const fn bundles(&self) -> u64 {
        self.bundles
    }

    fn read_bundle(&mut self) -> Result<VecDeque<Vec<u8>>, VerifyError> {
        let index = self.next / TILE_WIDTH;
        let width =
            usize::try_from((self.size - index * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or(256);
        let tile = Tile::entries(index, width);
        let malformed = || VerifyError::Tile { path: tile.path() };
        let skipped = usize::try_from(self.next % TILE_WIDTH).unwrap_or(0);
        let entries: VecDeque<Vec<u8>> = if let Some(bytes) = self.files.read(&tile.path())? {
            bundle_entries(&bytes, width)
                .ok_or_else(malformed)?
                .into_iter()
                .skip(skipped)
                .map(<[u8]>::to_vec)
                .collect()
        } else {
            // The partial bundle may have been removed because the full one is there, which begins with the same entries.
            let full = Tile::entries(index, 256);
            let bytes = self
                .files
                .read(&full.path())?
                .ok_or_else(|| VerifyError::missing(&tile.path()))?;
            let entries = bundle_entries(&bytes, 256).ok_or_else(malformed)?;
            entries
                .into_iter()
                .take(width)
                .skip(skipped)
                .map(<[u8]>::to_vec)
                .collect()
        };
        self.bundles += 1;
        Ok(entries)
    }
}

/// The bytes of a hash tile, from the full tile if the partial one is gone.
pub(super) fn read_hash_tile<F: LogFiles>(files: &F, tile: Tile) -> Result<Vec<u8>, VerifyError> {
    if let Some(bytes) = files.read(&tile.path())? {
        return Ok(bytes);
    }
    let full = Tile { width: 256, ..tile };
    let mut bytes = files
        .read(&full.path())?
        .ok_or_else(|| VerifyError::missing(&tile.path()))?;
    bytes.truncate(usize::from(tile.width) * 32);
    Ok(bytes)
}

/// One event, found in the log and proven to be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    /// Its number.
    pub index: u64,
    /// What it says.
    pub record: Record,
    /// The receipt that anybody can verify offline.
    pub receipt: Receipt,
}

/// Finds the event `id`, reading all entries, and proves that the signed root covers it. `None` if it is not under the checkpoint (yet).
///
/// # Errors
/// When the entries do not lead to the signed root.
pub fn prove<F: LogFiles>(
    files: &F,
    key: &VerifierKey,
    id: EventId,
) -> Result<Option<Proven>, VerifyError> {
    let (note, checkpoint) = read_checkpoint(files, key)?;
    let mut entries = Entries::new(files, 0, checkpoint.size);
    let mut leaves = Vec::new();
    let mut found = None;
    while let Some((index, entry)) = entries.next_entry()? {
        leaves.push(Hash::of_leaf(&entry));
        if found.is_none() {
            let record = Record::decode(&entry).map_err(|cause| VerifyError::Entry {
                index,
                cause: cause.to_string(),
            })?;
            found = (record.id == id).then_some((index, record));
        }
    }
    let differs = VerifyError::Root {
        size: checkpoint.size,
    };
    let tree = TileLevels::of_leaves(leaves);
    if tree.root(checkpoint.size) != Some(checkpoint.root) {
        return Err(differs);
    }
    let Some((index, record)) = found else {
        return Ok(None);
    };
    let hashes = prove_inclusion(&tree, index, checkpoint.size).unwrap_or_default();
    let leaf = Hash::of_leaf(record.encode().as_bytes());
    let included = verify_inclusion(&hashes, &leaf, index, checkpoint.size, &checkpoint.root)
        .map_err(|_| differs)?;
    let receipt = Receipt {
        index: included.index(),
        hashes,
        checkpoint: note,
    };
    Ok(Some(Proven {
        checkpoint,
        index,
        record,
        receipt,
    }))
}

/// The records from number `from` up to the checkpoint, and the number to go on from.
///
/// # Errors
/// When the checkpoint does not hold or an entry cannot be read.
pub fn tail<F: LogFiles>(
    files: &F,
    key: &VerifierKey,
    from: u64,
) -> Result<(Vec<(u64, Record)>, u64), VerifyError> {
    let (_, checkpoint) = read_checkpoint(files, key)?;
    let mut entries = Entries::new(files, from, checkpoint.size);
    let mut records = Vec::new();
    while let Some((index, entry)) = entries.next_entry()? {
        let record = Record::decode(&entry).map_err(|cause| VerifyError::Entry {
            index,
            cause: cause.to_string(),
        })?;
        records.push((index, record));
    }
    Ok((records, checkpoint.size.max(from)))
}

fn read_checkpoint<F: LogFiles>(
    files: &F,
    key: &VerifierKey,
) -> Result<(String, Checkpoint), VerifyError> {
    let note = files
        .read(CHECKPOINT_PATH)?
        .ok_or_else(|| VerifyError::missing(CHECKPOINT_PATH))?;
    let checkpoint = Checkpoint::open(&note, key).map_err(|cause| VerifyError::Note {
        path: CHECKPOINT_PATH,
        cause,
    })?;
    Ok((String::from_utf8_lossy(&note).into_owned(), checkpoint))
}
