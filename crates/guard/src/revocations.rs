//! What an issuer revoked, pulled and kept: exact ids with a not-before.
//!
//! A service pulls from a task of its own, over and over: the issuer answers at once where there is news and otherwise after the seconds that the source asks it
//! to wait. Whoever was cut off for longer than the tolerated staleness denies everything; what is known is never forgotten before its time.
//!
//! Not here: HTTP and the service's own authentication at the issuer. A [`RevocationSource`] brings the pages.

use crate::keys::{KeySource, Keys};
use countersign_authn::jwks::{FetchFailed, JwksLimits};
use countersign_authn::revocation_list::{
    self, Cursor, RevocationListClaims, RevokedEntry, RevokedThing,
};
use countersign_authn::{Freshness, Refusal, RevocationId, Revocations, TrustedIssuer};
use countersign_base::{Clock, Duration, Issuer, UnixTime};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How long a service that hears nothing goes on: half a minute.
pub const STALENESS_MAX: Duration = Duration::from_secs(30);

/// Revocations that are kept; one more and the list is not believed.
pub const REVOCATIONS_MAX: usize = 1_000_000;

/// Pages of one pull.
const PAGES_MAX: usize = 10_000;

/// Where pages come from: `POST` to the issuer's `/revocations` with the service's client authentication, `after` if there is a cursor, and `wait`. Implementations
/// verify TLS, follow no redirects and end within a timeout.
pub trait RevocationSource: Send + Sync + 'static {
    /// Fetches the page after `after`.
    fn fetch(
        &self,
        issuer: &Issuer,
        after: Option<&Cursor>,
    ) -> BoxFuture<'static, Result<String, FetchFailed>>;
}

/// Why a pull came to nothing. What was known stays known, and grows old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// The issuer does not answer.
    #[error("the list of revocations could not be fetched")]
    Fetch,
    /// The page does not hold.
    #[error("a page of revocations is refused: {0}")]
    Page(#[from] Refusal),
    /// There are more revocations than are kept.
    #[error("there are more revocations than are kept")]
    TooMany,
}

/// What one issuer revoked.
pub struct RevocationFeed {
    issuer: TrustedIssuer,
    source: Arc<dyn RevocationSource>,
    keys: Keys,
    clock: Clock,
    staleness_max: Duration,
    table: RwLock<Table>,
}

struct Table {
    known: HashMap<RevokedThing, (UnixTime, UnixTime)>,
    cursor: Option<Cursor>,
    as_of: UnixTime,
}

impl RevocationFeed {
    /// An empty feed that was never filled, and therefore denies.
    #[must_use]
    pub fn new(
        issuer: TrustedIssuer,
        keys: impl KeySource,
        source: impl RevocationSource,
        clock: Clock,
    ) -> Self {
        let names = [issuer.issuer.clone()];
        Self {
            keys: Keys::new(Arc::new(keys), names, JwksLimits::default(), clock.clone()),
            source: Arc::new(source),
            issuer,
            clock,
            staleness_max: STALENESS_MAX,
            table: RwLock::new(Table {
                known: HashMap::new(),
                cursor: None,
                as_of: UnixTime(i64::MIN),
            }),
        }
    }

    /// The same with another tolerated staleness.
    #[must_use]
    pub const fn tolerating(mut self, staleness_max: Duration) -> Self {
        self.staleness_max = staleness_max;
        self
    }

    /// Takes up what the issuer has to say, page by page.
    ///
    /// # Errors
    /// When a page cannot be had or does not hold. Try again; until a pull succeeds, the feed grows old.
    pub async fn pull(&self) -> Result<(), PullError> {
        for _ in 0..PAGES_MAX {
            let after = self.read().cursor.clone();
            let text = self
                .source
                .fetch(&self.issuer.issuer, after.as_ref())
                .await
                .map_err(|_| PullError::Fetch)?;
            let page = self.checked(&text, after.as_ref()).await?;
            let more = page.more;
            self.take(page)?;
            if !more {
                return Ok(());
            }
        }
        Err(PullError::TooMany)
    }

    async fn checked(
        &self,
        text: &str,
        after: Option<&Cursor>,
    ) -> Result<RevocationListClaims, PullError> {
        let needed = revocation_list::demand(text, &self.issuer)?;
        let answer = self
            .keys
            .find(&self.issuer.issuer, needed.kid(), needed.algorithm())
            .await;
        let page = revocation_list::prove(needed, answer, after, self.clock.now())?;
        Ok(page)
    }

    fn take(&self, page: RevocationListClaims) -> Result<(), PullError> {
        let now = self.clock.now();
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.known.retain(|_, (_, expires)| *expires > now);
        if table.known.len().saturating_add(page.revoked.len()) > REVOCATIONS_MAX {
            return Err(PullError::TooMany);
        }
        for RevokedEntry {
            what,
            not_before,
            expires,
        } in page.revoked
        {
            let known = table.known.entry(what).or_insert((not_before, expires));
            known.0 = known.0.max(not_before);
            known.1 = known.1.max(expires);
        }
        table.cursor = Some(page.cursor);
        // Only the last page of a pull says how fresh the whole is; the issuer's clock may be ahead of ours, but its word is not worth more for it.
        if !page.more {
            table.as_of = table.as_of.max(page.iat.min(now));
        }
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revocations for RevocationFeed {
    fn not_before(&self, id: RevocationId<'_>) -> Option<UnixTime> {
        let thing = match id {
            RevocationId::Client(tenant, client) if *tenant == self.issuer.tenant => {
                RevokedThing::Client(client.clone())
            }
            // Of another issuer; tenants are not revoked as a whole.
            RevocationId::Client(..) | RevocationId::Tenant(_) => return None,
            RevocationId::Grant(grant) => RevokedThing::Grant(grant),
            RevocationId::Session(session) => RevokedThing::Session(session),
            RevocationId::User(user) => RevokedThing::User(user),
        };
        self.read()
            .known
            .get(&thing)
            .map(|(not_before, _)| *not_before)
    }

    fn freshness(&self, now: UnixTime) -> Freshness {
        if now <= self.read().as_of.plus(self.staleness_max) {
            Freshness::Current
        } else {
            Freshness::Stale
        }
    }
}

impl std::fmt::Debug for RevocationFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RevocationFeed({})", self.issuer.issuer)
    }
}

#[cfg(test)]
mod tests;
