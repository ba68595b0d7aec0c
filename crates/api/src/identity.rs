//! The authorization server's endpoints: one registry, one file an endpoint.
//!
//! Handlers are thin: they read a request into the protocol's types, let `oauth` judge it inside the store's transaction, and render. Every answer passes
//! [`answer`]; every outcome that is a security event is in the audit log before it is told.
//!
//! Not here: the protocol's rules (`oauth`), signatures (`control::mint`), listeners (`net`).

mod account;
mod answer;
mod asserted;
mod authorize;
mod backchannel;
mod body;
mod brand;
mod call;
mod client;
mod consent;
mod cookies;
mod decoupled;
mod device;
mod device_authorization;
mod dispatch;
mod documents;
mod exchange;
mod id_token_hint;
mod introspect;
mod logout;
mod metadata;
mod own_page;
mod par;
mod partner;
mod presented;
mod record;
mod register;
mod requests;
mod response;
mod revocations;
mod revoke;
mod sign_in;
mod ticket;
mod token;
mod upstream;
mod userinfo;

pub use dispatch::{Credential, Doors, ENDPOINTS, Endpoint};

use crate::pages;
use axum::Router;
use countersign_control::Fabric;
use countersign_oauth::decoupled::{GuessThrottle, PollPace};
use countersign_oauth::throttle::SignInThrottle;
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of failed sign-ins, for usernames and for sources each: 16 bytes a counter.
const THROTTLE_SLOTS: usize = 65_536;

/// What differs from listener to listener.
#[derive(Debug, Clone)]
pub struct IdentityOptions {
    /// Which door this router stands behind.
    pub door: Door,
    /// Scheme and authority of the listener that asks for client certificates (`https://localhost:8446`), for metadata.
    pub mtls_origin: Option<String>,
}

/// A listener of the authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The one that browsers use: it never asks for a certificate.
    Browser,
    /// The one that asks clients for certificates (RFC 8705 §5).
    MutualTls,
}

/// What every call shares.
pub(crate) struct Identity {
    pub(crate) fabric: Arc<Fabric>,
    pub(crate) options: IdentityOptions,
    pub(crate) by_username: Mutex<SignInThrottle>,
    pub(crate) by_source: Mutex<SignInThrottle>,
    pub(crate) guesses: Mutex<GuessThrottle>,
    pub(crate) polls: Mutex<PollPace>,
    registrations: client::Registrations,
    trusts: client::Trusts,
    documents: documents::Documents,
    registering: Mutex<SignInThrottle>,
}

/// The router of one listener.
pub fn router(fabric: Arc<Fabric>, options: IdentityOptions) -> Router {
    let identity = Arc::new(Identity {
        fabric,
        options,
        by_username: Mutex::new(SignInThrottle::new(THROTTLE_SLOTS)),
        by_source: Mutex::new(SignInThrottle::new(THROTTLE_SLOTS)),
        guesses: Mutex::new(GuessThrottle::new(THROTTLE_SLOTS)),
        polls: Mutex::new(PollPace::default()),
        registrations: client::Registrations::default(),
        trusts: client::Trusts::default(),
        documents: documents::Documents::default(),
        registering: Mutex::new(SignInThrottle::new(THROTTLE_SLOTS)),
    });
    Router::new()
        .route(pages::STYLE_PATH, axum::routing::get(pages::style))
        .route(pages::SCRIPT_PATH, axum::routing::get(pages::script))
        .fallback(dispatch::dispatch)
        .with_state(identity)
}

impl Identity {
    /// Counts what one source may cause only so often: registrations, and fetches of documents that a stranger names.
    ///
    /// # Errors
    /// Too many before it.
    fn slow_down(&self, call: &call::Call) -> Result<(), answer::Failure> {
        let secrets = self.fabric.secrets();
        let key = secrets.tenant_mac_key(&call.tenant.name, "registering");
        let source = call::subscriber(call.source()).to_string();
        let tag = key.tag("registering", &[source.as_bytes()]);
        let mut counted = self
            .registering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match counted.begin_of_many(tag.as_bytes(), self.fabric.now()) {
            Ok(_counted) => Ok(()),
            Err(too_many) => Err(answer::Failure::TooManyRequests(too_many.after)),
        }
    }

    /// The id of a client that registers itself: nobody can guess it, and it looks like no other kind of id.
    fn new_client_id(&self) -> Result<countersign_base::ClientId, answer::Failure> {
        let id = countersign_crypto::base64url::encode(&self.fabric.random().bytes::<16>());
        id.parse().map_err(|_| answer::Failure::Unavailable)
    }
}

/// An answer without content.
pub(crate) fn plain(status: http::StatusCode) -> axum::response::Response {
    answer::with_type(status, "text/plain", Vec::new())
}
