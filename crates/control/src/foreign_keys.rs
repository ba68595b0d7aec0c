//! Keys of issuers that are not ours: from the configuration, or fetched over HTTP when [`countersign_authn::jwks`] says so, and by nobody else.
//!
//! An issuer's keys belong to whoever trusts it ([`KeysOf`]): two tenants, or a tenant and the gateway, may name the same issuer and take its keys from different places.
//! Our own tenants' keys never come here; the [`crate::KeyRing`] answers for them.
//!
//! Nobody's request carries a fetch: it runs in a task of its own, and whoever misses its keys waits for it for a while.
//!
//! Whoever needs more of a set than one key of it (keys of other algorithms, keys for encryption) follows the whole of it: [`FollowedKeys`].

mod followed;

pub use followed::FollowedKeys;

use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_authn::jwks::{
    FetchFailed, FetchTicket, IssuerKeys, JwksLimits, Lookup, Wanted, Whole,
};
use countersign_authn::trust::{ForeignKeyNeeded, IssuerName, bundle_keys};
use countersign_base::{Clock, Duration, Issuer, Kid, RouteId, SourceName, Tenant, UnixTime};
use countersign_crypto::digest::sha256;
use countersign_crypto::jose::{Algorithm, JWKS_BYTES_MAX, JoseError, JwkSet, VerifyingKey};
use countersign_net::{FetchRules, GuardedClient, HttpClient};
use futures_util::StreamExt as _;
use http::StatusCode;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use url::Url;

/// How long somebody waits for keys that are being fetched.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Sets that are refreshed at once ahead of their time: fewer than the guarded client lets through, so that there is always room for one that somebody misses.
const REFRESHED_AT_ONCE: usize = 32;

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
        /// How what was fetched is kept.
        limits: JwksLimits,
    },
    /// The address of a JWK set, fetched by the rules of `[egress]`: `https` alone, judged addresses, no redirect, bounded.
    Guarded {
        /// The address.
        address: Url,
        /// Who fetches it.
        outside: GuardedClient,
        /// How what was fetched is kept.
        limits: JwksLimits,
    },
}

/// Whose keys a set is: nobody else's tokens are ever looked up in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeysOf {
    /// An issuer whose access tokens routes take.
    Gateway {
        /// What the configuration calls it.
        name: IssuerName,
        /// Itself, so that a name that is given to another issuer never leads to the keys of the one before.
        issuer: Issuer,
    },
    /// A partner with whom messages are exchanged.
    Partner {
        /// Whose partner it is.
        tenant: Tenant,
        /// What the configuration calls it.
        name: RouteId,
        /// Where the set is, so that a name that is given to another partner never leads to the keys of the one before.
        address: Url,
    },
    /// An issuer of workload identities or assertions that a tenant trusts.
    Tenant {
        /// The tenant.
        tenant: Tenant,
        /// What the configuration calls it.
        name: IssuerName,
    },
    /// Somebody who sends webhooks to us.
    WebhookSource {
        /// What the configuration calls it.
        name: SourceName,
        /// Where the set is.
        address: Url,
    },
}

impl KeysOf {
    fn name(&self) -> &str {
        match self {
            Self::Gateway { name, .. } | Self::Tenant { name, .. } => name.as_str(),
            Self::Partner { name, .. } => name.as_str(),
            Self::WebhookSource { name, .. } => name.as_str(),
        }
    }

    const fn is_of_gateway(&self) -> bool {
        matches!(self, Self::Gateway { .. })
    }
}

/// A foreign issuer, and where its keys come from.
pub struct ForeignOrigin {
    /// Whose keys they are.
    pub of: KeysOf,
    /// Where they come from.
    pub source: ForeignSource,
    /// A digest of all that `source` was made of: while it stays, so do the keys that were fetched.
    pub identity: [u8; 32],
}

/// A whole set as it was fetched.
#[derive(Debug, Clone)]
pub struct ForeignSet {
    /// Its text.
    pub bytes: Bytes,
    /// The SHA-256 of that: another set has another.
    pub digest: [u8; 32],
}

/// A set with its keys for signatures, each parsed once.
struct Document {
    keys: JwkSet,
    set: ForeignSet,
}

