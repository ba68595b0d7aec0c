//! What is known of tokens that were seen before, one truth a process (`../../../docs/ARCHITECTURE.md`): a signature is verified once.
//!
//! The key holds everything that decided the verdict: the whole token, the rules it was judged by, the generation of the key sets. Expiry,
//! revocation, binding, scope and policy are not part of the verdict and are judged every time. Refusals have a space of their own, so that
//! junk can't push out good entries. A proof of possession is never kept.

use crate::planes::Planes;
use countersign_authn::{Reason, Refusal, TokenDemand, VerdictKey, VerifiedToken};
use countersign_base::UnixTime;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const SHARDS: usize = 64;
/// Verified tokens that are kept unless the configuration says otherwise: those of the last generation and those of the one before.
pub const TOKENS_KEPT: usize = 32_768;
/// The most that a configuration may say: some hundred bytes to a kilobyte each.
pub const TOKENS_KEPT_MAX: usize = 1_048_576;
/// Refusals that are kept.
pub(crate) const REFUSALS_MAX: usize = 4_096;

/// A token under the rules and keys that it was judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) verdict: VerdictKey,
    /// Of our own issuers' keys, and of the others' where the rules trust one.
    pub(crate) generations: [u64; 2],
    /// Of what lives so long that it is asked for anew: the time in which the verdict counts.
    pub(crate) window: i64,
}

/// Seconds for which a verdict on an API key counts. Its revocation is looked at every time; this is for everything else that may end it.
const API_KEY_SECONDS: i64 = 60;

impl Key {
    /// Under what a verdict on `token` is found now. The generations are read before any key is: a verdict under a key of an older set must not pass for one of
    /// a newer.
    pub(crate) fn of<P: Planes>(token: &TokenDemand, planes: &P, now: UnixTime) -> Self {
        let others = if token.trusts_others() {
            planes.other_key_generation(now)
        } else {
            0
        };
        let window = if token.is_api_key() {
            now.0.div_euclid(API_KEY_SECONDS)
        } else {
            0
        };
        Self {
            verdict: token.cache_key(),
            generations: [planes.key_generation(), others],
            window,
        }
    }
}

/// Verdicts of a process.
pub(crate) struct Verdicts {
    verified: Cache<Key, Arc<VerifiedToken>>,
    refused: Cache<Key, Refusal>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            verified: Cache::new(TOKENS_KEPT),
            refused: Cache::new(REFUSALS_MAX),
        }
    }
}

impl Verdicts {
    /// How many verified tokens are kept from now on; 0 verifies each of them anew.
    pub(crate) fn keep_at_most(&self, tokens_max: usize) {
        self.verified.keep_at_most(tokens_max);
    }

    pub(crate) fn verified(&self, key: &Key) -> Option<Arc<VerifiedToken>> {
        self.verified.get(key)
    }

    pub(crate) fn refused(&self, key: &Key) -> Option<Refusal> {
        self.refused.get(key)
    }

    pub(crate) fn keep_verified(&self, key: Key, token: Arc<VerifiedToken>) {
        self.verified.insert(key, token);
    }

    /// Keeps a refusal if it would be the same the next time.
    pub(crate) fn keep_refused(&self, key: Key, refusal: &Refusal) {
        if is_lasting(refusal.reason()) {
            self.refused.insert(key, refusal.clone());
        }
    }
}

/// Whether a refusal follows from the token, the rules and the keys alone.
const fn is_lasting(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ActorsTooMany
            | Reason::ClaimBroken
            | Reason::ClaimMissing
            | Reason::ConfirmationUnknown
            | Reason::SignatureInvalid
            // A row is there before its token is, and never comes back.
            | Reason::TokenUnknown
            | Reason::TypMismatch
    )
}

/// A bounded map in two generations: when the young one is full it becomes the old one, and what is not asked for meanwhile goes.
pub(crate) struct Cache<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
    /// Of each generation of a shard; 0 keeps nothing.
    shard_max: AtomicUsize,
}

struct Shard<K, V> {
    young: HashMap<u64, (K, V), BuildHasherDefault<Hashed>>,
    old: HashMap<u64, (K, V), BuildHasherDefault<Hashed>>,
}

impl<K: std::hash::Hash + Eq, V: Clone> Cache<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                young: HashMap::default(),
                old: HashMap::default(),
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            shard_max: AtomicUsize::new(share(entries_max)),
        }
    }

    /// Keeps so many from now on. What is there beyond goes as new ones come; with 0 all of it goes now.
    fn keep_at_most(&self, entries_max: usize) {
        let shard_max = share(entries_max);
        if self.shard_max.swap(shard_max, Ordering::Relaxed) != shard_max && shard_max == 0 {
            for shard in &self.shards {
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard.young = HashMap::default();
                shard.old = HashMap::default();
            }
        }
    }

    fn shard_max(&self) -> usize {
        self.shard_max.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let shard_max = self.shard_max();
        if shard_max == 0 {
            return None;
        }
        let (hash, shard) = self.shard(key)?;
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash, key, shard_max)
    }

    /// The value, or a new one; two callers never make two.
    pub(crate) fn get_or_insert(&self, key: K, make: fn() -> V) -> V {
        let Some((hash, shard)) = self.shard(&key) else {
            return make();
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = shard.get(hash, &key, self.shard_max()) {
            return value;
        }
        let value = make();
        shard.insert(hash, key, value.clone(), self.shard_max());
        value
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        if let Some((hash, shard)) = self.shard(&key) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).insert(
                hash,
                key,
                value,
                self.shard_max(),
            );
        }
    }

    pub(crate) fn remove(&self, key: &K) {
        if let Some((hash, shard)) = self.shard(key) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.remove(&hash);
            shard.old.remove(&hash);
        }
    }

    fn shard(&self, key: &K) -> Option<(u64, &Mutex<Shard<K, V>>)> {
        let hash = self.hasher.hash_one(key);
        // The map uses the low bits of the hash, the shard the high ones.
        let position = usize::try_from(hash >> 58).ok()?;
        Some((hash, self.shards.get(position)?))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap())
            .map(|shard| shard.young.len() + shard.old.len())
            .sum()
    }
}

/// What each generation of each shard has of so many; only nothing is nothing.
fn share(entries_max: usize) -> usize {
    match entries_max {
        0 => 0,
        some => (some / SHARDS / 2).max(1),
    }
}

impl<K: Eq, V: Clone> Shard<K, V> {
    fn get(&mut self, hash: u64, key: &K, shard_max: usize) -> Option<V> {
        // Two keys with one hash are told apart by the key itself; the later one has the place.
        if let Some((kept, value)) = self.young.get(&hash) {
            return (kept == key).then(|| value.clone());
        }
        let (kept, value) = self.old.remove(&hash)?;
        if kept != *key {
            return None;
        }
        let answer = value.clone();
        self.insert(hash, kept, value, shard_max);
        Some(answer)
    }

    fn insert(&mut self, hash: u64, key: K, value: V, shard_max: usize) {
        if shard_max == 0 {
            return;
        }
        if self.young.len() >= shard_max && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, (key, value));
    }
}

/// The key is a keyed hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` keys come here, by `write_u64`.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
