//! The keys of issuers: [`countersign_authn::jwks`] with waiting.
//!
//! Not here: HTTP. A [`KeySource`] brings the bytes.

use bytes::Bytes;
use countersign_authn::KeyAnswer;
use countersign_authn::jwks::{FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup};
use countersign_base::{Clock, Duration, Issuer, Kid};
use countersign_crypto::jose::{Algorithm, JwkSet};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How often one request looks again after a fetch.
const LOOKS_MAX: usize = 3;

/// A JWK set as it was fetched.
#[derive(Debug, Clone)]
pub struct FetchedKeys {
    /// The document.
    pub body: Bytes,
    /// For how long its issuer says it is good (`Cache-Control: max-age`); limits apply.
    pub max_age: Duration,
}

/// Where keys come from. Implementations fetch the address that they were configured with, over TLS, follow no redirects and end within the
/// timeout of [`JwksLimits`].
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the set of an issuer once.
    fn fetch(&self, issuer: &Issuer) -> BoxFuture<'static, Result<FetchedKeys, FetchFailed>>;
}

/// Keys that the service was configured with.
#[derive(Debug, Clone, Default)]
pub struct StaticKeys(BTreeMap<Issuer, Bytes>);

impl StaticKeys {
    /// The JWK set documents by issuer.
    #[must_use]
    pub fn new(sets: impl IntoIterator<Item = (Issuer, Bytes)>) -> Self {
        Self(sets.into_iter().collect())
    }
}

impl KeySource for StaticKeys {
    fn fetch(&self, issuer: &Issuer) -> BoxFuture<'static, Result<FetchedKeys, FetchFailed>> {
        let found = self.0.get(issuer).cloned().ok_or(FetchFailed);
        Box::pin(async move {
            Ok(FetchedKeys {
                body: found?,
                max_age: Duration::from_secs(3600),
            })
        })
    }
}

type Flight = Shared<BoxFuture<'static, ()>>;

struct Entry {
    state: Mutex<IssuerKeys>,
    flight: Mutex<Option<Flight>>,
}

/// The keys of the issuers that a service trusts.
pub(crate) struct Keys {
    source: Arc<dyn KeySource>,
    clock: Clock,
    entries: BTreeMap<Issuer, Arc<Entry>>,
}

impl Keys {
    pub(crate) fn new(
        source: Arc<dyn KeySource>,
        issuers: impl IntoIterator<Item = Issuer>,
        limits: JwksLimits,
        clock: Clock,
    ) -> Self {
        let entry = || {
            Arc::new(Entry {
                state: Mutex::new(IssuerKeys::new(limits)),
                flight: Mutex::new(None),
            })
        };
        Self {
            source,
            clock,
            entries: issuers
                .into_iter()
                .map(|issuer| (issuer, entry()))
                .collect(),
        }
    }

    /// The generation of an issuer's set: part of the name of cached verdicts.
    pub(crate) fn generation(&self, issuer: &Issuer) -> u64 {
        self.entries
            .get(issuer)
            .map_or(0, |entry| lock(&entry.state).generation())
    }

    /// The key, fetched if need be. One of the callers fetches, all of them wait.
    pub(crate) async fn find(
        &self,
        issuer: &Issuer,
        kid: Option<&Kid>,
        algorithm: Algorithm,
    ) -> KeyAnswer {
        let Some(entry) = self.entries.get(issuer) else {
            return KeyAnswer::Unknown;
        };
        for _ in 0..LOOKS_MAX {
            let looked = lock(&entry.state).lookup(kid, algorithm, self.clock.now());
            match looked {
                Lookup::Fetch(ticket) => self.fly(issuer, entry, ticket).await,
                Lookup::Found(key) => return KeyAnswer::Key(key),
                Lookup::Unavailable => return KeyAnswer::Unavailable,
                Lookup::Unknown => return KeyAnswer::Unknown,
                Lookup::Wait => {
                    let flight = lock(&entry.flight).clone();
                    match flight {
                        Some(flight) => flight.await,
                        None => return KeyAnswer::Unavailable,
                    }
                }
            }
        }
        KeyAnswer::Unavailable
    }

    /// Fetches the sets whose time has come.
    pub(crate) async fn refresh(&self) {
        for (issuer, entry) in &self.entries {
            let due = lock(&entry.state).refresh_due(self.clock.now());
            if let Some(ticket) = due {
                self.fly(issuer, entry, ticket).await;
            }
        }
    }

    async fn fly(&self, issuer: &Issuer, entry: &Arc<Entry>, ticket: FetchTicket) {
        let (fetch, clock, landing) = (
            self.source.fetch(issuer),
            self.clock.clone(),
            Arc::downgrade(entry),
        );
        let flight = async move {
            let outcome = fetch.await.and_then(|fetched| {
                let (set, _) = JwkSet::parse(&fetched.body).map_err(|_| FetchFailed)?;
                Ok((set, fetched.max_age))
            });
            if let Some(entry) = landing.upgrade() {
                lock(&entry.state).fetched(ticket, outcome, clock.now());
            }
        };
        let flight = flight.boxed().shared();
        *lock(&entry.flight) = Some(flight.clone());
        flight.await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
