//! Fetching what somebody else named: the one way in which an address that a client, a document or an issuer chose is ever connected to (R56).
//!
//! `https` alone; the name is resolved once, every address is judged, and the connection goes to the judged address; no redirect is followed; the body is cut off at
//! a limit, the whole exchange at another; the answer has to be of a media type that was asked for; one host gets few connections at once, and all hosts together
//! not many. What is fetched and what is delivered have a lane each: whoever does not take what is delivered to them keeps no request waiting for a document. No cookie, no credential, no proxy and no kept connection takes part.
//!
//! Not here: caching, and what a document means.

mod plain;

use crate::client::{ClientError, body_error, handshake, request};
use crate::egress::{EgressError, EgressPolicy, without_brackets};
use crate::tls::TlsClient;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

/// Exchanges with one host at once; one more waits, within its time.
const PER_HOST_MAX: usize = 2;
/// Exchanges of one lane with all hosts at once; one more is refused.
const EXCHANGES_MAX: usize = 64;
/// Bytes of a URL that is looked at.
const URL_BYTES_MAX: usize = 2048;
/// Bytes that are read of the answer to a delivery: its status is all that counts.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;

/// What an answer may be.
#[derive(Debug, Clone)]
pub struct FetchRules {
    /// The media types that are taken; the first is asked for.
    pub media_types: &'static [&'static str],
    /// Bytes of its body.
    pub body_bytes_max: usize,
    /// Time for all of it: resolving, connecting, reading.
    pub timeout: Duration,
}

impl FetchRules {
    /// A JSON document of at most this many bytes, within five seconds.
    #[must_use]
    pub const fn json(body_bytes_max: usize) -> Self {
        Self {
            media_types: &["application/json"],
            body_bytes_max,
            timeout: Duration::from_secs(5),
        }
    }

    /// A JWK set (RFC 7517 §8.5); many servers call it plain JSON.
    #[must_use]
    pub const fn jwk_set(body_bytes_max: usize) -> Self {
        Self {
            media_types: &["application/jwk-set+json", "application/json"],
            body_bytes_max,
            timeout: Duration::from_secs(5),
        }
    }
}

/// A document that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// Its body.
    pub body: Bytes,
    /// `max-age` of its `Cache-Control`; nothing where it is not to be kept or does not say.
    pub max_age: Option<Duration>,
}

/// Why nothing was fetched or delivered.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Too many exchanges are under way.
    #[error("too many exchanges with other hosts at once")]
    Busy,
    /// The connection, the exchange or the reading failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer is of another media type, or encoded.
    #[error("the answer is not of the expected media type")]
    MediaType,
    /// The address leads elsewhere; nobody follows it.
    #[error("the answer is a redirect")]
    Redirect,
    /// Any other status than 200.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// Not an `https` URL with a host and nothing that deceives.
    #[error("expected an `https` URL with a host, without user name and fragment")]
    Url,
}

/// What a failure says of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchVerdict {
    /// Its server was asked and did not give it, or gave something else: what was had before is no more.
    Refused,
    /// Nobody authentic was heard: nothing is known that was not known before.
    Unreachable,
}

impl FetchError {
    /// Whether the server itself refused. A name that leads elsewhere is no word of the server: nobody authenticates it before the connection stands.
    #[must_use]
    pub fn verdict(&self) -> FetchVerdict {
        match self {
            Self::Client(ClientError::BodyTooLarge)
            | Self::MediaType
            | Self::Redirect
            | Self::Url => FetchVerdict::Refused,
            Self::Status(status) if status.is_server_error() || is_for_now(*status) => {
                FetchVerdict::Unreachable
            }
            Self::Status(_) => FetchVerdict::Refused,
            Self::Busy
            | Self::Client(
                ClientError::Connect(_)
                | ClientError::Egress(_)
                | ClientError::Http(_)
                | ClientError::Timeout
                | ClientError::Url,
            ) => FetchVerdict::Unreachable,
        }
    }

    /// The reason as the log names it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "fetch_busy",
            Self::Client(ClientError::Egress(EgressError::Forbidden(..) | EgressError::Own(_))) => {
                "address_forbidden"
            }
            Self::Client(ClientError::Egress(EgressError::Unknown(..))) => "host_unknown",
            Self::Client(ClientError::BodyTooLarge) => "body_too_large",
            Self::Client(ClientError::Timeout) => "fetch_timeout",
            Self::Client(ClientError::Connect(_) | ClientError::Http(_) | ClientError::Url) => {
                "fetch_failed"
            }
            Self::MediaType => "media_type",
            Self::Redirect => "redirect",
            Self::Status(_) => "status",
            Self::Url => "url",
        }
    }
}

/// Statuses that ask to come again and say nothing of the document.
fn is_for_now(status: StatusCode) -> bool {
    [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ]
    .contains(&status)
}

/// The client. Cloning it is cheap; clones share the limits.
#[derive(Clone)]
pub struct GuardedClient(Arc<Inner>);

struct Inner {
    tls: TlsClient,
    egress: EgressPolicy,
    fetches: Lane,
    deliveries: Lane,
}

/// The turns of one kind of exchange.
struct Lane {
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to one exchange, until its answer is read.
struct Turn {
    _all: OwnedSemaphorePermit,
    _one: OwnedSemaphorePermit,
}

impl GuardedClient {
    /// A client that trusts what `tls` trusts and reaches what `egress` allows.
    #[must_use]
    pub fn new(tls: TlsClient, egress: EgressPolicy) -> Self {
        Self(Arc::new(Inner {
            tls,
            egress,
            fetches: Lane::new(),
            deliveries: Lane::new(),
        }))
    }

