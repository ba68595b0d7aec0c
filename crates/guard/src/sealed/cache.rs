//! Keys that are kept for a while: bounded in number, age and uses, forgotten at once when their owner is erased.
//!
//! [`Kept`] is the memory, a plain machine; [`Shelf`] puts waiting around it, so that of many who need a key one asks for it and all of them get the answer.

use super::keys::{CacheLimits, DataKeyError};
use countersign_base::{Clock, UnixTime};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What is kept, and since when.
pub(super) struct Kept<K, V> {
    limits: CacheLimits,
    entries: BTreeMap<K, Entry<V>>,
    /// The entries by the order in which they came; the first is the first to go.
    order: BTreeMap<u64, K>,
    next: u64,
}

struct Entry<V> {
    value: Arc<V>,
    asked_at: UnixTime,
    number: u64,
    uses: u64,
}

impl<K: Ord + Clone, V> Kept<K, V> {
    pub(super) const fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }

    /// Uses what is kept under `key`, if it is not too old and was not used too often.
    pub(super) fn take(&mut self, key: &K, now: UnixTime) -> Option<Arc<V>> {
        let limits = self.limits;
        let entry = self.entries.get_mut(key)?;
        // A clock that was set back makes an entry's age unknown: it is asked for again.
        let fresh = entry.asked_at <= now && now.since(entry.asked_at) < limits.age_max;
        if fresh && entry.uses < limits.uses_max {
            entry.uses += 1;
            return Some(Arc::clone(&entry.value));
        }
        self.remove(key);
        None
    }

    /// Keeps what was asked for at `asked_at`. The oldest make room.
    pub(super) fn put(&mut self, key: K, value: Arc<V>, asked_at: UnixTime) {
        self.remove(&key);
        while self.entries.len() >= self.limits.entries_max {
            let Some((_, oldest)) = self.order.pop_first() else {
                return;
            };
            self.entries.remove(&oldest);
        }
        let number = self.next;
        self.next += 1;
        self.order.insert(number, key.clone());
        let entry = Entry {
            value,
            asked_at,
            number,
            uses: 0,
        };
        self.entries.insert(key, entry);
    }

    /// Drops what is kept under the keys that `which` names.
    pub(super) fn forget(&mut self, which: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| !which(key));
        self.order.retain(|_, key| !which(key));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
        }
    }
}

type Answer<V> = Result<Arc<V>, DataKeyError>;
type Flight<V> = Shared<BoxFuture<'static, Answer<V>>>;

struct State<K, V> {
    kept: Kept<K, V>,
    flights: BTreeMap<K, (u64, Flight<V>)>,
    next: u64,
}

/// Values that are asked for where they are not kept.
pub(super) struct Shelf<K, V> {
    state: Arc<Mutex<State<K, V>>>,
    clock: Clock,
    flights_max: usize,
}

impl<K, V> Shelf<K, V>
where
    K: Ord + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(limits: CacheLimits, clock: Clock) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                kept: Kept::new(limits),
                flights: BTreeMap::new(),
                next: 0,
            })),
            clock,
            flights_max: limits.entries_max,
        }
    }

    /// What is kept under `key`, or what `ask` answers. Those who come while somebody asks wait for that answer.
    pub(super) async fn take(
        &self,
        key: &K,
        ask: impl Future<Output = Result<V, DataKeyError>> + Send + 'static,
    ) -> Answer<V> {
        let found = {
            let mut state = lock(&self.state);
            let now = self.clock.now();
            match state.kept.take(key, now) {
                Some(value) => return Ok(value),
                None => self.flight(&mut state, key, ask, now),
            }
        };
        found.await
    }

    fn flight(
        &self,
        state: &mut State<K, V>,
        key: &K,
        ask: impl Future<Output = Result<V, DataKeyError>> + Send + 'static,
        asked_at: UnixTime,
    ) -> Flight<V> {
        if let Some((_, flight)) = state.flights.get(key) {
            return flight.clone();
        }
        // Whoever waited may have gone away; what nobody waits for is not kept for ever.
        if state.flights.len() >= self.flights_max {
            state
                .flights
                .retain(|_, (_, flight)| flight.strong_count().is_some_and(|count| count > 1));
        }
        let number = state.next;
        state.next += 1;
        let landing = Landing {
            state: Arc::downgrade(&self.state),
            key: key.clone(),
            number,
            asked_at,
        };
        let flight = async move { landing.land(ask.await) }.boxed().shared();
        state.flights.insert(key.clone(), (number, flight.clone()));
        flight
    }

    /// Drops what is kept under the keys that `which` names; what is on its way is not kept, and nobody joins those who wait for it.
    pub(super) fn forget(&self, which: impl Fn(&K) -> bool) {
        let mut state = lock(&self.state);
        state.kept.forget(&which);
        state.flights.retain(|key, _| !which(key));
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.state).kept.len()
    }
}

struct Landing<K, V> {
    state: Weak<Mutex<State<K, V>>>,
    key: K,
    number: u64,
    asked_at: UnixTime,
}

impl<K: Ord + Clone, V> Landing<K, V> {
    fn land(self, answer: Result<V, DataKeyError>) -> Answer<V> {
        let answer = answer.map(Arc::new);
        if let Some(state) = self.state.upgrade() {
            let mut state = lock(&state);
            let current = state.flights.get(&self.key);
            // Forgotten meanwhile: the answer is from before.
            if current.is_some_and(|(number, _)| *number == self.number) {
                state.flights.remove(&self.key);
                if let Ok(value) = &answer {
                    state.kept.put(self.key, Arc::clone(value), self.asked_at);
                }
            }
        }
        answer
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
