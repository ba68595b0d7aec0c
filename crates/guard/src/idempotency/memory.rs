//! Keys in the memory of this process: for one process that may forget them when it ends, and for tests.
//!
//! Bounded in keys and bytes, of all and of each caller. When there is no room a new key is refused, and none is forgotten before its time.

use super::answer::Answer;
use super::storage::{
    Claim, Claimed, Ended, Ending, Entry, EntryState, FencingToken, IdempotencyStorage, Judgement,
    StorageError, judge,
};
use countersign_base::{Duration, UnixTime};
use futures_util::future::{BoxFuture, ready};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Keys of all callers.
    pub keys_max: usize,
    /// Bytes of all answers.
    pub bytes_max: usize,
    /// The part of both that one caller may have: one in so many.
    pub caller_part: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            keys_max: 65_536,
            bytes_max: 64 * 1024 * 1024,
            caller_part: 16,
        }
    }
}

/// How often what is over is looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// See the module. Clones share what is kept.
#[derive(Debug, Clone, Default)]
pub struct MemoryKeys {
    limits: MemoryLimits,
    map: Arc<Mutex<Map>>,
}

#[derive(Debug, Default)]
struct Map {
    kept: HashMap<[u8; 32], Kept>,
    callers: HashMap<[u8; 32], Share>,
    all: Share,
    swept: i64,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    caller: [u8; 32],
    token: FencingToken,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    keys: usize,
    bytes: usize,
}

impl MemoryKeys {
    /// With these limits.
    #[must_use]
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            map: Arc::default(),
        }
    }

    fn claimed(&self, claim: Claim) -> Claimed {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.sweep(claim.now);
        let known = map.kept.get(&claim.name).map(|kept| &kept.entry);
        let attempt = match judge(known, &claim) {
            Judgement::Tell(known) => return Claimed::Known(known),
            Judgement::Take { attempt } => attempt,
        };
        map.remove(&claim.name);
        if !map.has_room(self.limits, &claim.caller, 0) {
            return Claimed::NoRoom;
        }
        let entry = Entry {
            fingerprint: claim.fingerprint,
            attempt,
            lease_ends: claim.lease_ends,
            expires: claim.expires,
            state: EntryState::Running,
        };
        map.insert(
            claim.name,
            Kept {
                entry,
                caller: claim.caller,
                token: claim.token,
                bytes: 0,
            },
        );
        Claimed::First { attempt }
    }

    fn ended(&self, name: [u8; 32], token: FencingToken, ending: Ending) -> Ended {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its_own = map.kept.get(&name).is_some_and(|kept| {
            kept.token == token && matches!(kept.entry.state, EntryState::Running)
        });
        let Some(mut kept) = is_its_own.then(|| map.remove(&name)).flatten() else {
            return Ended::Lost;
        };
        kept.entry.state = match ending {
            Ending::Free => return Ended::Kept,
            Ending::NotKept => EntryState::NotKept,
            Ending::Unknown => EntryState::Unknown,
            Ending::Answered(answer) => self.state(&map, &mut kept, answer),
        };
        map.insert(name, kept);
        Ended::Kept
    }

    fn state(&self, map: &Map, kept: &mut Kept, answer: Answer) -> EntryState {
        if !map.has_room(self.limits, &kept.caller, answer.bytes()) {
            return EntryState::NotKept;
        }
        kept.bytes = answer.bytes();
        EntryState::Answered(answer)
    }
}

impl IdempotencyStorage for MemoryKeys {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StorageError>> {
        Box::pin(ready(Ok(self.claimed(claim))))
    }

    fn end(
        &self,
        name: [u8; 32],
        token: FencingToken,
        ending: Ending,
    ) -> BoxFuture<'_, Result<Ended, StorageError>> {
        Box::pin(ready(Ok(self.ended(name, token, ending))))
    }
}

impl Map {
    fn sweep(&mut self, now: UnixTime) {
        if now < UnixTime(self.swept).plus(SWEEP) {
            return;
        }
        self.swept = now.0;
        let over: Vec<[u8; 32]> = self
            .kept
            .iter()
            .filter(|(_, kept)| {
                let runs =
                    matches!(kept.entry.state, EntryState::Running) && kept.entry.lease_ends > now;
                kept.entry.expires <= now && !runs
            })
            .map(|(name, _)| *name)
            .collect();
        for name in over {
            self.remove(&name);
        }
    }

    fn has_room(&self, limits: MemoryLimits, caller: &[u8; 32], bytes: usize) -> bool {
        let of_caller = self.callers.get(caller).copied().unwrap_or_default();
        let part = limits.caller_part.max(1);
        let within = |share: Share, part: usize| {
            share.keys < limits.keys_max / part
                && share.bytes.saturating_add(bytes) <= limits.bytes_max / part
        };
        within(self.all, 1) && within(of_caller, part)
    }

    fn insert(&mut self, name: [u8; 32], kept: Kept) {
        let caller = self.callers.entry(kept.caller).or_default();
        for share in [caller, &mut self.all] {
            share.keys += 1;
            share.bytes += kept.bytes;
        }
        self.kept.insert(name, kept);
    }

    fn remove(&mut self, name: &[u8; 32]) -> Option<Kept> {
        let kept = self.kept.remove(name)?;
        self.all.keys -= 1;
        self.all.bytes -= kept.bytes;
        if let Some(share) = self.callers.get_mut(&kept.caller) {
            share.keys -= 1;
            share.bytes -= kept.bytes;
            if share.keys == 0 {
                self.callers.remove(&kept.caller);
            }
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests;
