//! How many requests are under way at once, of a route or an upstream, over all cores; and how that number follows the upstream's own pace.
//!
//! With [`Adapt::Latency`] the limit moves by the gradient of latency: answers are averaged over a short while and compared with a long-run
//! average. As long as the short average stays below one and a half of the long one the limit grows by its square root, but only while it is
//! being used; above, it shrinks by the ratio of both, by half at most. An upstream that breaks off or is too slow costs a tenth. All in
//! integers; time is an argument.
//!
//! Callers without a token may have half of the places: when it gets tight, those who said who they are come first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Places that configuration may give.
pub const PLACES_MAX: u32 = 65_536;
/// What a caller that found no place is told to wait.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many requests may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencySpec {
    /// Never more than these.
    pub max: u32,
    /// Whether it may be fewer.
    pub adapt: Adapt,
}

/// Whether a limit follows its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapt {
    /// It stays what it is.
    Fixed,
    /// It follows the latency of answers, and never goes below `min`.
    Latency {
        /// The least number of places.
        min: u32,
    },
}

/// Who comes first when places are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    Anonymous,
    Authenticated,
}

/// The places of one route or upstream.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) spec: ConcurrencySpec,
    taken: AtomicU32,
    limit: AtomicU32,
    gradient: Mutex<Gradient>,
}

/// A place; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place(Arc<Gate>);

impl Gate {
    pub(crate) fn new(spec: ConcurrencySpec) -> Arc<Self> {
        let gradient = Gradient::new(spec);
        Arc::new(Self {
            spec,
            taken: AtomicU32::new(0),
            limit: AtomicU32::new(gradient.limit()),
            gradient: Mutex::new(gradient),
        })
    }

    /// A place, if one is free for callers of this kind.
    pub(crate) fn enter(self: &Arc<Self>, priority: Priority) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        let share = match priority {
            Priority::Anonymous => (limit / 2).max(1),
            Priority::Authenticated => limit,
        };
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < share).then(|| taken.saturating_add(1))
            });
        taken.ok().map(|_| Place(Arc::clone(self)))
    }
}

impl Place {
    /// The head of an answer came after `took`.
    pub(crate) fn answered(&self, took: Duration, now: u64) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.learn(|gradient, taken| gradient.answered(took, taken, now));
    }

    /// None came: the upstream broke off, or was too slow.
    pub(crate) fn failed(&self) {
        self.learn(|gradient, _| gradient.failed());
    }

    fn learn(&self, lesson: impl FnOnce(&mut Gradient, u32)) {
        match self.0.spec.adapt {
            Adapt::Fixed => {}
            Adapt::Latency { .. } => {
                let mut gradient = self
                    .0
                    .gradient
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                lesson(&mut gradient, self.0.taken.load(Ordering::Relaxed));
                self.0.limit.store(gradient.limit(), Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long answers are averaged, at least.
const WINDOW_NANOS: u64 = 100_000_000;
/// How many answers are averaged, at least.
const WINDOW_ANSWERS: u64 = 10;
/// Limits are kept in parts of a place, so that small ones can move at all.
const PART: u64 = 1_024;

/// The limit and what it was learned from.
#[derive(Debug)]
struct Gradient {
    min: u64,
    max: u64,
    /// In parts of a place.
    limit: u64,
    /// The long-run average of latency in nanoseconds; zero before the first window.
    long: u64,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<u64>,
    answers: u64,
    sum: u128,
    /// The most places taken in it.
    taken: u32,
}

impl Gradient {
    fn new(spec: ConcurrencySpec) -> Self {
        let max = u64::from(spec.max.clamp(1, PLACES_MAX)) * PART;
        let (min, begin) = match spec.adapt {
            Adapt::Fixed => (max, max),
            // A quarter to begin with: an upstream that was just started is not the one to be flooded.
            Adapt::Latency { min } => {
                let min = (u64::from(min.max(1)) * PART).min(max);
                (min, (max / 4).max(min))
            }
        };
        Self {
            min,
            max,
            limit: begin,
            long: 0,
            window: Window::default(),
        }
    }

    fn limit(&self) -> u32 {
        u32::try_from(self.limit / PART).unwrap_or(PLACES_MAX)
    }

    fn answered(&mut self, took: u64, taken: u32, now: u64) {
        let began = *self.window.began.get_or_insert(now);
        self.window.answers += 1;
        self.window.sum += u128::from(took.max(1));
        self.window.taken = self.window.taken.max(taken);
        let over = now.saturating_sub(began) >= WINDOW_NANOS;
        if over && self.window.answers >= WINDOW_ANSWERS {
            let window = std::mem::take(&mut self.window);
            let average = window.sum / u128::from(window.answers);
            self.learn(u64::try_from(average).unwrap_or(u64::MAX), window.taken);
        }
    }

    fn failed(&mut self) {
        self.limit = (self.limit - self.limit / 10).max(self.min);
    }

    fn learn(&mut self, short: u64, taken: u32) {
        self.long = match self.long {
            0 => short,
            // When an upstream got quicker, that is the new usual; slowness becomes usual only over many windows.
            long if short < long => long.midpoint(short),
            long => long + (short - long) / 512,
        };
        let allowed = u128::from(self.long) * 3 / 2;
        let whole = u128::from(PART);
        let gradient = (allowed * whole / u128::from(short.max(1))).clamp(whole / 2, whole);
        let shrunk = u64::try_from(u128::from(self.limit) * gradient / whole).unwrap_or(self.limit);
        let used = u64::from(taken) * PART >= self.limit / 2;
        let queue = if gradient == whole && !used {
            // Nobody asked for more: growing would learn nothing.
            0
        } else {
            (self.limit / PART).isqrt().max(1) * PART
        };
        let target = shrunk.saturating_add(queue);
        // A fifth of the way at a time.
        let limit = (self.limit * 4).saturating_add(target) / 5;
        self.limit = limit.clamp(self.min, self.max);
    }
}

#[cfg(test)]
mod tests;