    /// Fetches a document.
    ///
    /// # Errors
    /// When the address may not be reached, or the answer is not 200, of a taken media type and within its limits.
    pub async fn fetch(&self, url: &Url, rules: &FetchRules) -> Result<Fetched, FetchError> {
        let mut headers = HeaderMap::new();
        if let Some(wanted) = rules.media_types.first() {
            headers.insert(header::ACCEPT, HeaderValue::from_static(wanted));
        }
        let read = async {
            let (host, port) = destination(url)?;
            let _turn = self.0.fetches.turn(&host).await?;
            let request = request(Method::GET, url, headers, Bytes::new())?;
            let response = self.send(&host, port, request).await?;
            read_document(response, rules).await
        };
        match tokio::time::timeout(rules.timeout, read).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::Timeout.into()),
        }
    }

    /// Sends a body there, and gives the document that is the answer: what a token endpoint does.
    ///
    /// # Errors
    /// As [`GuardedClient::fetch`].
    pub async fn ask(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        rules: &FetchRules,
    ) -> Result<Fetched, FetchError> {
        let read = async {
            let (host, port) = destination(url)?;
            let _turn = self.0.fetches.turn(&host).await?;
            let request = request(Method::POST, url, headers, body)?;
            let response = self.send(&host, port, request).await?;
            read_document(response, rules).await
        };
        match tokio::time::timeout(rules.timeout, read).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::Timeout.into()),
        }
    }

    /// Sends a body there, and gives the status of the answer; what else the answer says is not read.
    ///
    /// # Errors
    /// When the address may not be reached or does not answer in time. A status is no error. [`FetchError::Busy`] when no turn came in that time: nothing was sent.
    pub async fn deliver(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<StatusCode, FetchError> {
        let (host, port) = destination(url)?;
        let turn = self.0.deliveries.turn(&host);
        let Ok(turn) = tokio::time::timeout(timeout, turn).await else {
            return Err(FetchError::Busy);
        };
        let _turn = turn?;
        let request = request(Method::POST, url, headers, body)?;
        let read = async {
            let response = self.send(&host, port, request).await?;
            let status = response.status();
            // Read to its end, so that the other side is not cut off in the middle of its answer; how that goes has no meaning.
            let _rest = Limited::new(response.into_body(), RECEIPT_BYTES_MAX)
                .collect()
                .await;
            Ok(status)
        };
        match tokio::time::timeout(timeout, read).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::Timeout.into()),
        }
    }

    async fn send(
        &self,
        host: &str,
        port: u16,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let egress = &self.0.egress;
        // The one look at the name: what is connected to is what was judged.
        let judged = egress
            .resolve(host, port)
            .await
            .map_err(ClientError::Egress)?;
        let stream = egress
            .connect(&judged)
            .await
            .map_err(ClientError::Connect)?;
        let name = without_brackets(host).to_owned();
        let name = ServerName::try_from(name).map_err(|_| ClientError::Url)?;
        let stream = self
            .0
            .tls
            .connector()
            .connect(name, stream)
            .await
            .map_err(ClientError::Connect)?;
        let mut sender = handshake(TokioIo::new(stream)).await?;
        sender
            .send_request(request)
            .await
            .map_err(ClientError::Http)
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(EXCHANGES_MAX)),
            hosts: Mutex::default(),
        }
    }

    /// The host's turn first: whoever waits for a host that does not answer takes nothing from others.
    async fn turn(&self, host: &str) -> Result<Turn, FetchError> {
        let one = self.turn_of_host(host).await?;
        let all = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| FetchError::Busy)?;
        Ok(Turn {
            _all: all,
            _one: one,
        })
    }

    /// Waits for this host's turn. A host that nobody waits for is forgotten.
    async fn turn_of_host(&self, host: &str) -> Result<OwnedSemaphorePermit, FetchError> {
        let turns = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.retain(|_, turns| {
                Arc::strong_count(turns) > 1 || turns.available_permits() < PER_HOST_MAX
            });
            Arc::clone(
                hosts
                    .entry(host.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(PER_HOST_MAX))),
            )
        };
        turns.acquire_owned().await.map_err(|_| FetchError::Busy)
    }
}

impl std::fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuardedClient")
    }
}

fn destination(url: &Url) -> Result<(String, u16), FetchError> {
    let plain = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.as_str().len() <= URL_BYTES_MAX;
    if !plain {
        return Err(FetchError::Url);
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        None => return Err(FetchError::Url),
    };
    let port = url.port_or_known_default().ok_or(FetchError::Url)?;
    Ok((host, port))
}

async fn read_document(
    response: Response<Incoming>,
    rules: &FetchRules,
) -> Result<Fetched, FetchError> {
    check(&response, rules)?;
    let max_age = max_age(response.headers());
    let body = Limited::new(response.into_body(), rules.body_bytes_max)
        .collect()
        .await
        .map_err(|error| FetchError::Client(body_error(error)))?
        .to_bytes();
    Ok(Fetched { body, max_age })
}

fn check(response: &Response<Incoming>, rules: &FetchRules) -> Result<(), FetchError> {
    if response.status().is_redirection() {
        return Err(FetchError::Redirect);
    }
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let headers = response.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(FetchError::MediaType);
    }
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    let taken = rules
        .media_types
        .iter()
        .any(|media_type| essence.eq_ignore_ascii_case(media_type));
    if !taken {
        return Err(FetchError::MediaType);
    }
    // A body that announces itself too large is not begun.
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > rules.body_bytes_max) {
        return Err(ClientError::BodyTooLarge.into());
    }
    Ok(())
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let mut seconds = None;
    for directive in directives {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache")
        {
            return None;
        }
        if let Some(value) = directive.strip_prefix("max-age=") {
            seconds = value.parse().ok();
        }
    }
    seconds.map(Duration::from_secs)
}
