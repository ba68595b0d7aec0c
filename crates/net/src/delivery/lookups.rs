//! How many names are looked up at once.
//!
//! The system's resolver occupies a thread for as long as it takes, which for a name whose servers do not answer is longer than anybody waits: giving up on it gives no thread back. The
//! threads are shared with everything else that waits for the system. So look-ups are bounded, and a name that has not lately been found in good time has less room than one that has:
//! names that hang, however many, take nothing from those that don't.
//!
//! Not here: what an address may be. See [`crate::egress`].

use super::DeliveryError;
use crate::egress::{EgressPolicy, Judged, without_brackets};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Look-ups at once of names that were found in good time when they were looked up last.
const FOUND_AT_ONCE_MAX: usize = 128;
/// Look-ups at once of all other names.
const OTHERS_AT_ONCE_MAX: usize = 64;
/// What is good time.
const GOOD_TIME: Duration = Duration::from_secs(2);
/// How long a name waits for its turn. Then there is no room.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Names that are remembered. Past it all are forgotten: what is remembered is an advantage and never a need.
const REMEMBERED_MAX: usize = 16_384;

/// See the module.
pub(super) struct Lookups {
    found_turns: Arc<Semaphore>,
    other_turns: Arc<Semaphore>,
    found: Arc<Found>,
}

/// The names that were found in good time.
#[derive(Default)]
struct Found(Mutex<HashSet<String>>);

impl Lookups {
    pub(super) fn new() -> Self {
        Self {
            found_turns: Arc::new(Semaphore::new(FOUND_AT_ONCE_MAX)),
            other_turns: Arc::new(Semaphore::new(OTHERS_AT_ONCE_MAX)),
            found: Arc::default(),
        }
    }

    /// Looks the name up, once, and judges every address of it.
    ///
    /// # Errors
    /// [`DeliveryError::Busy`] where its turn did not come; else as [`EgressPolicy::resolve`] says.
    pub(super) async fn resolve(
        &self,
        egress: &EgressPolicy,
        host: &str,
        port: u16,
    ) -> Result<Judged, DeliveryError> {
        if is_address(host) {
            return Ok(egress.resolve(host, port).await?);
        }
        let turns = if self.found.has(host) {
            &self.found_turns
        } else {
            &self.other_turns
        };
        let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(turns).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(DeliveryError::Busy);
        };
        let (egress, found, host) = (egress.clone(), Arc::clone(&self.found), host.to_owned());
        // A task of its own: its turn is over when the look-up is, and not when nobody waits for it any more.
        let looking_up = tokio::spawn(async move {
            let began = Instant::now();
            let judged = egress.resolve(&host, port).await;
            drop(turn);
            // A name that is known not to exist was answered too.
            if began.elapsed() <= GOOD_TIME {
                found.remember(host);
            } else {
                found.forget(&host);
            }
            judged
        });
        match looking_up.await {
            Ok(judged) => Ok(judged?),
            Err(_) => Err(DeliveryError::Busy),
        }
    }
}

impl Found {
    fn has(&self, host: &str) -> bool {
        self.lock().contains(host)
    }

    fn remember(&self, host: String) {
        let mut names = self.lock();
        if names.len() >= REMEMBERED_MAX {
            names.clear();
        }
        names.insert(host);
    }

    fn forget(&self, host: &str) {
        self.lock().remove(host);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as URLs write it: nothing is looked up.
fn is_address(host: &str) -> bool {
    without_brackets(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
