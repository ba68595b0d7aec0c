//! From a request to its subject, or to the answer that refuses it.

use crate::keys::{KeySource, Keys};
use crate::verdicts::Verdicts;
use bytes::Bytes;
use countersign_authn::dpop::{NonceUse, Nonces};
use countersign_authn::jwks::JwksLimits;
use countersign_authn::replay::{ReplayLimits, ReplayMemory};
use countersign_authn::{
    AnonymousReason, Challenge, Demand, Found, Freshness, Reason, Refusal, ResourceRequest,
    ResourceRules, RevocationId, Revocations, Subject, TokenDemand, VerifiedToken, demand, prove,
};
use countersign_base::{Clock, Conditional, NoTls, Scopes, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::mac::MacKey;
use countersign_crypto::x509::PeerCertificate;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use std::sync::Arc;

/// What a guard is built of.
pub struct GuardOptions {
    /// Scheme and authority under which callers know this service: `https://billing.example:8443`.
    pub origin: String,
    /// Audience, trusted issuers and their tenants, whether tokens must be bound, whether anonymous requests pass.
    pub rules: ResourceRules,
    /// The scopes that every request needs.
    pub scopes: Scopes,
    /// The time.
    pub clock: Clock,
    /// Randomness for nonces.
    pub random: Random,
    /// What was revoked; [`LifetimeOnly`] where nothing tells.
    pub revocations: Arc<dyn Revocations>,
    /// When proofs must carry a nonce.
    pub nonces: NonceUse,
    /// How keys are kept.
    pub jwks: JwksLimits,
    /// How much the replay memory keeps.
    pub replay: ReplayLimits,
}

/// No revocations: a service that is told of none relies on tokens that live for minutes.
#[derive(Debug, Clone, Copy, Default)]
pub struct LifetimeOnly;

impl Revocations for LifetimeOnly {
    fn not_before(&self, _: RevocationId<'_>) -> Option<UnixTime> {
        None
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}

/// The parts of a request that say who sent it.
#[derive(Debug, Clone)]
pub struct GuardRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The query string.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The certificate with which the connection was made.
    pub peer: Conditional<&'a PeerCertificate, NoTls>,
}

/// A request that may go on.
#[derive(Debug, Clone)]
pub enum Checked {
    /// It shows no credential, and the rules allow that.
    Anonymous(AnonymousReason),
    /// Who sent it.
    Subject(Subject),
}

/// Checks requests; shared by all of a service.
pub struct Guard {
    origin: String,
    rules: ResourceRules,
    scopes: Scopes,
    clock: Clock,
    revocations: Arc<dyn Revocations>,
    nonces: Nonces,
    keys: Keys,
    verdicts: Verdicts,
    replay: ReplayMemory,
}

impl Guard {
    /// Builds the guard. The nonce key and the boot id are drawn here, so that nothing of an earlier process is accepted.
    #[must_use]
    pub fn new(options: GuardOptions, source: impl KeySource) -> Self {
        let issuers: Vec<_> = options
            .rules
            .issuers()
            .iter()
            .map(|trusted| trusted.issuer.clone())
            .collect();
        let key = MacKey::new(options.random.secret());
        let nonces = Nonces::new(
            key,
            options.random.bytes(),
            options.clock.now(),
            options.nonces,
        );
        Self {
            keys: Keys::new(
                Arc::new(source),
                issuers,
                options.jwks,
                options.clock.clone(),
            ),
            replay: ReplayMemory::new(options.replay),
            verdicts: Verdicts::default(),
            nonces,
            origin: options.origin,
            rules: options.rules,
            scopes: options.scopes,
            clock: options.clock,
            revocations: options.revocations,
        }
    }

    /// Fetches the key sets whose time has come. A service that calls this every few seconds from a task of its own keeps fetches off the path
    /// of requests.
    pub async fn refresh(&self) {
        self.keys.refresh().await;
    }

    /// Who sent a request.
    ///
    /// # Errors
    /// The refusal, with the answer to it.
    pub async fn check(&self, request: &GuardRequest<'_>) -> Result<Checked, Rejection> {
        self.judge(request).await.map_err(|refusal| Rejection {
            challenge: Challenge {
                binding: self.rules.binding(),
            },
            refusal,
        })
    }

    async fn judge(&self, request: &GuardRequest<'_>) -> Result<Checked, Refusal> {
        let target_uri = format!("{}{}", self.origin, request.path);
        let request = ResourceRequest {
            method: request.method,
            target_uri: &target_uri,
            query: request.query,
            headers: request.headers,
            peer: request.peer.clone(),
            remote: None,
        };
        let token = match demand(&request, &self.rules)? {
            Demand::Anonymous(reason) => return Ok(Checked::Anonymous(reason)),
            Demand::Token(token) => token,
        };
        let (found, generation) = self.find(&token).await?;
        let now = self.clock.now();
        let proven = prove(
            token,
            found,
            &*self.revocations,
            self.nonces.policy(now),
            now,
        )?;
        if let Some(generation) = generation {
            self.verdicts
                .put(generation, Arc::clone(&proven.verdict), now);
        }
        let subject = self.replay.spend(proven.subject, now)?;
        subject
            .require_scopes(&self.scopes)
            .map(|_held| Checked::Subject(subject))
    }

    /// A verdict, or a key with the generation of key sets under which the verdict is to be kept.
    async fn find(&self, token: &TokenDemand) -> Result<(Found, Option<u64>), Refusal> {
        let known = self.verdicts.get(
            token.cache_key(),
            |verdict| self.generation(verdict),
            self.clock.now(),
        );
        if let Some(verdict) = known {
            return Ok((Found::Verdict(verdict), None));
        }
        let needed = token.key()?;
        // Read before the key is: a verdict under a key of an older set must not pass for one of a newer.
        let generation = self.keys.generation(needed.issuer());
        let answer = self
            .keys
            .find(needed.issuer(), needed.kid(), needed.algorithm())
            .await;
        Ok((Found::Key(needed, answer), Some(generation)))
    }

    fn generation(&self, verdict: &VerifiedToken) -> u64 {
        self.keys.generation(&verdict.claims().iss)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({}, {:?})", self.origin, self.rules)
    }
}

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{refusal}")]
pub struct Rejection {
    refusal: Refusal,
    challenge: Challenge,
}

impl Rejection {
    /// The log's reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.refusal.reason()
    }

    /// What is refused, and with which code.
    #[must_use]
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The answer. The caller reads the code of the RFC; the reason is in the extensions, for the log.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let body = match self.refusal.error() {
            Some(error) => Bytes::from(format!("{{\"error\":\"{error}\"}}")),
            None => Bytes::from_static(b"{}"),
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.refusal.status();
        self.refusal
            .write_headers(self.challenge, response.headers_mut());
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self.refusal.reason());
        response
    }
}

#[cfg(test)]
mod tests;
