//! The Merkle tree of RFC 6962 §2.1, grown leaf by leaf and cut into tiles of 256 hashes.
//!
//! [`Frontier`] is what a writer keeps: the right edge alone. [`TileLevels`] is what a prover keeps: every hash that a tile holds.

use countersign_crypto::digest::{sha256, sha256_parts};
use std::fmt;

use crate::tile::{TILE_WIDTH, Tile};

/// A SHA-256 hash of a leaf, a node, or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// A hash that somebody computed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The root of the empty tree.
    #[must_use]
    pub fn empty_root() -> Self {
        Self(sha256(b""))
    }

    /// The hash of a leaf: `SHA-256(0x00 || entry)`.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(sha256_parts(&[&[0], entry]))
    }

    /// The hash of a node: `SHA-256(0x01 || left || right)`.
    #[must_use]
    pub fn of_node(left: &Self, right: &Self) -> Self {
        Self(sha256_parts(&[&[1], &left.0, &right.0]))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        countersign_base::hex::write(f, &self.0)
    }
}

/// A tile together with its hashes, as it is written to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledTile {
    /// Which tile.
    pub tile: Tile,
    /// Its bytes: one hash of 32 bytes after the other.
    pub bytes: Vec<u8>,
}

/// The right edge of a growing tree: for each level of tiles, the hashes of its last, unfilled tile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
        }
    }

    /// The tree of `size` leaves whose unfilled tiles, from level 0 up, hold `levels`; `None` if they have other widths than `size` says.
    #[must_use]
    pub fn restore(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let widths_agree = levels.iter().enumerate().all(|(level, hashes)| {
            u32::try_from(level)
                .is_ok_and(|level| hashes.len() as u64 == rows_at(size, level) % TILE_WIDTH)
        });
        let covers = rows_at(size, u32::try_from(levels.len()).ok()?) == 0;
        (widths_agree && covers).then_some(Self { size, levels })
    }

    /// How many leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and returns the tiles that it filled: none mostly, one of level 0 every 256 leaves, and so on up.
    pub fn push(&mut self, leaf: Hash) -> Vec<FilledTile> {
        let mut filled = Vec::new();
        let mut carry = Some(leaf);
        let mut level = 0;
        self.size += 1;
        while let Some(hash) = carry.take() {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(level) else {
                break;
            };
            hashes.push(hash);
            if hashes.len() as u64 == TILE_WIDTH {
                let index = (rows_at(self.size, u32::try_from(level).unwrap_or(u32::MAX))
                    / TILE_WIDTH)
                    .saturating_sub(1);
                filled.push(FilledTile {
                    tile: Tile::full(level, index),
                    bytes: tile_bytes(hashes),
                });
                carry = Some(perfect_root(hashes));
                hashes.clear();
                level += 1;
            }
        }
        filled
    }

    /// The tiles of the right edge that are not full, from level 0 up; empty ones are left out, as the format demands.
    #[must_use]
    pub fn partial_tiles(&self) -> Vec<FilledTile> {
        let unfilled = self
            .levels
            .iter()
            .enumerate()
            .filter(|(_, hashes)| !hashes.is_empty());
        unfilled
            .map(|(level, hashes)| {
                let index =
                    rows_at(self.size, u32::try_from(level).unwrap_or(u32::MAX)) / TILE_WIDTH;
                FilledTile {
                    tile: Tile::partial(level, index, hashes.len()),
                    bytes: tile_bytes(hashes),
                }
            })
            .collect()
    }

    /// The root: `MTH(D[0:size])`.
    #[must_use]
    pub fn root(&self) -> Hash {
        // From the right: within each level the hashes pair up as the binary digits of its width say; what is left over joins its left neighbour.
        let mut right: Option<Hash> = None;
        for hashes in &self.levels {
            right = fold_right(hashes, right);
        }
        right.unwrap_or_else(Hash::empty_root)
    }
}

/// How many hashes the tiles of `level` hold in all in a tree of `size` leaves: `floor(size / 256^level)`.
#[must_use]
pub const fn rows_at(size: u64, level: u32) -> u64 {
    match level.checked_mul(8) {
        Some(bits) if bits < 64 => size >> bits,
        Some(_) | None => 0,
    }
}

fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads the hashes of a tile; `None` if `bytes` is not a whole number of hashes.
#[must_use]
pub fn tile_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let chunks = bytes.chunks_exact(32);
    chunks.remainder().is_empty().then(|| {
        chunks
            .filter_map(|chunk| chunk.try_into().ok().map(Hash))
            .collect()
    })
}

/// The root of a subtree whose number of leaves is a power of two.
fn perfect_root(hashes: &[Hash]) -> Hash {
    fold_right(hashes, None).unwrap_or_else(Hash::empty_root)
}

/// The root of `hashes`, each the root of an equally large perfect subtree, with the smaller subtree `right` to their right.
fn fold_right(hashes: &[Hash], mut right: Option<Hash>) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while !row.is_empty() {
        if row.len() % 2 == 1 {
            let last = row.pop()?;
            right = Some(right.map_or(last, |right| Hash::of_node(&last, &right)));
        }
        row = row
            .chunks_exact(2)
            .filter_map(|pair| {
                if let [a, b] = pair {
                    Some(Hash::of_node(a, b))
                } else {
                    None
                }
            })
            .collect();
    }
    right
}

/// Every hash that the tiles of a tree hold, level by level: what a prover needs.
#[derive(Debug, Clone, Default)]
pub struct TileLevels {
    levels: Vec<Vec<Hash>>,
}

impl TileLevels {
    /// Computes them from the hashes of all leaves.
    #[must_use]
    pub fn of_leaves(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last() {
            let row: Vec<Hash> = below.chunks_exact(256).map(perfect_root).collect();
            if row.is_empty() {
                break;
            }
            levels.push(row);
        }
        Self { levels }
    }

    /// How many leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// `MTH(D[begin:end])` (RFC 6962 §2.1); `None` if the range is empty or lies beyond the tree.
    #[must_use]
    pub fn range_root(&self, begin: u64, end: u64) -> Option<Hash> {
        let width = end.checked_sub(begin).filter(|width| *width > 0)?;
        if width == 1 {
            return self.hash(0, begin);
        }
        if width.is_power_of_two() && begin.is_multiple_of(width) {
            return self.perfect(begin, width);
        }
        let split = begin + split_point(width);
        Some(Hash::of_node(
            &self.range_root(begin, split)?,
            &self.range_root(split, end)?,
        ))
    }

    /// The root of the first `size` leaves.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        if size == 0 {
            Some(Hash::empty_root())
        } else {
            self.range_root(0, size)
        }
    }

    fn perfect(&self, begin: u64, width: u64) -> Option<Hash> {
        let level = width.trailing_zeros() / 8;
        let inside = 1_u64 << (width.trailing_zeros() % 8);
        let first = begin >> (level * 8);
        let row = self.levels.get(usize::try_from(level).ok()?)?;
        let hashes =
            row.get(usize::try_from(first).ok()?..usize::try_from(first + inside).ok()?)?;
        Some(perfect_root(hashes))
    }

    fn hash(&self, level: usize, index: u64) -> Option<Hash> {
        self.levels
            .get(level)?
            .get(usize::try_from(index).ok()?)
            .copied()
    }
}

/// The largest power of two smaller than `width` (RFC 6962 §2.1), for `width` of 2 and more.
pub(crate) const fn split_point(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

#[cfg(test)]
pub(crate) mod tests;
