//! How much of the table one caller and one tenant have, so that none fills the disk or takes the room of others.
//!
//! It is counted in the database when a process first meets a caller, and again from time to time; between two counts a process adds what it takes itself. What other nodes take
//! meanwhile is seen at the next count: the bounds are against filling up, and may be passed by what comes in that time.

use crate::tables::idempotency_keys::{self, Held};
use crate::{Store, StoreError};
use countersign_base::{Duration, Tenant, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keys of one caller.
pub const KEYS_CALLER_MAX: u64 = 1_000_000;
/// Keys of one tenant.
pub const KEYS_TENANT_MAX: u64 = 4_000_000;
/// Bytes of sealed answers of one caller.
pub const BYTES_CALLER_MAX: u64 = 1 << 30;
/// Bytes of sealed answers of one tenant.
pub const BYTES_TENANT_MAX: u64 = 16 << 30;
/// Callers and tenants whose counts are at hand.
const COUNTS_MAX: usize = 10_000;
/// When a count is made anew.
const COUNT_AGE_MAX: Duration = Duration::from_secs(600);
/// When a count that leaves no room is made anew.
const FULL_AGE_MAX: Duration = Duration::from_secs(10);

/// What has been counted.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<HashMap<Owner, Count>>);

/// A tenant, or one caller of it.
type Owner = (Tenant, Option<[u8; 32]>);

#[derive(Debug, Clone, Copy)]
struct Count {
    held: Held,
    at: UnixTime,
}

impl Count {
    const fn leaves_room(&self, max: Held) -> bool {
        self.held.keys < max.keys && self.held.bytes < max.bytes
    }
}

impl Room {
    /// Whether a caller may take another key.
    pub(super) async fn is_left(
        &self,
        store: &Store,
        tenant: &Tenant,
        caller: &[u8; 32],
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let of_caller = Held {
            keys: KEYS_CALLER_MAX,
            bytes: BYTES_CALLER_MAX,
        };
        let of_tenant = Held {
            keys: KEYS_TENANT_MAX,
            bytes: BYTES_TENANT_MAX,
        };
        for (caller, max) in [(Some(*caller), of_caller), (None, of_tenant)] {
            let owner = (tenant.clone(), caller);
            if let Some(left) = self.known(&owner, max, now) {
                if left {
                    continue;
                }
                return Ok(false);
            }
            let mut connection = store.read().await?;
            let held = match &owner.1 {
                Some(caller) => {
                    idempotency_keys::of_caller(&mut connection, tenant, caller).await?
                }
                None => idempotency_keys::of_tenant(&mut connection, tenant).await?,
            };
            let count = Count { held, at: now };
            self.put(owner, count);
            if !count.leaves_room(max) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts a key that was taken.
    pub(super) fn take(&self, tenant: &Tenant, caller: &[u8; 32]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for caller in [Some(*caller), None] {
            if let Some(count) = counts.get_mut(&(tenant.clone(), caller)) {
                count.held.keys = count.held.keys.saturating_add(1);
            }
        }
    }

    /// Absent where it has to be counted. Of an old count one caller is told so, who makes it anew; the others go by it meanwhile, so that a count of millions is made
    /// once and not by every request.
    fn known(&self, owner: &Owner, max: Held, now: UnixTime) -> Option<bool> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(owner)?;
        let left = count.leaves_room(max);
        let age_max = if left { COUNT_AGE_MAX } else { FULL_AGE_MAX };
        if now < count.at.plus(age_max) {
            return Some(left);
        }
        count.at = now;
        None
    }

    fn put(&self, owner: Owner, count: Count) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTS_MAX && !counts.contains_key(&owner) {
            counts.clear();
        }
        counts.insert(owner, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_leaves_no_room_is_made_anew_sooner() {
        let (room, now) = (Room::default(), UnixTime(1_000_000));
        let tenant: Tenant = "acme".parse().unwrap();
        let max = Held {
            keys: 2,
            bytes: 100,
        };
        let of = |caller: u8| (tenant.clone(), Some([caller; 32]));
        assert_eq!(room.known(&of(1), max, now), None);
        let put = |caller, keys, bytes| {
            let held = Held { keys, bytes };
            room.put(of(caller), Count { held, at: now });
        };
        put(1, 1, 99);
        put(2, 1, 100);
        assert_eq!(room.known(&of(1), max, now), Some(true));
        assert_eq!(room.known(&of(2), max, now), Some(false), "bytes");
        room.take(&tenant, &[1; 32]);
        assert_eq!(room.known(&of(1), max, now), Some(false), "keys");
        let later = now.plus(FULL_AGE_MAX);
        assert_eq!(room.known(&of(1), max, later), None);
        let meanwhile = room.known(&of(1), max, later);
        assert_eq!(meanwhile, Some(false), "somebody counts already");
        put(1, 0, 0);
        let last = now.plus(COUNT_AGE_MAX);
        assert_eq!(room.known(&of(1), max, UnixTime(last.0 - 1)), Some(true));
        assert_eq!(room.known(&of(1), max, last), None);
    }

    #[test]
    fn counts_at_hand_are_bounded() {
        let room = Room::default();
        let tenant: Tenant = "acme".parse().unwrap();
        for number in 0..=u64::try_from(COUNTS_MAX).unwrap() {
            let mut caller = [0; 32];
            caller[..8].copy_from_slice(&number.to_be_bytes());
            let count = Count {
                held: Held::default(),
                at: UnixTime(0),
            };
            room.put((tenant.clone(), Some(caller)), count);
            assert!(room.0.lock().unwrap().len() <= COUNTS_MAX);
        }
    }
}
