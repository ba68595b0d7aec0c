//! The clock as a value that is handed around.
//!
//! Pure crates never see one: they take `now` as their last argument. The shell holds a [`Clock`] so that tests can turn it.

use crate::{UnixMillis, UnixTime};
use std::fmt;
use std::sync::Arc;

/// A source of the current time. Whoever builds one decides where the time comes from; this crate reads no clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// A clock that answers what `read` answers.
    pub fn from_fn(read: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Whole seconds, as every protocol of this program counts.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.millis().seconds()
    }

    /// Milliseconds, for records and latencies.
    #[must_use]
    pub fn millis(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
