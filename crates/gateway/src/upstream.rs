//! The services behind the gateway: their addresses, which of them are well and who is sent to which, and pools of hyper's own connections,
//! one pool a core and address, bounded, over mTLS.
//!
//! Nothing here is public to the rest of the program but configuration: [`crate::forward`] alone opens an upstream.

mod attempts;
mod body;
mod breaker;
mod concurrency;
mod health;
mod members;
mod pool;
mod retry;

pub(crate) use attempts::{Earlier, Sending, Upstream};
pub use body::{AnswerError, HELD_BYTES_MAX, OutboundBody, PooledBody};
pub(crate) use body::{Gathered, ProgressWatch, RequestBody, gather};
pub use breaker::{BreakerSpec, EJECTION_MAX};
pub use concurrency::{Adapt, ConcurrencySpec, PLACES_MAX};
pub(crate) use concurrency::{Gate, Place, Priority, RETRY_AFTER};
pub(crate) use health::Checks;
pub use health::{EVERY_MIN, HealthSpec};
pub use members::{Balance, HashBy};
pub(crate) use members::{Members, key_of};
pub use pool::PassError;
pub(crate) use retry::Repeat;
pub use retry::{ATTEMPTS_MAX, REPLAY_BYTES_MAX, RetrySpec};

use countersign_base::RouteId;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::TlsClient;
use http::HeaderValue;
use http::uri::{Authority, Scheme};
use std::sync::Arc;
use std::time::Duration;

/// Requests in flight to one address from one core; more wait for [`ACQUIRE_TIMEOUT`].
pub const IN_FLIGHT_MAX: usize = 512;
/// Streams of an HTTP/2 connection, beyond which another is opened while there may be more: one connection is one thread's work at both ends.
pub const HTTP2_STREAMS_AIM: usize = 32;
/// HTTP/2 connections to one address from one core.
pub const HTTP2_CONNECTIONS_MAX: usize = 4;
/// Addresses of one upstream.
pub const ENDPOINTS_MAX: usize = 32;
/// Time to wait for a place among the requests in flight.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle connection older than this is not used again: common servers close theirs after five seconds, and a request that crosses
/// with the close is lost.
pub const IDLE_MAX: Duration = Duration::from_secs(4);

/// How long each step to an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To resolve, connect and shake hands.
    pub connect: Duration,
    /// For the head of an answer, of each attempt.
    pub answer: Duration,
    /// Between two pieces of an answer's body.
    pub idle: Duration,
    /// For the head of an answer, of all attempts and the waits between them together.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            total: Duration::from_secs(60),
        }
    }
}

/// How an upstream is reached.
#[derive(Clone)]
pub enum UpstreamTransport {
    /// Without encryption; configuration allows it on loopback alone.
    Plaintext,
    /// Without encryption, and HTTP/2 without asking (RFC 9113 §3.3).
    PlaintextHttp2,
    /// TLS, with our client certificate if `tls` has one.
    Tls {
        /// Whom to trust and as whom to appear.
        tls: TlsClient,
        /// The name that its certificate must carry.
        server_name: rustls::pki_types::ServerName<'static>,
        /// The thumbprint of our client certificate, so that exchanged tokens can be bound to it (RFC 8705).
        certificate: Option<CertificateThumbprint>,
    },
}

/// One service behind the gateway.
#[derive(Clone)]
pub struct UpstreamSpec {
    /// Its name, which routes use.
    pub name: RouteId,
    /// Where it is reached: one address or several that do the same.
    pub endpoints: Vec<Endpoint>,
    /// How an address is chosen.
    pub balance: Balance,
    /// When an address is given up for a while.
    pub breaker: BreakerSpec,
    /// How many requests may be under way at once, over all cores and addresses.
    pub concurrency: Option<ConcurrencySpec>,
    /// How its addresses are asked whether they are well.
    pub health: Option<HealthSpec>,
    /// What is sent again.
    pub retries: RetrySpec,
    /// How long each step may take.
    pub timeouts: Timeouts,
}

/// One address of an upstream.
#[derive(Clone)]
pub struct Endpoint {
    /// Host and port, as requests to it say.
    pub authority: Authority,
    /// The host to resolve and connect to, without brackets.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// Plain text or TLS.
    pub transport: UpstreamTransport,
}

/// Why an upstream can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not a URL of scheme, host and port.
    #[error("upstream `{0}`: expected `https://HOST:PORT` without path, query and user")]
    Url(RouteId),
    /// Not a name that a certificate can carry.
    #[error("upstream `{0}`: expected a DNS name or an address as server name")]
    ServerName(RouteId),
}

