//! How many keys callers have in the table, as far as this process knows, so that none fills it or takes the room of others.
//!
//! A caller's keys are counted when a process first meets it and again from time to time; between two counts a process adds what it takes and takes away what it frees itself. What
//! other processes take meanwhile is seen at the next count: the bound is against filling up, and may be passed by what comes in that time. So a request costs a look into memory,
//! however many keys its caller has.
//!
//! Not here: the statement that counts.

use countersign_base::{Duration, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Callers whose counts are at hand.
const COUNTS_MAX: usize = 10_000;
/// When a count is made anew.
const COUNT_AGE_MAX: Duration = Duration::from_secs(600);
/// When a count that leaves no room is made anew.
const FULL_AGE_MAX: Duration = Duration::from_secs(10);

/// What has been counted, by the digest of the caller.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<[u8; 32], Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    keys: u64,
    at: UnixTime,
}

impl Counts {
    /// Whether a caller that may have so many keys may have another. Absent where they have to be counted: of an old count one request is told so, and the others go by it until the new one
    /// is [`Self::put`].
    pub(super) fn leave_room(&self, caller: &[u8; 32], max: u32, now: UnixTime) -> Option<bool> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(caller)?;
        let leaves = count.keys < u64::from(max);
        let age_max = if leaves { COUNT_AGE_MAX } else { FULL_AGE_MAX };
        if now < count.at.plus(age_max) {
            return Some(leaves);
        }
        count.at = now;
        None
    }

    /// What was counted.
    pub(super) fn put(&self, caller: &[u8; 32], keys: u64, at: UnixTime) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTS_MAX && !counts.contains_key(caller) {
            counts.clear();
        }
        counts.insert(*caller, Count { keys, at });
    }

    /// A key was taken.
    pub(super) fn take(&self, caller: &[u8; 32]) {
        self.change(caller, |keys| keys.saturating_add(1));
    }

    /// A key was freed before its time.
    pub(super) fn free(&self, caller: &[u8; 32]) {
        self.change(caller, |keys| keys.saturating_sub(1));
    }

    fn change(&self, caller: &[u8; 32], change: impl FnOnce(u64) -> u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(caller) {
            count.keys = change(count.keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_000_000);
    const CALLER: [u8; 32] = [1; 32];

    #[test]
    fn a_count_that_leaves_no_room_is_made_anew_sooner() {
        let counts = Counts::default();
        let leave_room = |now| counts.leave_room(&CALLER, 2, now);
        assert_eq!(leave_room(NOW), None);
        counts.put(&CALLER, 1, NOW);
        assert_eq!(counts.leave_room(&[2; 32], 2, NOW), None, "another's");
        let old = NOW.plus(COUNT_AGE_MAX);
        assert_eq!(leave_room(UnixTime(old.0 - 1)), Some(true));
        assert_eq!(leave_room(old), None);
        assert_eq!(leave_room(old), Some(true), "somebody counts already");
        counts.put(&CALLER, 1, NOW);
        counts.take(&CALLER);
        let old = NOW.plus(FULL_AGE_MAX);
        assert_eq!(leave_room(UnixTime(old.0 - 1)), Some(false));
        assert_eq!(leave_room(old), None);
        assert_eq!(leave_room(old), Some(false), "somebody counts already");
        counts.free(&CALLER);
        assert_eq!(leave_room(old), Some(true));
    }

    #[test]
    fn counts_at_hand_are_bounded() {
        let counts = Counts::default();
        for number in 0..=u64::try_from(COUNTS_MAX).unwrap() {
            let mut caller = [0; 32];
            caller[..8].copy_from_slice(&number.to_be_bytes());
            counts.put(&caller, 1, NOW);
            // Nothing is remembered of whom it has no count.
            counts.take(&[0xff; 32]);
            assert!(counts.0.lock().unwrap().len() <= COUNTS_MAX);
        }
        assert_eq!(counts.0.lock().unwrap().len(), 1);
    }
}
