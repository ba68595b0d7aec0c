//! Keys of issuers that are not ours: from the configuration, or fetched over HTTP when [`countersign_authn::jwks`] says so, and by nobody else.
//!
//! An issuer's keys belong to the tenant that trusts it: two tenants may name the same issuer and take its keys from different places. Our own tenants'
//! keys never come here; the [`crate::KeyRing`] answers for them.

use arc_swap::ArcSwap;
use countersign_authn::jwks::{FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup};
use countersign_authn::trust::{ForeignKeyNeeded, IssuerName, bundle_keys};
use countersign_base::{Clock, Duration, Kid, Tenant};
use countersign_crypto::jose::{Algorithm, JoseError, JwkSet, VerifyingKey};
use countersign_net::HttpClient;
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use url::Url;

/// What a look for a key came to.
#[derive(Debug)]
pub enum ForeignKey {
    /// The key.
    Found(VerifyingKey),
    /// The issuer's keys cannot be had now.
    Unavailable,
    /// The issuer has no such key, or is not one of ours to ask.
    Unknown,
}

/// What a set of keys looks like where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// A JWK set (RFC 7517 §5).
    JwkSet,
    /// A SPIFFE trust bundle.
    SpiffeBundle,
}

impl KeyFormat {
    /// Reads a set; keys that cannot be used are left out.
    ///
    /// # Errors
    /// When it is no set at all.
    pub fn read(self, bytes: &[u8]) -> Result<JwkSet, JoseError> {
        match self {
            Self::JwkSet => JwkSet::parse(bytes).map(|(set, skipped)| {
                if !skipped.is_empty() {
                    tracing::warn!(event = "jwks_keys_skipped", count = skipped.len());
                }
                set
            }),
            Self::SpiffeBundle => bundle_keys(bytes),
        }
    }
}

/// Where an issuer's keys come from.
pub enum ForeignSource {
    /// The configuration holds them.
    Fixed(JwkSet),
    /// An address, and the client that trusts its server.
    Fetched {
        /// The address.
        address: Url,
        /// What is found there.
        format: KeyFormat,
        /// Who fetches it.
        http: Box<HttpClient>,
    },
}

/// A foreign issuer of a tenant.
pub struct ForeignOrigin {
    /// The tenant that trusts it.
    pub tenant: Tenant,
    /// What the configuration calls it.
    pub name: IssuerName,
    /// Where its keys come from.
    pub source: ForeignSource,
}

struct Fetched {
    address: Url,
    format: KeyFormat,
    http: HttpClient,
    keys: Mutex<IssuerKeys>,
    arrived: Notify,
}

#[expect(
    clippy::large_enum_variant,
    reason = "one an issuer, each behind its own pointer"
)]
enum Foreign {
    Fetched(Fetched),
    Fixed(JwkSet),
}

type Issuers = BTreeMap<(Tenant, IssuerName), Arc<Foreign>>;

/// The foreign issuers that are trusted, and their keys.
pub struct ForeignKeys {
    clock: Clock,
    issuers: ArcSwap<Issuers>,
    /// Sets that arrived.
    arrivals: AtomicU64,
}

impl ForeignKeys {
    /// The issuers that the configuration names.
    #[must_use]
    pub fn new(clock: Clock, origins: Vec<ForeignOrigin>) -> Self {
        let keys = Self {
            clock,
            issuers: ArcSwap::default(),
            arrivals: AtomicU64::new(0),
        };
        keys.replace(origins);
        keys
    }

    /// Trusts these issuers from now on and no others. What was fetched is fetched anew.
    pub fn replace(&self, origins: Vec<ForeignOrigin>) {
        let issuers = origins.into_iter().map(|origin| {
            let foreign = match origin.source {
                ForeignSource::Fixed(set) => Foreign::Fixed(set),
                ForeignSource::Fetched {
                    address,
                    format,
                    http,
                } => Foreign::Fetched(Fetched {
                    address,
                    format,
                    http: *http,
                    keys: Mutex::new(IssuerKeys::new(JwksLimits::default())),
                    arrived: Notify::new(),
                }),
            };
            ((origin.tenant, origin.name), Arc::new(foreign))
        });
        self.issuers.store(Arc::new(issuers.collect()));
        self.arrivals.fetch_add(1, Ordering::Release);
    }

