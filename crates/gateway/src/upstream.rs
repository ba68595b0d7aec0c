//! Connections to the services behind the gateway: pools of hyper's own connections, one pool a core and upstream, bounded, over mTLS.
//!
//! Nothing here is public to the rest of the program but configuration: [`crate::forward`] alone opens an upstream.

mod body;
mod pool;

pub use body::{OutboundBody, PooledBody};
pub use pool::PassError;
pub(crate) use pool::Pool;

use countersign_base::RouteId;
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::TlsClient;
use http::HeaderValue;
use http::uri::{Authority, Scheme};
use std::time::Duration;

/// Requests in flight to one upstream from one core; more wait for [`ACQUIRE_TIMEOUT`].
pub const IN_FLIGHT_MAX: usize = 512;
/// HTTP/2 connections to one upstream from one core.
pub const HTTP2_CONNECTIONS_MAX: usize = 4;
/// Time to wait for a place among the requests in flight.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time to resolve, connect and shake hands.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for the head of an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection older than this is not used again: common servers close theirs after five seconds, and a request that crosses
/// with the close is lost.
pub const IDLE_MAX: Duration = Duration::from_secs(4);

/// How an upstream is reached.
#[derive(Clone)]
pub enum UpstreamTransport {
    /// Without encryption; configuration allows it on loopback alone.
    Plaintext,
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
pub struct UpstreamTls {
    /// Whom to trust and as whom to appear.
    pub client: TlsClient,
    /// The thumbprint of the client certificate in `client`, if it has one.
    pub certificate: Option<CertificateThumbprint>,
}

impl UpstreamSpec {
    /// From the URL of configuration. `server_name` is the name that its certificate must carry.
    ///
    /// # Errors
    /// When URL or name have another form.
    pub fn new(
        name: RouteId,
        url: &url::Url,
        server_name: &str,
        tls: UpstreamTls,
    ) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Url(name.clone());
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
                    .map_err(|_| UpstreamError::ServerName(name.clone()))?;
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
            name,
            authority,
            host,
            port,
            transport,
        })
    }

    pub(crate) fn host_field(&self) -> HeaderValue {
        // An authority consists of characters that a field value may hold.
        HeaderValue::from_str(self.authority.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    pub(crate) fn scheme(&self) -> Scheme {
        match self.transport {
            UpstreamTransport::Plaintext => Scheme::HTTP,
            UpstreamTransport::Tls { .. } => Scheme::HTTPS,
        }
    }

    pub(crate) const fn certificate(&self) -> Option<CertificateThumbprint> {
        match &self.transport {
            UpstreamTransport::Plaintext => None,
            UpstreamTransport::Tls { certificate, .. } => *certificate,
        }
    }
}

/// The pools of one core, in the order of the routes' upstreams. A new set of routes gets new pools.
pub struct Upstreams(Vec<Pool>);

impl Upstreams {
    /// Empty pools.
    #[must_use]
    pub fn new(specs: &[UpstreamSpec]) -> Self {
        Self(specs.iter().map(|spec| Pool::new(spec.clone())).collect())
    }

    pub(crate) fn pool(&self, position: usize) -> Option<&Pool> {
        self.0.get(position)
    }
}
