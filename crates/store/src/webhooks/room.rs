//! How many deliveries may still be accepted of a tenant before what waits is counted again: counting a million rows for each message would cost more than the message.

use crate::tables::webhook_deliveries::{WAITING_MAX, waiting};
use crate::{Store, StoreError};
use countersign_base::{Duration, Tenant, UnixTime};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// After this a count is made anew, however little was accepted.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// Tenants whose counts are remembered.
const TENANTS_MAX: usize = 10_000;

/// The counts of the tenants.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<BTreeMap<Tenant, Room>>);

#[derive(Debug, Clone, Copy)]
struct Room {
    left: u32,
    until: UnixTime,
}

impl Rooms {
    fn is_known(&self, tenant: &Tenant, now: UnixTime) -> bool {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.get(tenant);
        room.is_some_and(|room| room.left > 0 && now < room.until)
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
        if self.webhook_rooms().is_known(tenant, now) {
            return Ok(());
        }
        let mut connection = self.read().await?;
        let waiting = waiting(&mut connection, tenant, WAITING_MAX).await?;
        drop(connection);
        let room = WAITING_MAX.saturating_sub(waiting);
        if room == 0 {
            return Err(StoreError::Full("webhook_deliveries"));
        }
        // A part of it: other nodes accept too.
        let room = Room {
            left: room.div_ceil(4),
            until: now.plus(COUNTED_FOR),
        };
        self.webhook_rooms().set(tenant, room);
        Ok(())
    }
}
