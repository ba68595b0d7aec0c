//! How much a client may ask of a surface: a bucket a client that holds what its [`Allowance`] says and is full again after the allowance's span.
//!
//! Only clients whose token was proven have a bucket, so that there are no more of them than registered clients. Each process counts for itself. Not here: limits of the gateway's
//! routes.

use countersign_base::{ClientId, Duration, Tenant, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Buckets that are kept; beyond it those that are full again go first, then all.
const CLIENTS_MAX: usize = 16_384;

/// So many requests in one moment, and as many again over each such span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests, at least one.
    pub(crate) requests: u32,
    /// The span, at least a second.
    pub(crate) per: Duration,
}

impl Allowance {
    /// What a bucket holds, in parts of a request that it gains `requests` of each second.
    fn full(self) -> u64 {
        self.cost(self.requests)
    }

    fn cost(self, requests: u32) -> u64 {
        u64::from(requests).saturating_mul(self.per.as_secs().max(1))
    }

    fn gain(self) -> u64 {
        u64::from(self.requests.max(1))
    }
}

/// What clients have left.
#[derive(Default)]
pub(crate) struct Calls(Mutex<HashMap<(Tenant, ClientId), Bucket>>);

struct Bucket {
    left: u64,
    at: UnixTime,
}

impl Bucket {
    fn refill(&mut self, allowance: Allowance, now: UnixTime) {
        let seconds = u64::try_from(now.0.saturating_sub(self.at.0)).unwrap_or(0);
        let gained = seconds.saturating_mul(allowance.gain());
        self.left = self.left.saturating_add(gained).min(allowance.full());
        // A clock that was set back gives nothing twice.
        self.at = self.at.max(now);
    }
}

impl Calls {
    /// Takes so many requests of a client, or none. The allowance is that of this moment: a bucket that holds more loses it.
    ///
    /// # Errors
    /// After how long there are so many.
    pub(crate) fn take(
        &self,
        allowance: Allowance,
        (tenant, client): (&Tenant, &ClientId),
        requests: u32,
        now: UnixTime,
    ) -> Result<(), Duration> {
        let full = allowance.full();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), client.clone());
        if buckets.len() >= CLIENTS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| {
                bucket.refill(allowance, now);
                bucket.left < full
            });
            if buckets.len() >= CLIENTS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: full,
            at: now,
        });
        bucket.refill(allowance, now);
        let cost = allowance.cost(requests);
        match bucket.left.checked_sub(cost) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => {
                let missing = cost.saturating_sub(bucket.left);
                let seconds = missing.div_ceil(allowance.gain()).max(1);
                Err(Duration::from_secs(seconds))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(requests: u32, per: u64) -> Allowance {
        Allowance {
            requests,
            per: Duration::from_secs(per),
        }
    }

    #[test]
    fn a_client_uses_up_its_own_bucket_and_gets_it_back() {
        let calls = Calls::default();
        let (tenant, now) = ("demo".parse().unwrap(), UnixTime(1_000));
        let allowance = allowance(10_000, 5);
        let ask = |client: &str, questions, now| {
            let client = client.parse().unwrap();
            calls.take(allowance, (&tenant, &client), questions, now)
        };
        assert_eq!(ask("mesh", 10_000, now), Ok(()));
        assert_eq!(ask("mesh", 1, now), Err(Duration::from_secs(1)));
        assert_eq!(ask("other", 1, now), Ok(()));
        assert_eq!(ask("mesh", 2_000, UnixTime(1_001)), Ok(()));
        assert_eq!(
            ask("mesh", 2_001, UnixTime(1_001)),
            Err(Duration::from_secs(2))
        );
        // A clock that goes back gives nothing, and one that goes on gives it once.
        assert_eq!(ask("mesh", 1, UnixTime(900)), Err(Duration::from_secs(1)));
        assert_eq!(ask("mesh", 1, UnixTime(1_001)), Err(Duration::from_secs(1)));
        assert_eq!(ask("mesh", 10_000, UnixTime(9_000)), Ok(()));
    }

    #[test]
    fn less_than_one_a_second_is_counted_too() {
        let calls = Calls::default();
        let (tenant, client) = ("demo".parse().unwrap(), "batch".parse().unwrap());
        let take = |allowance, now| calls.take(allowance, (&tenant, &client), 1, UnixTime(now));
        let two_a_minute = allowance(2, 60);
        assert_eq!(take(two_a_minute, 0), Ok(()));
        assert_eq!(take(two_a_minute, 0), Ok(()));
        assert_eq!(take(two_a_minute, 0), Err(Duration::from_secs(30)));
        assert_eq!(take(two_a_minute, 29), Err(Duration::from_secs(1)));
        assert_eq!(take(two_a_minute, 30), Ok(()));
        assert_eq!(take(two_a_minute, 30), Err(Duration::from_secs(30)));
        // What was saved up under another allowance counts for no more than the one of this moment holds.
        let one_a_second = allowance(1, 1);
        assert_eq!(take(one_a_second, 1_000), Ok(()));
        assert_eq!(take(one_a_second, 1_000), Err(Duration::from_secs(1)));
    }

    #[test]
    fn there_are_no_more_buckets_than_may_be() {
        let calls = Calls::default();
        let tenant = "demo".parse().unwrap();
        let one_an_hour = allowance(1, 3_600);
        let take = |number: usize, now| {
            let client = format!("client-{number}").parse().unwrap();
            calls.take(one_an_hour, (&tenant, &client), 1, UnixTime(now))
        };
        let buckets = || calls.0.lock().unwrap().len();
        for number in 0..CLIENTS_MAX - 1 {
            assert_eq!(take(number, 0), Ok(()));
        }
        assert_eq!(take(CLIENTS_MAX, 1_800), Ok(()));
        assert_eq!(buckets(), CLIENTS_MAX);
        // Who has a bucket keeps it, however many there are.
        assert_eq!(take(0, 3_599), Err(Duration::from_secs(1)));
        assert_eq!(buckets(), CLIENTS_MAX);
        // One more, and those that are full again go; the one that is not stays.
        assert_eq!(take(CLIENTS_MAX + 1, 3_600), Ok(()));
        assert_eq!(buckets(), 2);
        assert_eq!(take(CLIENTS_MAX, 3_600), Err(Duration::from_secs(1_800)));
        // Where none is full, all go.
        for number in 0..CLIENTS_MAX - 2 {
            assert_eq!(take(number, 3_600), Ok(()));
        }
        assert_eq!(buckets(), CLIENTS_MAX);
        assert_eq!(take(CLIENTS_MAX + 2, 3_600), Ok(()));
        assert_eq!(buckets(), 1);
    }
}