/// The TLS side of an upstream.
#[derive(Clone)]
pub struct UpstreamTls {
    /// Whom to trust and as whom to appear.
    pub client: TlsClient,
    /// The thumbprint of the client certificate in `client`, if it has one.
    pub certificate: Option<CertificateThumbprint>,
}

impl UpstreamSpec {
    /// An upstream with these addresses, and the defaults for everything else: no retries, no checks, no limit of requests under way
    /// but that of each core, and a circuit breaker.
    #[must_use]
    pub fn of(name: RouteId, endpoints: Vec<Endpoint>) -> Self {
        Self {
            name,
            endpoints,
            balance: Balance::default(),
            breaker: BreakerSpec::default(),
            concurrency: None,
            health: None,
            retries: RetrySpec::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// From the one URL of configuration. `server_name` is the name that its certificate must carry.
    ///
    /// # Errors
    /// When URL or name have another form.
    pub fn new(
        name: RouteId,
        url: &url::Url,
        server_name: &str,
        tls: UpstreamTls,
    ) -> Result<Self, UpstreamError> {
        let endpoint = Endpoint::new(&name, url, server_name, tls)?;
        Ok(Self::of(name, vec![endpoint]))
    }

    /// Our certificate, which all of its addresses see.
    pub(crate) fn certificate(&self) -> Option<CertificateThumbprint> {
        match &self.endpoints.first()?.transport {
            UpstreamTransport::Plaintext | UpstreamTransport::PlaintextHttp2 => None,
            UpstreamTransport::Tls { certificate, .. } => *certificate,
        }
    }
}

impl Endpoint {
    /// From a URL of configuration. `server_name` is the name that its certificate must carry.
    ///
    /// # Errors
    /// When URL or name have another form.
    pub fn new(
        upstream: &RouteId,
        url: &url::Url,
        server_name: &str,
        tls: UpstreamTls,
    ) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Url(upstream.clone());
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let authority: Authority = authority.parse().map_err(|_| wrong())?;
        let port = url
            .port_or_known_default()
            .filter(|_| bare)
            .ok_or_else(wrong)?;
        let transport = match url.scheme() {
            "http" => UpstreamTransport::Plaintext,
            "https" => {
                let server_name = rustls::pki_types::ServerName::try_from(server_name.to_owned())
                    .map_err(|_| UpstreamError::ServerName(upstream.clone()))?;
                UpstreamTransport::Tls {
                    tls: tls.client,
                    server_name,
                    certificate: tls.certificate,
                }
            }
            _ => return Err(wrong()),
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self {
            authority,
            host,
            port,
            transport,
        })
    }

    /// Speaks HTTP/2 without asking where there is no TLS to ask in.
    pub fn speak_http2(&mut self) {
        if matches!(self.transport, UpstreamTransport::Plaintext) {
            self.transport = UpstreamTransport::PlaintextHttp2;
        }
    }

    pub(crate) fn host_field(&self) -> HeaderValue {
        // An authority consists of characters that a field value may hold.
        HeaderValue::from_str(self.authority.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    pub(crate) fn scheme(&self) -> Scheme {
        match self.transport {
            UpstreamTransport::Plaintext | UpstreamTransport::PlaintextHttp2 => Scheme::HTTP,
            UpstreamTransport::Tls { .. } => Scheme::HTTPS,
        }
    }
}

/// What the cores of a process know together of one set of upstreams.
pub(crate) struct SharedUpstreams(Vec<(UpstreamSpec, Arc<Members>)>);

impl SharedUpstreams {
    /// Those of `specs`, with what is known of addresses that were there `before`.
    pub(crate) fn new(specs: &[UpstreamSpec], before: Option<&Self>) -> Self {
        let shared = specs.iter().map(|spec| {
            let known = before.and_then(|before| {
                let mut upstreams = before.0.iter();
                upstreams.find(|(earlier, _)| earlier.name == spec.name)
            });
            let members = Members::new(spec, known.map(|(_, members)| &**members));
            (spec.clone(), Arc::new(members))
        });
        Self(shared.collect())
    }

    /// Their health checks.
    pub(crate) fn checks(&self) -> Checks {
        Checks::new(&self.0)
    }
}

/// The upstreams of one core with its own connections, in the order of the routes' upstreams. A new set of routes gets new connections.
pub struct Upstreams(Vec<Upstream>);

impl Upstreams {
    /// Upstreams that share nothing with other cores.
    #[must_use]
    pub fn new(specs: &[UpstreamSpec]) -> Self {
        Self::sharing(&SharedUpstreams::new(specs, None))
    }

    pub(crate) fn sharing(shared: &SharedUpstreams) -> Self {
        let upstreams = shared.0.iter();
        Self(
            upstreams
                .map(|(spec, members)| Upstream::new(spec.clone(), Arc::clone(members)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, position: usize) -> Option<&Upstream> {
        self.0.get(position)
    }
}
