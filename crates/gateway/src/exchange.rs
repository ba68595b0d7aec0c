//! The token that an upstream gets instead of the caller's: exchanged once (RFC 8693), kept until it is about to expire.
//!
//! Any number of requests that want the same exchange cause one; a failed one is not tried again for a moment. Tokens are in memory alone,
//! and only a recorded permit leads here.

use crate::verdicts::Cache;
use countersign_authn::{Subject, VerdictKey};
use countersign_base::{Audience, ClientId, RequestId, Scopes, Secret, Tenant, UnixTime};
use countersign_crypto::x509::CertificateThumbprint;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

/// Exchanged tokens that are kept.
pub const EXCHANGES_MAX: usize = 16_384;
/// How long before its expiry a token is replaced.
pub const RENEW_AHEAD: Duration = Duration::from_secs(30);
/// How long a failed exchange is not tried again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the gateway asks for.
pub struct ExchangeRequest<'a> {
    /// Whose token is exchanged; proof and revocation were checked.
    pub subject: &'a Subject,
    /// The tenant of the route.
    pub tenant: &'a Tenant,
    /// As which client the gateway asks; the actor in the new token.
    pub client: &'a ClientId,
    /// The upstream's audience.
    pub audience: &'a Audience,
    /// The scopes of the new token.
    pub scopes: &'a Scopes,
    /// The client certificate that the gateway shows to the upstream: the new token is bound to it (RFC 8705), or to nothing.
    pub certificate: Option<CertificateThumbprint>,
    /// The request that caused it.
    pub request: RequestId,
}

/// An exchanged token.
pub struct Exchanged {
    /// The token.
    pub token: Secret<String>,
    /// When it expires.
    pub expires: UnixTime,
}

/// Why there is no exchanged token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Policy or registration say no.
    #[error("the exchange was denied")]
    Denied,
    /// It can't be told at the moment.
    #[error("the exchange is not available")]
    Unavailable,
}

/// A token under its rules, and the route that exchanges it: together they name audience, scopes, client and binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) token: VerdictKey,
    pub(crate) route: u32,
}

/// Exchanged tokens of one set of routes.
pub(crate) struct Exchanges(Cache<Key, Arc<tokio::sync::Mutex<Slot>>>);

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Failed(ExchangeError, UnixTime),
    Token(HeaderValue, UnixTime),
}

impl Default for Exchanges {
    fn default() -> Self {
        Self(Cache::new(EXCHANGES_MAX))
    }
}

impl Exchanges {
    /// The value of `Authorization` for the upstream: a kept one, or what `exchange` brings. One call for a key runs at a time.
    pub(crate) async fn get<F>(
        &self,
        key: Key,
        now: UnixTime,
        exchange: F,
    ) -> Result<HeaderValue, ExchangeError>
    where
        F: AsyncFnOnce() -> Result<Exchanged, ExchangeError>,
    {
        let slot = self.0.get_or_insert(key, Arc::default);
        Slot::get(&slot, now, exchange).await
    }

    /// Forgets a token that the upstream refused.
    pub(crate) fn forget(&self, key: &Key) {
        self.0.remove(key);
    }
}

impl Slot {
    async fn get<F>(
        slot: &tokio::sync::Mutex<Self>,
        now: UnixTime,
        exchange: F,
    ) -> Result<HeaderValue, ExchangeError>
    where
        F: AsyncFnOnce() -> Result<Exchanged, ExchangeError>,
    {
        let mut slot = slot.lock().await;
        match &*slot {
            Self::Token(value, renew) if now < *renew => return Ok(value.clone()),
            Self::Failed(error, until) if now < *until => return Err(*error),
            Self::Empty | Self::Failed(..) | Self::Token(..) => {}
        }
        match exchange()
            .await
            .and_then(|exchanged| Ok((field(&exchanged.token)?, exchanged.expires)))
        {
            Ok((value, expires)) => {
                *slot = Self::Token(value.clone(), expires.minus(RENEW_AHEAD));
                Ok(value)
            }
            Err(error) => {
                *slot = Self::Failed(error, now.plus(RETRY_AFTER));
                Err(error)
            }
        }
    }
}

fn field(token: &Secret<String>) -> Result<HeaderValue, ExchangeError> {
    let text = Secret::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| ExchangeError::Unavailable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
