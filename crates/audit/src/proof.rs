//! Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2; verified as RFC 9162 §2.1.3.2 and §2.1.4.2), and their text form
//! `c2sp.org/tlog-proof@v1`, the receipt for one event.

use crate::merkle::{Hash, TileLevels, split_point};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Hashes in the longest proof for a tree of 64-bit size.
const PROOF_HASHES_MAX: usize = 128;
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the text form of a proof.
    #[error("not a proof in the form `{HEADER}`")]
    Form,
    /// The hashes lead elsewhere.
    #[error("the proof leads to another root than the checkpoint's")]
    Root,
    /// The sizes or the index contradict each other or the number of hashes.
    #[error("the proof does not fit the sizes it is about")]
    Shape,
}

/// Evidence that the leaf that was asked about is in the tree of the root that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Included {
    index: u64,
}

impl Included {
    /// Where.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }
}

/// Evidence that one tree is the beginning of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Extends(());

/// The audit path of leaf `index` in the tree of the first `size` leaves; `None` if there is no such leaf.
#[must_use]
pub fn prove_inclusion(tree: &TileLevels, index: u64, size: u64) -> Option<Vec<Hash>> {
    if index >= size || size > tree.size() {
        return None;
    }
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while end - begin > 1 {
        let split = begin + split_point(end - begin);
        if index < split {
            path.push(tree.range_root(split, end)?);
            end = split;
        } else {
            path.push(tree.range_root(begin, split)?);
            begin = split;
        }
    }
    path.reverse();
    Some(path)
}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with `root`.
///
/// # Errors
/// When it is not, or the proof does not fit.
pub fn verify_inclusion(
    proof: &[Hash],
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
) -> Result<Included, ProofError> {
    if index >= size {
        return Err(ProofError::Shape);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Shape);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::of_node(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::of_node(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Shape);
    }
    if hash == *root {
        Ok(Included { index })
    } else {
        Err(ProofError::Root)
    }
}

/// The proof that the tree of the first `old` leaves is the beginning of that of the first `new`; `None` if `old` is zero or larger.
#[must_use]
pub fn prove_consistency(tree: &TileLevels, old: u64, new: u64) -> Option<Vec<Hash>> {
    if old == 0 || old > new || new > tree.size() {
        return None;
    }
    let (mut begin, mut end) = (0, new);
    let mut whole = true;
    let mut path = Vec::new();
    while old != end {
        let split = begin + split_point(end - begin);
        if old <= split {
            path.push(tree.range_root(split, end)?);
            end = split;
        } else {
            path.push(tree.range_root(begin, split)?);
            begin = split;
            whole = false;
        }
    }
    if !whole {
        path.push(tree.range_root(begin, end)?);
    }
    path.reverse();
    Some(path)
}

/// Checks that the tree of `old` leaves with `old_root` is the beginning of that of `new` leaves with `new_root`.
///
/// # Errors
/// When it is not, or the proof does not fit.
pub fn verify_consistency(
    proof: &[Hash],
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
) -> Result<Extends, ProofError> {
    if old == 0 || old > new {
        return Err(ProofError::Shape);
    }
    if old == new {
        return match (proof.is_empty(), old_root == new_root) {
            (false, _) => Err(ProofError::Shape),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(Extends(())),
        };
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() {
        *old_root
    } else {
        *hashes.next().ok_or(ProofError::Shape)?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut left, mut right) = (first, first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Shape);
        }
        if node & 1 == 1 || node == last {
            left = Hash::of_node(hash, &left);
            right = Hash::of_node(hash, &right);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            right = Hash::of_node(&right, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Shape);
    }
    if left == *old_root && right == *new_root {
        Ok(Extends(()))
    } else {
        Err(ProofError::Root)
    }
}

/// The offline receipt for one event: where it stands, the hashes up to the root, and the signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf's number.
    pub index: u64,
    /// The audit path.
    pub hashes: Vec<Hash>,
    /// The checkpoint, a whole signed note.
    pub checkpoint: String,
}

impl Receipt {
    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nindex {}\n", self.index);
        for hash in &self.hashes {
            let _ = writeln!(text, "{}", STANDARD.encode(hash.as_bytes()));
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads the text form. A line `extra` is passed over.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Form)?;
        let mut lines = head.lines();
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Form);
        }
        let mut line = lines.next().ok_or(ProofError::Form)?;
        if line.starts_with("extra ") {
            line = lines.next().ok_or(ProofError::Form)?;
        }
        let index = line
            .strip_prefix("index ")
            .and_then(decimal)
            .ok_or(ProofError::Form)?;
        let hashes: Option<Vec<Hash>> = lines.map(base64_hash).collect();
        let hashes = hashes
            .filter(|hashes| hashes.len() <= PROOF_HASHES_MAX)
            .ok_or(ProofError::Form)?;
        Ok(Self {
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

/// A decimal number without sign and leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

/// A hash in strict base64.
pub(crate) fn base64_hash(text: &str) -> Option<Hash> {
    STANDARD
        .decode(text)
        .ok()?
        .try_into()
        .ok()
        .map(Hash::from_bytes)
}

#[cfg(test)]
mod tests;
