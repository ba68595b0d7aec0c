//! Keys of issuers that are not ours: fetched over HTTP when [`countersign_authn::jwks`] says so, and by nobody else.
//!
//! Our own tenants' keys never come here; the [`crate::KeyRing`] answers for them.

use countersign_authn::jwks::{FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup};
use countersign_base::{Clock, Duration, Issuer, Kid};
use countersign_crypto::jose::{Algorithm, JwkSet, VerifyingKey};
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

struct Foreign {
    address: Url,
    keys: Mutex<IssuerKeys>,
    arrived: Notify,
}

/// The foreign issuers that are trusted, and their keys.
pub struct ForeignKeys {
    http: HttpClient,
    clock: Clock,
    issuers: BTreeMap<Issuer, Arc<Foreign>>,
    /// Sets that arrived.
    arrivals: AtomicU64,
}

impl ForeignKeys {
    /// `issuers` with the addresses of their JWK sets, as the configuration names them.
    #[must_use]
    pub fn new(
        http: HttpClient,
        clock: Clock,
        issuers: impl IntoIterator<Item = (Issuer, Url)>,
    ) -> Self {
        let foreign = |address| {
            Arc::new(Foreign {
                address,
                keys: Mutex::new(IssuerKeys::new(JwksLimits::default())),
                arrived: Notify::new(),
            })
        };
        Self {
            http,
            clock,
            issuers: issuers
                .into_iter()
                .map(|(issuer, address)| (issuer, foreign(address)))
                .collect(),
            arrivals: AtomicU64::new(0),
        }
    }

    /// A number that changes whenever a set of keys arrived: what was verified under another number is verified anew.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    /// The key of `issuer` that a token names.
    pub async fn find(
        &self,
        issuer: &Issuer,
        kid: Option<&Kid>,
        algorithm: Algorithm,
    ) -> ForeignKey {
        let Some(foreign) = self.issuers.get(issuer) else {
            return ForeignKey::Unknown;
        };
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
        for foreign in self.issuers.values() {
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

    async fn fetch(&self, foreign: &Foreign, ticket: FetchTicket) {
        let outcome = self.download(&foreign.address).await;
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

    async fn download(&self, address: &Url) -> Result<(JwkSet, Duration), FetchFailed> {
        let answer = self.http.get(address).await.map_err(|_| FetchFailed)?;
        if answer.status != StatusCode::OK {
            return Err(FetchFailed);
        }
        let (set, skipped) = JwkSet::parse(&answer.body).map_err(|_| FetchFailed)?;
        if !skipped.is_empty() {
            tracing::warn!(event = "jwks_keys_skipped", count = skipped.len());
        }
        let cache_control = answer
            .headers
            .get(http::header::CACHE_CONTROL)
            .and_then(|value| value.to_str().ok());
        Ok((set, cache_control.and_then(max_age).unwrap_or_default()))
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
