//! How many deliveries may still be accepted of a tenant before what waits is counted again: counting a million rows for each message would cost more than the message.

use crate::tables::webhook_deliveries::{WAITING_MAX, waiting};
use crate::{Store, StoreError};
use countersign_base::{Duration, Tenant, UnixTime};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// After this a count is made anew, however little was accepted.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// For so long nobody counts again who found that there is no room, or that somebody counts.
const ASKED_FOR: Duration = Duration::from_secs(2);
/// Tenants whose counts are remembered.
const TENANTS_MAX: usize = 10_000;

/// The counts of the tenants.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<BTreeMap<Tenant, Room>>);

#[derive(Debug, Clone, Copy)]
struct Room {
    left: u32,
    until: UnixTime,
    /// Whether there was none when it was counted; otherwise nothing is left because it was used.
    is_full: bool,
}

/// What is known of a tenant's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Full,
    Nothing,
    Some,
}

impl Rooms {
    /// What is known. Whoever hears nothing counts; the others meanwhile hear what was known last, so that one counts and not all of them.
    fn look(&self, tenant: &Tenant, now: UnixTime) -> Known {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(room) = rooms.get_mut(tenant) else {
            return Known::Nothing;
        };
        if now >= room.until || room.until > now.plus(COUNTED_FOR) {
            room.until = now.plus(ASKED_FOR);
            return Known::Nothing;
        }
        match room.left {
            0 if room.is_full => Known::Full,
            0 => Known::Nothing,
            _ => Known::Some,
        }
    }

    fn set(&self, tenant: &Tenant, room: Room) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() >= TENANTS_MAX {
            rooms.clear();
        }
        rooms.insert(tenant.clone(), room);
    }

    /// Notes rows that were accepted.
    pub(crate) fn take(&self, tenant: &Tenant, rows: u32) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get_mut(tenant) {
            room.left = room.left.saturating_sub(rows);
        }
    }
}

impl Room {
    /// After a count that found so much room.
    fn counted(left: u32, now: UnixTime) -> Self {
        let is_full = left == 0;
        let believed = if is_full { ASKED_FOR } else { COUNTED_FOR };
        Self {
            // A part of it: other nodes accept too.
            left: left.div_ceil(4),
            until: now.plus(believed),
            is_full,
        }
    }
}

impl Store {
    /// Whether more may wait of a tenant.
    ///
    /// # Errors
    /// [`StoreError::Full`] when not.
    pub(crate) async fn webhook_room(
        &self,
        tenant: &Tenant,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let full = StoreError::Full("webhook_deliveries");
        match self.webhook_rooms().look(tenant, now) {
            Known::Full => return Err(full),
            Known::Nothing => {}
            Known::Some => return Ok(()),
        }
        let mut connection = self.read().await?;
        let waiting = waiting(&mut connection, tenant, WAITING_MAX).await?;
        drop(connection);
        let counted = Room::counted(WAITING_MAX.saturating_sub(waiting), now);
        self.webhook_rooms().set(tenant, counted);
        if counted.is_full {
            return Err(full);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