    /// A number that changes whenever a set of keys arrived: what was verified under another number is verified anew.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    /// The key of an issuer of `tenant` that a token demands.
    pub async fn find(&self, tenant: &Tenant, needed: &ForeignKeyNeeded) -> ForeignKey {
        let key = (tenant.clone(), needed.issuer.clone());
        let Some(foreign) = self.issuers.load().get(&key).cloned() else {
            return ForeignKey::Unknown;
        };
        let (kid, algorithm) = (needed.kid.as_ref(), needed.algorithm);
        match &*foreign {
            Foreign::Fixed(set) => {
                fixed(set, kid, algorithm).map_or(ForeignKey::Unknown, ForeignKey::Found)
            }
            Foreign::Fetched(fetched) => self.look(fetched, kid, algorithm).await,
        }
    }

    async fn look(&self, foreign: &Fetched, kid: Option<&Kid>, algorithm: Algorithm) -> ForeignKey {
        loop {
            let arrived = foreign.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            let lookup = foreign
                .keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .lookup(kid, algorithm, self.clock.now());
            match lookup {
                Lookup::Found(key) => return ForeignKey::Found(key),
                Lookup::Unavailable => return ForeignKey::Unavailable,
                Lookup::Unknown => return ForeignKey::Unknown,
                Lookup::Fetch(ticket) => self.fetch(foreign, ticket).await,
                Lookup::Wait => {
                    let waited =
                        tokio::time::timeout(JwksLimits::default().fetch_timeout, arrived).await;
                    if waited.is_err() {
                        return ForeignKey::Unavailable;
                    }
                }
            }
        }
    }

    /// Refreshes what is due before anybody misses it; a background job calls this.
    pub async fn refresh(&self) {
        let issuers = self.issuers.load_full();
        for foreign in issuers.values() {
            let Foreign::Fetched(foreign) = &**foreign else {
                continue;
            };
            let due = foreign
                .keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .refresh_due(self.clock.now());
            if let Some(ticket) = due {
                self.fetch(foreign, ticket).await;
            }
        }
    }

    async fn fetch(&self, foreign: &Fetched, ticket: FetchTicket) {
        let outcome = foreign.download().await;
        if outcome.is_err() {
            tracing::warn!(event = "jwks_fetch_failed");
        }
        foreign
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fetched(ticket, outcome, self.clock.now());
        self.arrivals.fetch_add(1, Ordering::Release);
        foreign.arrived.notify_waiters();
    }
}

impl Fetched {
    async fn download(&self) -> Result<(JwkSet, Duration), FetchFailed> {
        let answer = self
            .http
            .get(&self.address)
            .await
            .map_err(|_| FetchFailed)?;
        if answer.status != StatusCode::OK {
            return Err(FetchFailed);
        }
        let set = self.format.read(&answer.body).map_err(|_| FetchFailed)?;
        let cache_control = answer
            .headers
            .get(http::header::CACHE_CONTROL)
            .and_then(|value| value.to_str().ok());
        Ok((set, cache_control.and_then(max_age).unwrap_or_default()))
    }
}

/// The key of that name, or the only one that fits a token without a name.
fn fixed(set: &JwkSet, kid: Option<&Kid>, algorithm: Algorithm) -> Option<VerifyingKey> {
    let mut candidates = set.candidates(kid, algorithm);
    let first = candidates.next()?;
    if candidates.next().is_some() {
        None
    } else {
        Some(first.clone())
    }
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let directive = cache_control
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age="))?;
    directive.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read() {
        assert_eq!(
            max_age("public, max-age=300"),
            Some(Duration::from_secs(300))
        );
        assert_eq!(max_age("no-store"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
