//! Sessions of browsers at the gateway, which keeps their tokens (OAuth 2.0 for Browser-Based Applications, "backend for frontend"): the sign-in with PKCE, state and
//! nonce, pushed where the issuer takes it; the tokens, sealed in the store under a keyed hash of the cookie; their refresh; and the end, here and at the issuer.
//!
//! What the network is needed for runs in the control plane's runtime and is carried to its end, also when the browser has gone: a refresh token that was spent has a
//! successor, and losing it would end the session.
//!
//! Not here: cookies, paths and redirects (`gateway`), and what a token is worth at a request (`authn`, as for any token).

mod sign_in;
mod tokens;

pub use countersign_federation::ProviderName as SessionName;
pub use countersign_federation::browser::ReturnPath;
pub use sign_in::Arrival;
pub use tokens::Ended;

use crate::secrets::Secrets;
use crate::upstream::{Upstream, UpstreamError, UpstreamOptions};
use arc_swap::ArcSwap;
use countersign_base::{Audience, Clock, Duration, Scopes, Secret, Tenant};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_crypto::random::Random;
use countersign_federation::{ProviderName, ProviderRecord};
use countersign_store::{Recorder, Store, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::runtime::Handle;

/// A kind of session as the configuration gives it.
pub struct BrowserSessionOptions {
    /// The issuer, our name and key there, and the way to it. Its name is that of the sessions.
    pub issuer: UpstreamOptions,
    /// Whose pages it is for: scheme, host and port.
    pub origin: String,
    /// Where the issuer's answer comes.
    pub callback: String,
    /// What it asks for, beside `openid`.
    pub scopes: Scopes,
    /// The audience of its access tokens.
    pub resource: Audience,
    /// Where browsers go after the sign-out.
    pub post_logout: ReturnPath,
    /// How long it lives without being used.
    pub idle: Duration,
    /// How long it lives at all.
    pub absolute: Duration,
}

/// Why there is no session, or no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is none, or it is over.
    #[error("session_over")]
    Over,
    /// The sign-in is refused, for this reason in records.
    #[error("{0}")]
    Refused(&'static str),
    /// The issuer or the store cannot be asked now.
    #[error("session_unavailable")]
    Unavailable,
}

impl SessionError {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Over => "session_over",
            Self::Refused(reason) => reason,
            Self::Unavailable => "session_unavailable",
        }
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = "store_failed", %error);
        Self::Unavailable
    }
}

impl From<UpstreamError> for SessionError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Unreachable => Self::Unavailable,
            UpstreamError::Answer(_)
            | UpstreamError::Metadata(_)
            | UpstreamError::Refused(_)
            | UpstreamError::Request => Self::Refused(error.as_str()),
        }
    }
}

/// The sessions of every kind. Cloning it is cheap.
#[derive(Clone)]
pub struct BrowserSessions(Arc<Shared>);

struct Shared {
    store: Store,
    secrets: Arc<Secrets>,
    clock: Clock,
    random: Random,
    recorder: Recorder,
    runtime: Handle,
    kinds: ArcSwap<BTreeMap<ProviderName, Arc<Kind>>>,
    /// Refreshes under way, so that any number of requests cause one. As many as there are sessions in use at once, and each is gone with its last request.
    flights: Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>,
    /// Counts the changes that ended sessions in this process.
    ended: AtomicU64,
}

struct Kind {
    upstream: Upstream,
    origin: String,
    callback: String,
    scopes: Scopes,
    resource: Audience,
    post_logout: ReturnPath,
    idle: Duration,
    absolute: Duration,
}

impl Kind {
    fn record(&self) -> &ProviderRecord {
        self.upstream.record()
    }

    fn tenant(&self) -> &Tenant {
        &self.record().tenant
    }

    fn name(&self) -> &ProviderName {
        &self.record().name
    }

    /// Made of the configured origin and never of the `Host` field.
    fn redirect_uri(&self) -> String {
        format!("{}{}", self.origin, self.callback)
    }
}

impl BrowserSessions {
    /// No kinds of sessions yet. What needs the network runs in the runtime that calls this.
    #[must_use]
    pub fn new(
        store: Store,
        secrets: Arc<Secrets>,
        clock: Clock,
        random: Random,
        recorder: Recorder,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            secrets,
            clock,
            random,
            recorder,
            runtime: Handle::current(),
            kinds: ArcSwap::default(),
            flights: Mutex::default(),
            ended: AtomicU64::new(0),
        }))
    }

    /// Keeps sessions of these kinds from now on and of no others. Sessions of a kind that stays go on.
    pub fn replace(&self, kinds: Vec<BrowserSessionOptions>) {
        let shared = &self.0;
        let kinds = kinds.into_iter().map(|options| {
            let upstream = Upstream::new(options.issuer, &shared.clock, &shared.random);
            let kind = Kind {
                upstream,
                origin: options.origin,
                callback: options.callback,
                scopes: options.scopes,
                resource: options.resource,
                post_logout: options.post_logout,
                idle: options.idle,
                absolute: options.absolute,
            };
            (kind.name().clone(), Arc::new(kind))
        });
        shared.kinds.store(Arc::new(kinds.collect()));
    }

    /// A number that changes whenever sessions end in this process, for whoever goes on under one ([`Self::goes_on`]).
    #[must_use]
    pub fn ended_here(&self) -> u64 {
        self.0.ended.load(Ordering::Acquire)
    }

    fn kind(&self, name: &ProviderName) -> Result<Arc<Kind>, SessionError> {
        self.0
            .kinds
            .load()
            .get(name)
            .cloned()
            .ok_or(SessionError::Over)
    }

    /// Carries it to its end in the control plane's runtime.
    async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SessionError>> + Send + 'static,
    ) -> Result<T, SessionError> {
        let done = self.0.runtime.spawn(work).await;
        done.unwrap_or(Err(SessionError::Unavailable))
    }
}

impl Shared {
    /// The keyed hash under which a session's cookie is stored: of one kind of session, so that a cookie of one kind is nothing at another (G42).
    fn session_tag(&self, kind: &Kind, cookie: &Secret<String>) -> Tag {
        let key = self.mac(kind, "browser-session");
        let parts: [&[u8]; 2] = [kind.name().as_str().as_bytes(), cookie.expose().as_bytes()];
        key.tag("browser session cookie", &parts)
    }

    /// The keyed hash of what the issuer calls a person or a sign-in.
    fn upstream_tag(&self, kind: &Kind, domain: &'static str, text: &str) -> Tag {
        let key = self.mac(kind, "browser-session");
        let parts: [&[u8]; 2] = [kind.record().issuer.as_str().as_bytes(), text.as_bytes()];
        key.tag(domain, &parts)
    }

    fn mac(&self, kind: &Kind, purpose: &'static str) -> MacKey {
        self.secrets.tenant_mac_key(kind.tenant(), purpose)
    }
}
