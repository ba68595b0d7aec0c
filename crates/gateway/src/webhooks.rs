//! Routes that take in webhooks: what a provider sends goes to a [`WebhookReceiver`] instead of an upstream, and no token is asked for, because a webhook proves itself
//! by its signature.
//!
//! The order of the checks is that of their cost, so that bad traffic is refused before it costs anything ([`crate::pipeline`]): method and media type, the length that is
//! announced, the network that it comes from and how often it does, then what its head alone says ([`WebhookReceiver::look`]). Only what passed all that has its body
//! read, up to the route's limit, and judged ([`WebhookLooked::receive`]).
//!
//! Not here: signatures, what was received before, what is kept. The gateway knows no scheme; the binary hands it the receiver.

use crate::limiter::{Algorithm, Dimension, LimitSpec, RouteLimits, Sharing, Strangers};
use crate::routes::RouteError;
use crate::threats::RouteThreats;
use bytes::Bytes;
use countersign_base::{EventId, RequestId, RouteId, SourceName, Tenant, UnixTime};
use countersign_net::PeerCounts;
use countersign_net::peers::PeerPlace;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The name of the limit that a route has which names none.
const LIMIT: &str = "webhooks";
/// So many webhooks a minute may come from one network, unless the route says otherwise: providers send bursts after an outage of theirs.
pub const RECEIVED_PER_MINUTE: u32 = 6_000;
/// So many of them at once.
const RECEIVED_AT_ONCE: u32 = 1_000;
/// So many webhooks of one route are under way at once, unless it says otherwise: each holds its body in memory.
pub const UNDER_WAY: u32 = 1_024;
/// Of these, one network may have one in so many: whoever sends bodies slowly, under a signature that only looks like one, leaves room for the provider.
const NETWORK_PART: u32 = 2;
/// How long a provider may take to send a body, however steadily it does.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Seconds after which a provider may come back when there was no room or no database.
pub(crate) const AGAIN_SECONDS: u64 = 5;

/// A route for webhooks as configuration says it.
#[derive(Clone)]
pub struct WebhookRouteSpec {
    /// Its name.
    pub id: RouteId,
    /// Whose route it is.
    pub tenant: Tenant,
    /// Hosts it answers for, in lower case and without port; empty means every host of the gateway.
    pub hosts: BTreeSet<String>,
    /// The template of its path.
    pub path: String,
    /// Who sends, by the name that the receiver knows.
    pub source: SourceName,
    /// The media types of bodies, in lower case and without parameters: `application/json`.
    pub media_types: BTreeSet<String>,
    /// How often it may be called; without any, [`RECEIVED_PER_MINUTE`] of each network.
    pub limits: Vec<LimitSpec>,
    /// Who may call from where. Firewall and challenges are of no use to programs and not asked.
    pub threats: Option<Arc<RouteThreats>>,
    /// How many may be under way at once; without it, [`UNDER_WAY`].
    pub concurrency: Option<u32>,
    /// How long the sender may send nothing in the midst of its body; without it, what the listener says.
    pub idle: Option<Duration>,
    /// Bytes of a body.
    pub body_bytes_max: u64,
}

/// A checked route for webhooks.
pub struct WebhookRoute {
    /// Its name.
    pub id: RouteId,
    /// Whose route it is.
    pub tenant: Tenant,
    /// Who sends.
    pub source: SourceName,
    media_types: BTreeSet<String>,
    pub(crate) limits: Option<RouteLimits>,
    pub(crate) threats: Option<Arc<RouteThreats>>,
    under_way: Arc<Semaphore>,
    networks: PeerCounts,
    network_max: u32,
    pub(crate) idle: Option<Duration>,
    pub(crate) body_bytes_max: u64,
}

impl WebhookRouteSpec {
    pub(crate) fn checked(mut self) -> Result<WebhookRoute, RouteError> {
        if self.limits.is_empty() {
            self.limits.push(limit());
        }
        let limits = RouteLimits::new(self.limits).map_err(|(limit, error)| RouteError::Limit {
            route: self.id.clone(),
            limit,
            error,
        })?;
        let concurrency = self.concurrency.unwrap_or(UNDER_WAY);
        let places = usize::try_from(concurrency).unwrap_or(usize::MAX);
        Ok(WebhookRoute {
            id: self.id,
            tenant: self.tenant,
            source: self.source,
            media_types: self.media_types,
            limits,
            threats: self.threats,
            under_way: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            networks: PeerCounts::default(),
            network_max: concurrency.div_ceil(NETWORK_PART),
            idle: self.idle,
            body_bytes_max: self.body_bytes_max,
        })
    }
}

/// What every route has that names no limit: a count of each network. Nobody can fill the counts of another's.
fn limit() -> LimitSpec {
    LimitSpec {
        name: LIMIT.to_owned(),
        algorithm: Algorithm::TokenBucket {
            burst: RECEIVED_AT_ONCE,
        },
        requests: RECEIVED_PER_MINUTE,
        per: Duration::from_secs(60),
        by: [Dimension::Network, Dimension::Route].into(),
        strangers: Strangers::ByNetwork,
        sharing: Sharing::Process,
    }
}

