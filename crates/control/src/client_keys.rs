//! Keys of clients that registered the address of their JWK set (`jwks_uri`), fetched through the egress guard and kept for a while.
//!
//! An address is fetched again when its set is old, or when somebody signs with a key that it lacks and the last look was not just now. Of many who want the same set
//! at once, one fetches and the others wait for it. While it cannot be had, the last set serves for a day; then nothing does.

pub use countersign_authn::jwks::Wanted;

use countersign_base::{Clock, Duration, UnixTime};
use countersign_crypto::jose::{JWKS_BYTES_MAX, JwkSet};
use countersign_net::{FetchRules, GuardedClient};
use countersign_oauth::WebAddress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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

struct Kept {
    set: Option<(JwkSet, UnixTime)>,
    looked: Option<UnixTime>,
    fresh_until: UnixTime,
    /// Whose turn it is to fetch.
    turn: Arc<tokio::sync::Mutex<()>>,
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

    /// The set at an address: a newer one, if that was wanted and the last look was not just now. Nothing where there is none.
    pub async fn find(&self, address: &WebAddress, wanted: Wanted) -> Option<JwkSet> {
        if let (Wanted::Current, Look::Answer(set)) = (wanted, self.current(address)) {
            return set;
        }
        let turn = self.with(address, |entry| Arc::clone(&entry.turn));
        let _held = turn.lock().await;
        // Whoever waited for another's look takes what that brought.
        let known = match wanted {
            Wanted::Current => self.current(address),
            Wanted::Newer => self.looked_just_now(address),
        };
        if let Look::Answer(set) = known {
            return set;
        }
        self.begin(address);
        let fetched = self.fetch(address).await;
        self.keep(address, fetched)
    }

    fn current(&self, address: &WebAddress) -> Look {
        let now = self.clock.now();
        self.with(address, |entry| {
            // An old set serves while another caller looks for the next.
            if now < entry.fresh_until || (entry.is_cooling(now) && entry.set.is_some()) {
                Look::Answer(entry.serving(now))
            } else {
                Look::Fetch
            }
        })
    }

    fn looked_just_now(&self, address: &WebAddress) -> Look {
        let now = self.clock.now();
        self.with(address, |entry| {
            if entry.is_cooling(now) {
                Look::Answer(entry.serving(now))
            } else {
                Look::Fetch
            }
        })
    }

    fn begin(&self, address: &WebAddress) {
        let now = self.clock.now();
        self.with(address, |entry| entry.looked = Some(now));
    }

    fn with<T>(&self, address: &WebAddress, act: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SETS_MAX && !kept.contains_key(address) {
            kept.clear();
        }
        act(kept.entry(address.clone()).or_insert_with(Kept::nothing))
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
        self.with(address, |entry| {
            match fetched {
                Some((set, lifetime)) => {
                    entry.set = Some((set, now));
                    entry.fresh_until = now.plus(lifetime);
                }
                None => entry.fresh_until = now.plus(COOLDOWN),
            }
            entry.serving(now)
        })
    }
}

enum Look {
    Answer(Option<JwkSet>),
    Fetch,
}

impl Kept {
    fn nothing() -> Self {
        Self {
            set: None,
            looked: None,
            fresh_until: UnixTime(i64::MIN),
            turn: Arc::default(),
        }
    }

    /// Whether the last look was just now.
    fn is_cooling(&self, now: UnixTime) -> bool {
        self.looked
            .is_some_and(|looked| now < looked.plus(COOLDOWN))
    }

    fn serving(&self, now: UnixTime) -> Option<JwkSet> {
        let (set, fetched) = self.set.as_ref()?;
        (now < fetched.plus(STALE_MAX)).then(|| set.clone())
    }
}

#[cfg(test)]
mod tests;
