//! Calls that take much of a processor take turns, and are carried out where they hold up nobody else.
//!
//! Signing in, reading and renewing go on beside them: half of the processors at most generate keys, look through all roles or work off batches.

use super::VaultFailure;
use std::thread;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task;

/// Calls that wait while every turn is taken.
const WAITING_MAX: usize = 64;

/// The turns of a vault.
pub(super) struct Turns {
    free: Semaphore,
    waiting: Semaphore,
}

/// A turn that was taken; given back when it is dropped.
#[must_use]
pub(super) struct Turn<'t>(
    #[expect(dead_code, reason = "given back when it is dropped")] SemaphorePermit<'t>,
);

impl Default for Turns {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::of(processors.div_ceil(2), WAITING_MAX)
    }
}

impl Turns {
    fn of(at_once: usize, waiting: usize) -> Self {
        Self {
            free: Semaphore::new(at_once),
            waiting: Semaphore::new(waiting),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`VaultFailure::Unsettled`] when as many wait as may.
    pub(super) async fn take(&self) -> Result<Turn<'_>, VaultFailure> {
        let busy = |_| VaultFailure::Unsettled;
        let _waits = self.waiting.try_acquire().map_err(busy)?;
        let turn = self.free.acquire().await;
        turn.map(Turn).map_err(|_closed| VaultFailure::Unsettled)
    }
}

/// Does work that takes long; whatever else waits for this thread goes on at another.
pub(super) fn at_length<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => task::block_in_place(work),
        Ok(_) | Err(_) => work(),
    }
}

#[cfg(test)]
mod tests;