/// A place among the webhooks of a route that are under way, until it is dropped.
#[must_use]
pub(crate) struct WebhookPlace {
    _of_network: PeerPlace,
    _of_route: OwnedSemaphorePermit,
}

impl WebhookRoute {
    /// A place for one more webhook, unless the route, or the network that it comes from, has as many as it may.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<WebhookPlace> {
        let of_network = self.networks.enter(from, self.network_max)?;
        let of_route = Arc::clone(&self.under_way).try_acquire_owned().ok()?;
        Some(WebhookPlace {
            _of_network: of_network,
            _of_route: of_route,
        })
    }

    /// Whether a body is of one of its media types and of no other coding: what is signed and what is kept are the same bytes.
    pub(crate) fn takes(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return false;
        }
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Ok(text) = value.to_str() else {
            return false;
        };
        let essence = text.split(';').next().unwrap_or_default().trim();
        self.media_types.contains(&essence.to_ascii_lowercase())
    }
}

/// What of a webhook is there before its body is read.
#[derive(Clone, Copy)]
pub struct WebhookHead<'a> {
    /// The request's id.
    pub request: RequestId,
    /// The route.
    pub route: &'a RouteId,
    /// Whose route it is.
    pub tenant: &'a Tenant,
    /// Who sends, as the route says.
    pub source: &'a SourceName,
    /// The method.
    pub method: &'a Method,
    /// The host that the sender meant, with its port if it is not 443.
    pub authority: &'a str,
    /// Path and query as they stood on the request line: what signatures may cover.
    pub path_and_query: &'a str,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Where it comes from.
    pub from: IpAddr,
    /// Now.
    pub at: UnixTime,
}

/// What takes in the webhooks of routes that are for them.
pub trait WebhookReceiver: Send + Sync + 'static {
    /// Judges what the head alone says: which signature there is, and when it was made. Not a byte of the body has been read. It may wait for the keys of the source, where those
    /// are fetched.
    fn look<'a>(&'a self, head: WebhookHead<'a>) -> Looking<'a>;
}

/// What [`WebhookReceiver::look`] answers with.
pub type Looking<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn WebhookLooked>, WebhookDenied>> + Send + 'a>>;

/// A webhook whose head is in order.
pub trait WebhookLooked: Send {
    /// Judges the body, and keeps it. When this says that it is kept, it is durable.
    fn receive(self: Box<Self>, body: Bytes) -> Receiving;
}

/// What [`WebhookLooked::receive`] answers with.
pub type Receiving = Pin<Box<dyn Future<Output = Result<WebhookAnswer, WebhookDenied>> + Send>>;

/// What the sender of a webhook is told that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// Its own word: it wanted to know whether its signatures are understood here. Nothing is kept.
    Challenge {
        /// The word: a few hundred bytes at most, without characters that anything but text could begin with.
        text: String,
        /// The record of it.
        recorded: EventId,
    },
    /// That it is kept.
    Kept(WebhookReceived),
}

/// A webhook that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookReceived {
    /// Whether it came before.
    pub kind: ReceivedKind,
    /// Its record.
    pub recorded: EventId,
}

/// Whether a webhook came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceivedKind {
    /// It came before and is kept already: its sender did not hear the answer. Nothing happens a second time.
    Duplicate,
    /// It is kept from now on.
    First,
}

impl ReceivedKind {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Duplicate => StatusCode::OK,
            Self::First => StatusCode::ACCEPTED,
        }
    }
}

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookDenied {
    /// The reason as records name it.
    pub reason: &'static str,
    /// What kind of refusal it is.
    pub kind: DeniedKind,
    /// Its record, where there is one already.
    pub recorded: Option<EventId>,
}

/// What the sender of a refused webhook learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedKind {
    /// Policy does not let it in.
    Forbidden,
    /// What it was received as before, or would have to be, it is not.
    Conflict,
    /// It is of no type that the route takes.
    MediaType,
    /// It is larger than the route allows.
    TooLarge,
    /// It cannot be kept at the moment.
    Unavailable,
    /// It does not prove whose it is, and from when. Which part of it does not, is in the log alone.
    Unproven,
}

impl WebhookDenied {
    /// A refusal that is not in the log yet.
    #[must_use]
    pub const fn new(reason: &'static str, kind: DeniedKind) -> Self {
        Self {
            reason,
            kind,
            recorded: None,
        }
    }

    /// The same refusal, which stands in the log.
    #[must_use]
    pub const fn recorded(self, event: EventId) -> Self {
        Self {
            recorded: Some(event),
            ..self
        }
    }
}

impl DeniedKind {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Conflict => StatusCode::CONFLICT,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unproven => StatusCode::UNAUTHORIZED,
        }
    }
}

#[cfg(test)]
mod tests;
