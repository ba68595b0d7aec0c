//! The connections of a pool: how many there are, and which wait for the next delivery.

use super::target::Target;
use super::{DeliveryLimits, Sender};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Kept {
    limits: DeliveryLimits,
    state: Mutex<State>,
    sweeping: AtomicBool,
}

#[derive(Default)]
struct State {
    open: usize,
    targets: HashMap<Target, OfTarget>,
}

#[derive(Default)]
struct OfTarget {
    open: usize,
    idle: Vec<Idle>,
}

struct Idle {
    held: Held,
    until: Instant,
}

/// The right to one connection, until it is closed.
pub(super) struct Room {
    kept: Weak<Kept>,
    target: Target,
}

/// A connection, and the right to it.
pub(super) struct Held {
    pub(super) sender: Sender,
    opened: Instant,
    room: Room,
}

impl Held {
    pub(super) fn new(sender: Sender, room: Room) -> Self {
        Self {
            sender,
            opened: Instant::now(),
            room,
        }
    }
}

impl Kept {
    pub(super) fn new(limits: DeliveryLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            sweeping: AtomicBool::new(false),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    /// The connection to this target that was used last, if it may be used still.
    pub(super) fn take(&self, target: &Target) -> Option<Held> {
        let now = Instant::now();
        let mut closed = Vec::new();
        let mut state = self.lock();
        let mut found = None;
        if let Some(of_target) = state.targets.get_mut(target) {
            while let Some(idle) = of_target.idle.pop() {
                if idle.until > now && idle.held.sender.is_ready() {
                    found = Some(idle.held);
                    break;
                }
                closed.push(idle);
            }
        }
        drop(state);
        // What is closed gives its room back, which takes the lock.
        drop(closed);
        found
    }

    /// Room for another connection. Where all together are too many, one that waits for another receiver is closed for it.
    pub(super) fn room(self: &Arc<Self>, target: &Target) -> Option<Room> {
        let mut evicted = None;
        let mut state = self.lock();
        let of_target = state.targets.get(target).map_or(0, |known| known.open);
        if of_target >= self.limits.per_receiver_max {
            return None;
        }
        if state.open >= self.limits.connections_max {
            let idle = state.targets.values_mut().find_map(|of| of.idle.pop());
            evicted = Some(idle?);
        }
        state.open += 1;
        state.targets.entry(target.clone()).or_default().open += 1;
        drop(state);
        drop(evicted);
        Some(Room {
            kept: Arc::downgrade(self),
            target: target.clone(),
        })
    }

    /// Keeps a connection for the next delivery, for as long as the limits and the other side say.
    pub(super) fn keep(self: &Arc<Self>, held: Held, hinted: Option<Duration>) {
        let idle_for = hinted.map_or(self.limits.idle_for, |hint| hint.min(self.limits.idle_for));
        let now = Instant::now();
        let until = (now + idle_for).min(held.opened + self.limits.kept_for);
        if until <= now || held.sender.is_closed() {
            return;
        }
        self.sweep();
        let mut state = self.lock();
        if let Some(of_target) = state.targets.get_mut(&held.room.target) {
            of_target.idle.push(Idle { held, until });
        }
    }

    /// Begins to look through idle connections, if nobody does. It ends with the pool.
    fn sweep(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let kept = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(kept) = kept.upgrade() else { return };
                kept.close_idle();
            }
        });
    }

    fn close_idle(&self) {
        let now = Instant::now();
        let mut closed = Vec::new();
        let mut state = self.lock();
        for of_target in state.targets.values_mut() {
            let over = |idle: &mut Idle| idle.until <= now || idle.held.sender.is_closed();
            closed.extend(of_target.idle.extract_if(.., over));
        }
        drop(state);
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(kept) = self.kept.upgrade() else {
            return;
        };
        let mut state = kept.lock();
        state.open = state.open.saturating_sub(1);
        if let Some(of_target) = state.targets.get_mut(&self.target) {
            of_target.open = of_target.open.saturating_sub(1);
            if of_target.open == 0 {
                // Whoever is idle is open too: there is none.
                state.targets.remove(&self.target);
            }
        }
    }
}
