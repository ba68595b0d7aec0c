//! Keys of clients that registered the address of their JWK set (`jwks_uri`), fetched through the egress guard and kept for a while.
//!
//! An address is fetched again when its set is old, or when an assertion does not verify under it and the last look was not just now. While it cannot be had, the
//! last set serves for a day; then nothing does.

use countersign_base::{Clock, Duration, UnixTime};
use countersign_crypto::jose::{JWKS_BYTES_MAX, JwkSet};
use countersign_net::{FetchRules, GuardedClient};
use countersign_oauth::WebAddress;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Sets that are kept; past it all are forgotten and fetched again.
const SETS_MAX: usize = 1000;
/// A set is kept at least this long, whatever its server says.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
/// And at most this long.
const LIFETIME_MAX: Duration = Duration::from_secs(3600);
/// How long a set serves that cannot be fetched anew.
const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The pause between two looks for keys that are missing, and after a look that failed.
const COOLDOWN: Duration = Duration::from_secs(30);

/// What a caller can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A set that is not too old.
    Current,
    /// One that was fetched because the kept one had not the key.
    Newer,
}

struct Kept {
    set: Option<(JwkSet, UnixTime)>,
    looked: UnixTime,
    fresh_until: UnixTime,
}

/// The sets.
pub struct ClientKeys {
    outside: GuardedClient,
    clock: Clock,
    kept: Mutex<HashMap<WebAddress, Kept>>,
}

impl ClientKeys {
    /// No sets yet.
    #[must_use]
    pub fn new(outside: GuardedClient, clock: Clock) -> Self {
        Self {
            outside,
            clock,
            kept: Mutex::default(),
        }
    }

    /// The set at an address. Nothing where it cannot be had, or a newer one is wanted too soon.
    pub async fn find(&self, address: &WebAddress, wanted: Wanted) -> Option<JwkSet> {
        match self.look(address, wanted) {
            Look::Answer(set) => set,
            Look::Fetch => {
                let fetched = self.fetch(address).await;
                self.keep(address, fetched)
            }
        }
    }

    fn look(&self, address: &WebAddress, wanted: Wanted) -> Look {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SETS_MAX && !kept.contains_key(address) {
            kept.clear();
        }
        let Some(entry) = kept.get_mut(address) else {
            // Whoever comes while this one fetches does not fetch too.
            kept.insert(
                address.clone(),
                Kept {
                    set: None,
                    looked: now,
                    fresh_until: now,
                },
            );
            return Look::Fetch;
        };
        let cooling = now < entry.looked.plus(COOLDOWN);
        match wanted {
            Wanted::Current if now < entry.fresh_until || (cooling && entry.set.is_some()) => {
                Look::Answer(entry.serving(now))
            }
            Wanted::Newer if cooling => Look::Answer(None),
            Wanted::Current | Wanted::Newer => {
                entry.looked = now;
                Look::Fetch
            }
        }
    }

    async fn fetch(&self, address: &WebAddress) -> Option<(JwkSet, Duration)> {
        let url = Url::parse(address.as_str()).ok()?;
        let rules = FetchRules::jwk_set(JWKS_BYTES_MAX);
        let fetched = match self.outside.fetch(&url, &rules).await {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::warn!(event = "client_keys_not_fetched", reason = error.reason());
                return None;
            }
        };
        let (set, _skipped) = JwkSet::parse(&fetched.body).ok()?;
        let lifetime = fetched.max_age.unwrap_or(LIFETIME_MIN);
        Some((set, lifetime.clamp(LIFETIME_MIN, LIFETIME_MAX)))
    }

    fn keep(&self, address: &WebAddress, fetched: Option<(JwkSet, Duration)>) -> Option<JwkSet> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.entry(address.clone()).or_insert(Kept {
            set: None,
            looked: now,
            fresh_until: now,
        });
        match fetched {
            Some((set, lifetime)) => {
                entry.set = Some((set, now));
                entry.fresh_until = now.plus(lifetime);
            }
            None => entry.fresh_until = now.plus(COOLDOWN),
        }
        entry.serving(now)
    }
}

enum Look {
    Answer(Option<JwkSet>),
    Fetch,
}

impl Kept {
    fn serving(&self, now: UnixTime) -> Option<JwkSet> {
        let (set, fetched) = self.set.as_ref()?;
        (now < fetched.plus(STALE_MAX)).then(|| set.clone())
    }
}

#[cfg(test)]
mod tests;
