//! Which one-time values were used already: `jti` of DPoP proofs (RFC 9449 §11.1) and of assertions (RFC 7523 §3).
//!
//! The memory belongs to the shell, one a process; `now` comes from outside. It is bounded for each owner (the key of a proof, the
//! client of an assertion), so that who floods it fills their own share and never pushes out a value of somebody else, nor one of their
//! own: past a limit the answer is a refusal. An entry leaves when the credential it stands for could no longer be accepted anyway.
//!
//! Not here: what must hold across processes and restarts; see [`crate::dpop::Nonces`] and the store's table of assertions.

use crate::{Unspent, danger};
use countersign_base::UnixTime;
use countersign_crypto::digest::sha256_parts;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What kind of one-time value it is. Values of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplayKind {
    /// The `jti` of a client assertion.
    ClientAssertion,
    /// The `jti` of an assertion that is an authorization grant.
    GrantAssertion,
    /// A DPoP proof at the authorization server, by a key that anyone may have made.
    ProofAtServer,
    /// A DPoP proof beside an access token that is bound to its key.
    ProofWithToken,
    /// The `jti` of a request that its client signed.
    SignedRequest,
}

impl ReplayKind {
    const ALL: [Self; 5] = [
        Self::ClientAssertion,
        Self::GrantAssertion,
        Self::ProofAtServer,
        Self::ProofWithToken,
        Self::SignedRequest,
    ];

    const fn tag(self) -> u8 {
        match self {
            Self::ClientAssertion => 1,
            Self::ProofAtServer => 2,
            Self::ProofWithToken => 3,
            Self::SignedRequest => 4,
            Self::GrantAssertion => 5,
        }
    }
}

/// One one-time value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayEntry {
    /// What it is.
    pub kind: ReplayKind,
    /// Whose share it takes: a digest of the key or of the client.
    pub owner: [u8; 32],
    /// The digest of the value, its kind and its owner.
    pub key: [u8; 32],
    /// From when on the credential is refused for its age, so that the entry may be forgotten.
    pub expires: UnixTime,
}

impl ReplayEntry {
    pub(crate) fn new(kind: ReplayKind, owner: &[&[u8]], value: &str, expires: UnixTime) -> Self {
        let owner = digest(kind, owner);
        Self {
            kind,
            owner,
            key: digest(kind, &[&owner, value.as_bytes()]),
            expires,
        }
    }
}

fn digest(kind: ReplayKind, parts: &[&[u8]]) -> [u8; 32] {
    let kind = [kind.tag()];
    let lengths: Vec<[u8; 8]> = parts
        .iter()
        .map(|part| (part.len() as u64).to_be_bytes())
        .collect();
    let mut separated: Vec<&[u8]> = vec![&kind];
    for (length, part) in lengths.iter().zip(parts) {
        separated.push(length);
        separated.push(part);
    }
    sha256_parts(&separated)
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Live values of one owner.
    pub per_owner_max: usize,
    /// Live values of one kind, over all owners.
    pub per_kind_max: usize,
}

impl Default for ReplayLimits {
    /// 20,000 of one owner, that is 285 proofs a second over a proof's life; a million of one kind.
    fn default() -> Self {
        Self {
            per_owner_max: 20_000,
            per_kind_max: 1_000_000,
        }
    }
}

/// Why a credential was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Replayed {
    /// It was used before.
    #[error("a one-time credential was used before")]
    AlreadyUsed(ReplayKind),
    /// Its owner, or everybody together, has more live values than are kept; nothing is forgotten to make room.
    #[error("too many one-time credentials are in use")]
    Full(ReplayKind),
    /// Its time was over when the memory looked, or the clock was set back.
    #[error("a one-time credential is past its time")]
    Stale(ReplayKind),
}

const SHARDS: usize = 64;

/// The memory: shared by all cores of a process, locked by shard.
pub struct ReplayMemory {
    shards: Vec<Mutex<Shard>>,
    live: [AtomicUsize; ReplayKind::ALL.len()],
    limits: ReplayLimits,
}

