//! The control plane as the gateway of the same process sees it: no network in between.

use super::shared_limits::Shared;
use countersign_authn::dpop::Nonces;
use countersign_authn::opaque::StoredAnswer;
use countersign_authn::{KeyAnswer, KeyNeeded, Revocations, TrustedIssuer};
use countersign_base::{Clock, Tenant, UnixTime};
use countersign_control::browser_sessions::BrowserSessions;
use countersign_control::{Fabric, ForeignKey, KeysOf, Traces, opaque};
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_gateway::limiter::LimitedBy;
use countersign_gateway::messages::NotSpent;
use countersign_gateway::{ExchangeError, ExchangeRequest, Exchanged, Planes, Seen};
use countersign_policy::PolicySet;
use countersign_store::idempotency::KeyRegistry;
use countersign_store::redis::SharedCounters;
use countersign_store::{Recorder, ReplayMemory};
use countersign_wire::message::{Message, Unspent};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// The fabric of this process.
pub struct LocalPlanes {
    fabric: Arc<Fabric>,
    counters: Option<SharedCounters>,
    shared_keys: Option<KeyRegistry>,
}

impl LocalPlanes {
    /// The planes of `fabric`.
    #[must_use]
    pub const fn new(fabric: Arc<Fabric>) -> Self {
        Self {
            fabric,
            counters: None,
            shared_keys: None,
        }
    }

    /// The same with counts that other processes share, and idempotency keys that outlive this one.
    #[must_use]
    pub fn sharing(self, shared: Shared) -> Self {
        Self {
            counters: shared.counters,
            shared_keys: shared.keys,
            ..self
        }
    }
}

impl Planes for LocalPlanes {
    fn clock(&self) -> &Clock {
        self.fabric.clock()
    }

    fn random(&self) -> &Random {
        self.fabric.random()
    }

    fn policies(&self) -> Arc<PolicySet> {
        self.fabric.policies()
    }

    fn revocations(&self) -> &dyn Revocations {
        self.fabric.revocations()
    }

    fn replay(&self) -> &ReplayMemory {
        self.fabric.replay()
    }

    fn nonces(&self) -> &Nonces {
        self.fabric.nonces()
    }

    fn recorder(&self) -> &Recorder {
        self.fabric.recorder()
    }

    fn traces(&self) -> &Traces {
        self.fabric.traces()
    }

    fn key_generation(&self) -> u64 {
        self.fabric.keys().generation()
    }

    fn other_key_generation(&self, now: UnixTime) -> u64 {
        self.fabric.foreign_keys().gateway_generation(now)
    }

    fn observe(&self, seen: Seen, status: StatusCode, took: Duration) {
        let metrics = self.fabric.metrics();
        metrics.decided("gateway", seen.as_str());
        metrics.answered("gateway", status.as_u16());
        metrics.gateway_seconds.observe(took.as_secs_f64());
    }

    fn work_key(&self, tenant: &Tenant) -> Option<MacKey> {
        Some(
            self.fabric
                .secrets()
                .tenant_mac_key(tenant, "proof-of-work"),
        )
    }

    fn counters(&self) -> Option<&SharedCounters> {
        self.counters.as_ref()
    }

    fn shared_keys(&self) -> Option<&KeyRegistry> {
        self.shared_keys.as_ref()
    }

    async fn spend_message(
        &self,
        tenant: &Tenant,
        unspent: Unspent<Message>,
    ) -> Result<Message, NotSpent> {
        match self.fabric.store().spend_message(tenant, unspent).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(_replayed)) => Err(NotSpent::Replayed),
            Err(error) => {
                tracing::error!(%error, "a message could not be remembered");
                Err(NotSpent::Unavailable)
            }
        }
    }

    fn limited(&self, by: LimitedBy) {
        self.fabric.metrics().limited_by(by.as_str());
    }

    fn observe_egress(&self, seen: Seen, status: StatusCode) {
        let metrics = self.fabric.metrics();
        metrics.decided("egress", seen.as_str());
        metrics.answered("egress", status.as_u16());
    }

    async fn key(&self, needed: &KeyNeeded, _now: UnixTime) -> KeyAnswer {
        if let Some(name) = needed.other() {
            let of = KeysOf::Gateway {
                name: name.clone(),
                issuer: needed.issuer().clone(),
            };
            let keys = self.fabric.foreign_keys();
            return match keys.key_of(&of, needed.kid(), needed.algorithm()).await {
                ForeignKey::Found(key) => KeyAnswer::Key(key),
                ForeignKey::Unavailable => KeyAnswer::Unavailable,
                ForeignKey::Unknown => KeyAnswer::Unknown,
            };
        }
        // A tenant's own issuer is answered from the ring; nobody fetches over the network what this process holds.
        if let Some(tenant) = self.fabric.directory().by_issuer(needed.issuer()) {
            let Some(published) = self.fabric.keys().jwks(&tenant.name) else {
                return KeyAnswer::Unavailable;
            };
            let key = needed
                .kid()
                .and_then(|kid| published.set.find(kid, needed.algorithm()));
            return key.cloned().map_or(KeyAnswer::Unknown, KeyAnswer::Key);
        }
        KeyAnswer::Unknown
    }

    async fn stored(&self, token: &str, issuers: &[TrustedIssuer]) -> StoredAnswer {
        opaque::find(&self.fabric, token, issuers).await
    }

    fn browser_sessions(&self) -> Option<&BrowserSessions> {
        Some(self.fabric.browser_sessions())
    }

    async fn exchange(&self, request: ExchangeRequest<'_>) -> Result<Exchanged, ExchangeError> {
        let asked = countersign_control::exchange::Asked {
            subject: request.subject,
            tenant: request.tenant,
            client: request.client,
            audience: request.audience,
            scopes: request.scopes,
            certificate: request.certificate,
            request: request.request,
        };
        match countersign_control::exchange::local(&self.fabric, asked).await {
            Ok(exchanged) => Ok(Exchanged {
                token: exchanged.token,
                expires: exchanged.expires,
            }),
            Err(countersign_control::exchange::LocalError::Denied) => Err(ExchangeError::Denied),
            Err(countersign_control::exchange::LocalError::Unavailable) => {
                Err(ExchangeError::Unavailable)
            }
        }
    }
}
