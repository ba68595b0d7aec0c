//! How much a client may ask of the decision point: a bucket a client that holds [`QUESTIONS_AT_ONCE`] and gains [`QUESTIONS_A_SECOND`]. A question is one, a search as many as
//! it may look at for one tenth, because its candidates come from one list.
//!
//! Only clients that policy lets ask have a bucket, so that there are no more of them than registered clients. Not here: limits of the gateway's routes.

use countersign_base::{ClientId, Duration, Tenant, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Questions that a client may ask in one moment.
pub(super) const QUESTIONS_AT_ONCE: u32 = 10_000;
/// Questions that it may ask each second from then on.
pub(super) const QUESTIONS_A_SECOND: u32 = 2_000;
/// Buckets that are kept; beyond it those that are full again go first, then all.
const CLIENTS_MAX: usize = 16_384;

/// What clients have left.
#[derive(Default)]
pub(super) struct Calls(Mutex<HashMap<(Tenant, ClientId), Bucket>>);

struct Bucket {
    left: u32,
    at: UnixTime,
}

impl Bucket {
    fn refill(&mut self, now: UnixTime) {
        let seconds = now.0.saturating_sub(self.at.0).max(0);
        let gained = u32::try_from(seconds)
            .unwrap_or(u32::MAX)
            .saturating_mul(QUESTIONS_A_SECOND);
        self.left = self.left.saturating_add(gained).min(QUESTIONS_AT_ONCE);
        // A clock that was set back gives nothing twice.
        self.at = self.at.max(now);
    }
}

impl Calls {
    /// Takes so many questions of a client, or none.
    ///
    /// # Errors
    /// After how long there are so many.
    pub(super) fn take(
        &self,
        tenant: &Tenant,
        client: &ClientId,
        questions: u32,
        now: UnixTime,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CLIENTS_MAX {
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                bucket.left < QUESTIONS_AT_ONCE
            });
        }
        if buckets.len() >= CLIENTS_MAX {
            buckets.clear();
        }
        let key = (tenant.clone(), client.clone());
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: QUESTIONS_AT_ONCE,
            at: now,
        });
        bucket.refill(now);
        match bucket.left.checked_sub(questions) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => {
                let missing = questions.saturating_sub(bucket.left);
                let seconds = missing.div_ceil(QUESTIONS_A_SECOND).max(1);
                Err(Duration::from_secs(seconds.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_uses_up_its_own_bucket_and_gets_it_back() {
        let calls = Calls::default();
        let (tenant, now) = ("demo".parse().unwrap(), UnixTime(1_000));
        let ask = |client: &str, questions, now| {
            calls.take(&tenant, &client.parse().unwrap(), questions, now)
        };
        assert_eq!(ask("mesh", QUESTIONS_AT_ONCE, now), Ok(()));
        assert_eq!(ask("mesh", 1, now), Err(Duration::from_secs(1)));
        assert_eq!(ask("other", 1, now), Ok(()));
        assert_eq!(ask("mesh", QUESTIONS_A_SECOND, UnixTime(1_001)), Ok(()));
        let more = QUESTIONS_A_SECOND + 1;
        assert_eq!(
            ask("mesh", more, UnixTime(1_001)),
            Err(Duration::from_secs(2))
        );
        // A clock that goes back gives nothing, and one that goes on gives it once.
        assert_eq!(ask("mesh", 1, UnixTime(900)), Err(Duration::from_secs(1)));
        assert_eq!(ask("mesh", 1, UnixTime(1_001)), Err(Duration::from_secs(1)));
        assert_eq!(ask("mesh", QUESTIONS_AT_ONCE, UnixTime(9_000)), Ok(()));
    }
}