impl ReplayMemory {
    /// An empty memory.
    #[must_use]
    pub fn new(limits: ReplayLimits) -> Self {
        let shards = (0..SHARDS * ReplayKind::ALL.len())
            .map(|_| Mutex::new(Shard::default()))
            .collect();
        Self {
            shards,
            live: Default::default(),
            limits,
        }
    }

    /// Spends the one-time values of a credential and opens it. Of any number of calls with one value, one succeeds.
    ///
    /// # Errors
    /// When a value was used before, is too old, or does not fit; values that were spent before the one that failed stay spent.
    pub fn spend<T>(&self, unspent: Unspent<T>, now: UnixTime) -> Result<T, Replayed> {
        for entry in unspent.entries() {
            let Some((shard, live)) = self.shard(entry) else {
                return Err(Replayed::Full(entry.kind));
            };
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.insert(entry, self.limits, live, now)?;
        }
        Ok(danger::spent(unspent))
    }

    /// How many values are remembered, those included that the next spend of their shard will forget.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                shard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .seen
                    .len()
            })
            .sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each kind is counted by itself, so that values that anyone can make never crowd out those of bound tokens.
    fn shard(&self, entry: &ReplayEntry) -> Option<(&Mutex<Shard>, &AtomicUsize)> {
        let [first, ..] = entry.owner;
        let kind = usize::from(entry.kind.tag()).checked_sub(1)?;
        Some((
            self.shards
                .get(kind * SHARDS + usize::from(first) % SHARDS)?,
            self.live.get(kind)?,
        ))
    }
}

impl std::fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplayMemory")
    }
}

/// Half of a SHA-256 digest: enough against a chosen collision among the values of one minute, and half the memory.
type Short = u128;

#[derive(Default)]
struct Shard {
    seen: HashSet<Short>,
    by_owner: HashMap<Short, usize>,
    by_expiry: BTreeMap<UnixTime, Vec<(Short, Short)>>,
    /// The latest time this shard has seen; what expired before it may have been forgotten.
    latest: Option<UnixTime>,
}

impl Shard {
    fn insert(
        &mut self,
        entry: &ReplayEntry,
        limits: ReplayLimits,
        live: &AtomicUsize,
        now: UnixTime,
    ) -> Result<(), Replayed> {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        self.forget(live, now);
        if entry.expires <= now {
            return Err(Replayed::Stale(entry.kind));
        }
        let (owner, key) = (short(&entry.owner), short(&entry.key));
        if self.seen.contains(&key) {
            return Err(Replayed::AlreadyUsed(entry.kind));
        }
        let owned = self.by_owner.get(&owner).copied().unwrap_or(0);
        if owned >= limits.per_owner_max || live.load(Ordering::Relaxed) >= limits.per_kind_max {
            return Err(Replayed::Full(entry.kind));
        }
        self.seen.insert(key);
        self.by_owner.insert(owner, owned + 1);
        self.by_expiry
            .entry(entry.expires)
            .or_default()
            .push((owner, key));
        live.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn forget(&mut self, live: &AtomicUsize, now: UnixTime) {
        while let Some(first) = self.by_expiry.first_entry() {
            if *first.key() > now {
                return;
            }
            let expired = first.remove();
            live.fetch_sub(expired.len(), Ordering::Relaxed);
            for (owner, key) in expired {
                self.seen.remove(&key);
                match self.by_owner.get(&owner).copied() {
                    Some(count) if count > 1 => _ = self.by_owner.insert(owner, count - 1),
                    Some(_) | None => _ = self.by_owner.remove(&owner),
                }
            }
        }
    }
}

fn short(digest: &[u8; 32]) -> Short {
    digest
        .iter()
        .take(16)
        .fold(0, |short, byte| short << 8 | Short::from(*byte))
}

#[cfg(test)]
mod tests;