impl Borrow<JwkSet> for Document {
    fn borrow(&self) -> &JwkSet {
        &self.keys
    }
}

/// Who fetches.
enum Fetcher {
    /// By the rules of the entry that names the address.
    Own(Box<HttpClient>, KeyFormat),
    /// By those of `[egress]`.
    Guarded(GuardedClient),
}

struct Fetched {
    address: Url,
    fetcher: Fetcher,
    keys: Mutex<IssuerKeys<Document>>,
    /// A digest of the last set: one that comes again changes nothing.
    last: Mutex<Option<[u8; 32]>>,
    arrived: Notify,
}

#[expect(
    clippy::large_enum_variant,
    reason = "one an issuer, each behind its own pointer"
)]
enum Source {
    Fetched(Fetched),
    Fixed(JwkSet),
}

struct Foreign {
    of: KeysOf,
    identity: [u8; 32],
    source: Source,
}

type Issuers = BTreeMap<KeysOf, Arc<Foreign>>;

/// The foreign issuers that are trusted, and their keys. Cloning it is cheap; clones are one.
#[derive(Clone)]
pub struct ForeignKeys(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// Where fetches run: a request that goes away takes none with it, and connections belong to one runtime.
    runtime: Option<Handle>,
    issuers: ArcSwap<Issuers>,
    /// Sets of the gateway's issuers that came, changed or went.
    changes: AtomicU64,
    /// When the next set of the gateway's issuers ceases to serve, in seconds.
    next_expiry: AtomicI64,
    /// Whoever judges when that is.
    judging: Mutex<()>,
}

impl ForeignKeys {
    /// The issuers that the configuration names.
    #[must_use]
    pub fn new(clock: Clock, origins: Vec<ForeignOrigin>) -> Self {
        let keys = Self(Arc::new(Inner {
            clock,
            runtime: Handle::try_current().ok(),
            issuers: ArcSwap::default(),
            changes: AtomicU64::new(0),
            next_expiry: AtomicI64::new(i64::MAX),
            judging: Mutex::default(),
        }));
        keys.replace(origins);
        keys
    }

