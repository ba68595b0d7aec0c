//! A clock that moves only when a test says so.

use countersign_base::{Clock, Duration, UnixMillis};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock in a test's hand. Clones show the same time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock that stands at `seconds` since the epoch.
    #[must_use]
    pub fn at(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds.saturating_mul(1000))))
    }

    /// Turns it ahead.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// The clock as the program takes one.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let millis = Arc::clone(&self.0);
        Clock::from_fn(move || UnixMillis(millis.load(Ordering::SeqCst)))
    }
}

impl Default for FakeClock {
    /// 2026-11-21T00:00:00Z.
    fn default() -> Self {
        Self::at(1_795_219_200)
    }
}

/// The machine's own clock.
#[must_use]
pub fn system_clock() -> Clock {
    Clock::from_fn(|| {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    })
}
