//! A key from which a key for each of 2^64 places follows, and which can forget the key of one place without losing another's.
//!
//! It is the tree of Goldreich, Goldwasser and Micali (1986): each node is 32 bytes, its two children follow from it by HMAC-SHA-256, and the key of a place
//! follows from the leaf that 64 steps lead to. Forgetting a place replaces the node above it by the siblings along the way (a puncturable pseudorandom function:
//! Boneh and Waters 2013, Boyle, Goldwasser and Ivan 2014): from what is left, the leaf cannot be computed. Whoever kept an older copy still can; the copies are
//! the caller's to destroy.

use crate::mac::MacKey;
use crate::random::Random;
use countersign_base::Secret;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// Nodes that a key may have. Forgetting one of many places adds up to 63; there is room for more than 25,000.
pub const NODES_MAX: usize = 1_500_000;
/// Steps from the root to a leaf.
const DEPTH: u8 = 64;
const VERSION: u8 = 1;
/// Version, id, how many places are forgotten.
const HEAD_BYTES: usize = 1 + 8 + 8;
/// Level, path, key.
const NODE_BYTES: usize = 1 + 8 + 32;
const DOMAIN: &str = "countersign puncturable key";

/// Where a node is: so many steps from the root, and the steps as the highest bits, the others zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    path: u64,
    level: u8,
}

impl At {
    const ROOT: Self = Self { path: 0, level: 0 };

    /// The node of this level on the way to `place`.
    const fn towards(place: u64, level: u8) -> Self {
        let path = match level {
            0 => 0,
            level => place & (u64::MAX << (DEPTH - level)),
        };
        Self { path, level }
    }

    /// The other child of this node's parent.
    const fn sibling(self) -> Self {
        Self {
            path: self.path ^ (1 << (DEPTH - self.level)),
            level: self.level,
        }
    }
}

/// The key.
pub struct PuncturableKey {
    id: [u8; 8],
    forgotten: u64,
    nodes: BTreeMap<At, Secret<[u8; 32]>>,
}

/// Whether a place was forgotten by the call, or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Before.
    Before,
    /// Now: the key as it was before is to be destroyed wherever it is.
    Now,
}

/// Why a place cannot be forgotten, or a key not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PuncturableError {
    /// There is no room for more nodes.
    #[error("the key has forgotten as many places as it can")]
    Full,
    /// The bytes are no such key.
    #[error("the bytes are no puncturable key")]
    Malformed,
}

impl PuncturableKey {
    /// A new key that has forgotten nothing.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self {
            id: random.bytes(),
            forgotten: 0,
            nodes: BTreeMap::from([(At::ROOT, random.secret())]),
        }
    }

    /// Its name: eight random bytes, the same whatever it forgets.
    #[must_use]
    pub const fn id(&self) -> [u8; 8] {
        self.id
    }

    /// How many places it has forgotten.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The key of a place; nothing if it was forgotten.
    #[must_use]
    pub fn key_at(&self, place: u64) -> Option<Secret<[u8; 32]>> {
        let (at, node) = self.above(place)?;
        let mut node = Secret::new(*node.expose());
        for level in at.level.saturating_add(1)..=DEPTH {
            node = child(node, side(place, level));
        }
        Some(of_leaf(node))
    }

    /// Forgets a place.
    ///
    /// # Errors
    /// [`PuncturableError::Full`] when there is no room; nothing is forgotten then.
    pub fn forget(&mut self, place: u64) -> Result<Forgotten, PuncturableError> {
        let Some((at, node)) = self.above(place) else {
            return Ok(Forgotten::Before);
        };
        if self.nodes.len() + usize::from(DEPTH) > NODES_MAX {
            return Err(PuncturableError::Full);
        }
        let mut node = Secret::new(*node.expose());
        let mut kept = Vec::new();
        for level in at.level.saturating_add(1)..=DEPTH {
            let (towards, other) = (side(place, level), other(side(place, level)));
            let copy = Secret::new(*node.expose());
            kept.push((At::towards(place, level).sibling(), child(copy, other)));
            node = child(node, towards);
        }
        self.nodes.remove(&at);
        self.nodes.extend(kept);
        self.forgotten = self.forgotten.saturating_add(1);
        Ok(Forgotten::Now)
    }

    /// The node from which the place follows.
    fn above(&self, place: u64) -> Option<(At, &Secret<[u8; 32]>)> {
        (0..=DEPTH).find_map(|level| {
            let at = At::towards(place, level);
            self.nodes.get(&at).map(|node| (at, node))
        })
    }

    /// The bytes, to be sealed and stored.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let length = HEAD_BYTES + self.nodes.len() * NODE_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.forgotten.to_be_bytes());
        for (at, node) in &self.nodes {
            bytes.push(at.level);
            bytes.extend_from_slice(&at.path.to_be_bytes());
            bytes.extend_from_slice(node.expose());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`PuncturableError::Malformed`] for anything else: an unknown version, nodes out of order or beneath one another, one too many.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PuncturableError> {
        let malformed = PuncturableError::Malformed;
        let (head, nodes) = bytes.split_at_checked(HEAD_BYTES).ok_or(malformed)?;
        let ([version], head) = head.split_first_chunk().ok_or(malformed)?;
        let (id, forgotten) = head.split_first_chunk().ok_or(malformed)?;
        let forgotten = forgotten.try_into().map_err(|_| malformed)?;
        let (nodes, rest) = nodes.as_chunks::<NODE_BYTES>();
        if *version != VERSION || !rest.is_empty() || nodes.len() > NODES_MAX {
            return Err(malformed);
        }
        let mut key = Self {
            id: *id,
            forgotten: u64::from_be_bytes(forgotten),
            nodes: BTreeMap::new(),
        };
        let mut free_from = Some(0);
        for node in nodes {
            let (at, secret) = read(node).ok_or(malformed)?;
            // In order, and none below the one before.
            if free_from.is_none_or(|free| at.path < free) {
                return Err(malformed);
            }
            let below = u64::MAX.checked_shr(u32::from(at.level)).unwrap_or(0);
            free_from = at
                .path
                .checked_add(below)
                .and_then(|last| last.checked_add(1));
            key.nodes.insert(at, secret);
        }
        Ok(key)
    }
}

fn read(bytes: &[u8; NODE_BYTES]) -> Option<(At, Secret<[u8; 32]>)> {
    let ([level], rest) = bytes.split_first_chunk()?;
    let (path, secret) = rest.split_first_chunk()?;
    let at = At {
        path: u64::from_be_bytes(*path),
        level: *level,
    };
    let secret = secret.try_into().ok()?;
    (at.level <= DEPTH && At::towards(at.path, at.level) == at).then(|| (at, Secret::new(secret)))
}

/// Which child the way to `place` takes at this level.
const fn side(place: u64, level: u8) -> u8 {
    if (place >> (DEPTH - level)) & 1 == 0 {
        0
    } else {
        1
    }
}

const fn other(side: u8) -> u8 {
    1 - side
}

fn child(node: Secret<[u8; 32]>, side: u8) -> Secret<[u8; 32]> {
    let tag = MacKey::new(node).tag(DOMAIN, &[b"child", &[side]]);
    Secret::new(*tag.as_bytes())
}

fn of_leaf(node: Secret<[u8; 32]>) -> Secret<[u8; 32]> {
    let tag = MacKey::new(node).tag(DOMAIN, &[b"leaf"]);
    Secret::new(*tag.as_bytes())
}

/// How much it has forgotten, and nothing else.
impl fmt::Debug for PuncturableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PuncturableKey")
            .field("forgotten", &self.forgotten)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