    /// Trusts these issuers from now on and no others. What was fetched stays with whoever stays as they are.
    pub fn replace(&self, origins: Vec<ForeignOrigin>) {
        let before = self.0.issuers.load_full();
        let after: Issuers = origins
            .into_iter()
            .map(|origin| {
                let stays = before
                    .get(&origin.of)
                    .filter(|known| known.identity == origin.identity);
                let foreign = stays.cloned().unwrap_or_else(|| Foreign::new(origin));
                (foreign.of.clone(), foreign)
            })
            .collect();
        let of_gateway = |issuers: &Issuers| -> Vec<(KeysOf, [u8; 32])> {
            let known = issuers.iter().filter(|(of, _)| of.is_of_gateway());
            known
                .map(|(of, foreign)| (of.clone(), foreign.identity))
                .collect()
        };
        let changed = of_gateway(&before) != of_gateway(&after);
        self.0.issuers.store(Arc::new(after));
        self.0.judge_expiries();
        if changed {
            // After the store, so that nobody who sees the number finds the issuers of before.
            self.0.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that changes whenever a set of keys of the gateway's issuers came, changed, went, or ceased to serve: what was verified under another number is
    /// verified anew.
    #[must_use]
    pub fn gateway_generation(&self, now: UnixTime) -> u64 {
        if now.0 >= self.0.next_expiry.load(Ordering::Acquire) {
            self.0.judge_expiries();
        }
        self.0.changes.load(Ordering::Acquire)
    }

    /// The key of an issuer of `tenant` that a token demands.
    pub async fn find(&self, tenant: &Tenant, needed: &ForeignKeyNeeded) -> ForeignKey {
        let of = KeysOf::Tenant {
            tenant: tenant.clone(),
            name: needed.issuer.clone(),
        };
        self.key_of(&of, needed.kid.as_ref(), needed.algorithm)
            .await
    }

    /// The key of an issuer.
    pub async fn key_of(&self, of: &KeysOf, kid: Option<&Kid>, algorithm: Algorithm) -> ForeignKey {
        let Some(foreign) = self.0.issuers.load().get(of).cloned() else {
            return ForeignKey::Unknown;
        };
        match &foreign.source {
            Source::Fixed(set) => {
                fixed(set, kid, algorithm).map_or(ForeignKey::Unknown, ForeignKey::Found)
            }
            Source::Fetched(fetched) => self.look(&foreign, fetched, kid, algorithm).await,
        }
    }

    async fn look(
        &self,
        foreign: &Arc<Foreign>,
        fetched: &Fetched,
        kid: Option<&Kid>,
        algorithm: Algorithm,
    ) -> ForeignKey {
        let look = async {
            loop {
                let arrived = fetched.arrived.notified();
                let mut arrived = std::pin::pin!(arrived);
                arrived.as_mut().enable();
                let lookup = fetched.keys().lookup(kid, algorithm, self.0.clock.now());
                match lookup {
                    Lookup::Found(key) => return ForeignKey::Found(key),
                    Lookup::Unavailable => return ForeignKey::Unavailable,
                    Lookup::Unknown => return ForeignKey::Unknown,
                    Lookup::Fetch(ticket) => _ = self.launch(foreign, ticket),
                    Lookup::Wait => arrived.await,
                }
            }
        };
        let looked = tokio::time::timeout(WAIT_MAX, look).await;
        looked.unwrap_or(ForeignKey::Unavailable)
    }

    /// The whole set of whoever it is, as it was fetched; a newer one, if that is wanted and nobody wanted it just now. Nothing where there is none, and of an issuer whose
    /// keys the configuration holds: who wrote that has them.
    pub async fn whole(&self, of: &KeysOf, wanted: Wanted) -> Option<ForeignSet> {
        let foreign = self.0.issuers.load().get(of).cloned()?;
        let Source::Fetched(fetched) = &foreign.source else {
            return None;
        };
        let mut wanted = wanted;
        let look = async {
            loop {
                let arrived = fetched.arrived.notified();
                let mut arrived = std::pin::pin!(arrived);
                arrived.as_mut().enable();
                let ticket = match fetched.keys().whole(wanted, self.0.clock.now()) {
                    Whole::Set(document) => return Some(document.set.clone()),
                    Whole::Unavailable => return None,
                    Whole::Fetch(ticket) => Some(ticket),
                    Whole::Wait => None,
                };
                if let Some(ticket) = ticket {
                    let _fetching = self.launch(&foreign, ticket);
                }
                arrived.await;
                wanted = Wanted::Current;
            }
        };
        let looked = tokio::time::timeout(WAIT_MAX, look).await;
        looked.unwrap_or_default()
    }

    /// The whole set as it is kept, without waiting for anything.
    #[must_use]
    pub fn kept(&self, of: &KeysOf) -> Option<ForeignSet> {
        let issuers = self.0.issuers.load();
        let Source::Fetched(fetched) = &issuers.get(of)?.source else {
            return None;
        };
        let keys = fetched.keys();
        let document = keys.kept(self.0.clock.now())?;
        Some(document.set.clone())
    }

    /// Refreshes what is due before anybody misses it, so many at once that a slow one keeps none waiting; a background job calls this.
    pub async fn refresh(&self) {
        let issuers: Vec<Arc<Foreign>> = self.0.issuers.load().values().cloned().collect();
        let mut fetches = futures_util::stream::iter(issuers)
            .map(|foreign| self.clone().refresh_one(foreign))
            .buffer_unordered(REFRESHED_AT_ONCE);
        while fetches.next().await.is_some() {}
    }

    async fn refresh_one(self, foreign: Arc<Foreign>) {
        let due = match &foreign.source {
            Source::Fetched(fetched) => fetched.keys().refresh_due(self.0.clock.now()),
            Source::Fixed(_) => None,
        };
        if let Some(ticket) = due {
            // A fetch that did not end well was told where it happened.
            let _ended = self.launch(&foreign, ticket).await;
        }
    }

    /// Fetches in a task of its own: who asked may go away, and others wait for the same set.
    fn launch(&self, foreign: &Arc<Foreign>, ticket: FetchTicket) -> JoinHandle<()> {
        let fetch = Arc::clone(&self.0).fetch(Arc::clone(foreign), ticket);
        match &self.0.runtime {
            Some(runtime) => runtime.spawn(fetch),
            None => tokio::spawn(fetch),
        }
    }
}

impl Inner {
    async fn fetch(self: Arc<Self>, foreign: Arc<Foreign>, ticket: FetchTicket) {
        let Source::Fetched(fetched) = &foreign.source else {
            return;
        };
        let (outcome, digest) = match fetched.download().await {
            Ok((document, lifetime)) => {
                let digest = document.set.digest;
                (Ok((document, lifetime)), Some(digest))
            }
            Err(failed) => {
                tracing::warn!(event = "jwks_fetch_failed", issuer = foreign.of.name());
                (Err(failed), None)
            }
        };
        fetched.keys().fetched(ticket, outcome, self.clock.now());
        if let Some(digest) = digest {
            let mut last = fetched.last.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = last.replace(digest) != Some(digest);
            drop(last);
            if foreign.of.is_of_gateway() {
                self.judge_expiries();
                if changed {
                    self.changes.fetch_add(1, Ordering::Release);
                }
            }
        }
        fetched.arrived.notify_waiters();
    }

    /// Finds out when the next set of the gateway's issuers ceases to serve.
    fn judge_expiries(&self) {
        let _judging = self.judging.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let issuers = self.issuers.load();
        let ends = issuers
            .values()
            .filter(|foreign| foreign.of.is_of_gateway());
        let ends = ends.filter_map(|foreign| match &foreign.source {
            Source::Fetched(fetched) => fetched.keys().serves_until(),
            Source::Fixed(_) => None,
        });
        let next = ends.map(|end| end.0).filter(|end| now.0 < *end).min();
        // Told by whoever looks first, so that no other change covers it up.
        if self.next_expiry.load(Ordering::Acquire) <= now.0 {
            self.changes.fetch_add(1, Ordering::Release);
        }
        self.next_expiry
            .store(next.unwrap_or(i64::MAX), Ordering::Release);
    }
}

impl Foreign {
    fn new(origin: ForeignOrigin) -> Arc<Self> {
        let source = match origin.source {
            ForeignSource::Fixed(set) => Source::Fixed(set),
            ForeignSource::Fetched {
                address,
                format,
                http,
                limits,
            } => Source::Fetched(Fetched::new(address, Fetcher::Own(http, format), limits)),
            ForeignSource::Guarded {
                address,
                outside,
                limits,
            } => Source::Fetched(Fetched::new(address, Fetcher::Guarded(outside), limits)),
        };
        Arc::new(Self {
            of: origin.of,
            identity: origin.identity,
            source,
        })
    }
}

impl Fetched {
    fn new(address: Url, fetcher: Fetcher, limits: JwksLimits) -> Self {
        Self {
            address,
            fetcher,
            keys: Mutex::new(IssuerKeys::new(limits)),
            last: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    fn keys(&self) -> MutexGuard<'_, IssuerKeys<Document>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The set, and how long its issuer says that it is good.
    async fn download(&self) -> Result<(Document, Duration), FetchFailed> {
        let (bytes, format, lifetime) = match &self.fetcher {
            Fetcher::Own(http, format) => {
                let answer = http.get(&self.address).await.map_err(|_| FetchFailed)?;
                if answer.status != StatusCode::OK {
                    return Err(FetchFailed);
                }
                let cache_control = answer.headers.get(http::header::CACHE_CONTROL);
                let cache_control = cache_control.and_then(|value| value.to_str().ok());
                (answer.body, *format, cache_control.and_then(max_age))
            }
            Fetcher::Guarded(outside) => {
                let rules = FetchRules::jwk_set(JWKS_BYTES_MAX);
                let fetched = outside.fetch(&self.address, &rules).await;
                let fetched = fetched.map_err(|error| {
                    tracing::warn!(event = "jwks_not_fetched", reason = error.reason());
                    FetchFailed
                })?;
                (fetched.body, KeyFormat::JwkSet, fetched.max_age)
            }
        };
        let keys = format.read(&bytes).map_err(|_| FetchFailed)?;
        let digest = sha256(&bytes);
        let set = ForeignSet { bytes, digest };
        Ok((Document { keys, set }, lifetime.unwrap_or_default()))
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
mod tests;
