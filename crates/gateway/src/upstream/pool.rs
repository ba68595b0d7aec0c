//! The connections of one core to one address of an upstream.
//!
//! A request first takes a place among those in flight, then a kept connection, else a new one. A kept connection that turns out to be
//! closed before it took any byte hands the request back, and the next one is tried; a request that may have reached the upstream is
//! never sent twice.

use super::body::{OutboundBody, PooledBody, Progress, ProgressWatch, RequestBody};
use super::members::Health;
use super::{
    ACQUIRE_TIMEOUT, Endpoint, HTTP2_CONNECTIONS_MAX, HTTP2_STREAMS_AIM, IDLE_MAX, IN_FLIGHT_MAX,
    Timeouts, UpstreamTransport,
};
use crate::projection::ProjectionError;
use crate::websocket::Switching;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

type Http1 = http1::SendRequest<OutboundBody>;
type Http2 = http2::SendRequest<OutboundBody>;

/// Why an upstream did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The caller's body broke off or was too slow; the fault is not the upstream's.
    #[error("the body of the request broke off")]
    Body,
    /// The caller sent more than the route allows.
    #[error("the body of the request is larger than the route allows")]
    BodyTooLarge,
    /// Every place among the requests in flight stayed taken.
    #[error("the upstream has too many requests in flight")]
    Busy,
    /// No connection.
    #[error("the upstream can't be connected to")]
    Connect(#[source] io::Error),
    /// Every address failed so often that none is tried at the moment.
    #[error("every address of the upstream is given up for the moment")]
    Ejected {
        /// Seconds until one is tried again.
        retry_after_seconds: u64,
    },
    /// The upstream broke off while the caller was still sending: it may have had enough of waiting for the caller.
    #[error("the upstream broke off before it had the whole request")]
    CutShort(#[source] hyper::Error),
    /// The handshake of HTTP.
    #[error("the upstream does not speak HTTP")]
    Handshake(#[source] hyper::Error),
    /// The exchange broke off.
    #[error("the upstream broke off")]
    Http(#[source] hyper::Error),
    /// The bodies that are in memory leave no room for this one.
    #[error("there is no room for the body of the request")]
    NoRoom,
    /// What has to be done with the answer cannot be done, so that nothing of it is passed on.
    #[error("{0}")]
    Projection(#[source] ProjectionError),
    /// The upstream refused the stream, or went away before it looked at it: nothing of the request was done (RFC 9113 §8.7).
    #[error("the upstream refused the stream")]
    RefusedStream,
    /// It switched to a protocol that nobody asked for.
    #[error("the upstream switched to another protocol")]
    Switch,
    /// Too slow.
    #[error("the upstream did not answer in time")]
    Timeout,
}

impl PassError {
    /// Whether the upstream surely saw nothing of the request.
    pub(crate) const fn is_unsent(&self) -> bool {
        match self {
            Self::Busy
            | Self::Connect(_)
            | Self::Ejected { .. }
            | Self::Handshake(_)
            | Self::NoRoom
            | Self::RefusedStream => true,
            Self::Body
            | Self::BodyTooLarge
            | Self::CutShort(_)
            | Self::Http(_)
            | Self::Projection(_)
            | Self::Switch
            | Self::Timeout => false,
        }
    }
}

/// See the module.
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    timeouts: Timeouts,
    host: HeaderValue,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    http2: Mutex<Vec<Shared>>,
    http2_timer: Duration,
}

/// An HTTP/2 connection, and a mark of which every stream on it holds one more.
#[derive(Clone)]
struct Shared {
    sender: Http2,
    streams: Arc<()>,
}

impl Shared {
    fn streams(&self) -> usize {
        Arc::strong_count(&self.streams)
    }

    /// Whether another connection is worth opening.
    fn is_full(&self) -> bool {
        self.streams() > HTTP2_STREAMS_AIM
    }
}

struct Idle {
    sender: Http1,
    since: Instant,
}

/// A connection that is in use. Dropped, it closes the connection (HTTP/1.1) or lets go of its stream (HTTP/2).
pub(crate) struct Lease {
    pool: Arc<Inner>,
    connection: Leased,
    watch: ProgressWatch,
    _place: OwnedSemaphorePermit,
}

enum Leased {
    /// A connection for this one request, which may have become another protocol's.
    Alone {
        _sender: Http1,
    },
    Http1(Http1),
    Http2 {
        _stream: Arc<()>,
    },
}

enum Connection {
    Http1(Http1),
    Http2(Shared),
}

impl Lease {
    /// Keeps the connection for the next request, unless the upstream answered before it had read the whole request (FRM-11).
    pub(crate) fn give_back(self) {
        let Leased::Http1(sender) = self.connection else {
            return;
        };
        if self.watch.progress() != Progress::Complete || sender.is_closed() {
            return;
        }
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if idle
            .first()
            .is_some_and(|oldest| now.duration_since(oldest.since) >= 2 * IDLE_MAX)
        {
            idle.retain(|kept| now.duration_since(kept.since) < IDLE_MAX);
        }
        idle.push(Idle { sender, since: now });
    }
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint, timeouts: Timeouts) -> Self {
        Self(Arc::new(Inner {
            host: endpoint.host_field(),
            endpoint,
            timeouts,
            places: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            idle: Mutex::default(),
            http2: Mutex::default(),
            http2_timer: Duration::from_secs(20),
        }))
    }

    /// Sends `request`, whose URI is path and query alone, and answers with a body that holds on to its connection.
    pub(crate) async fn send(
        &self,
        request: Box<Request<OutboundBody>>,
    ) -> Result<Response<PooledBody>, PassError> {
        let watch = request.body().watch();
        let place = self.place().await?;
        let answer = self.0.timeouts.answer;
        let mut until = Instant::now() + answer;
        let switching = request.extensions().get::<Switching>().is_some();
        let mut exchange = pin!(async {
            if switching {
                // In a box, so that other requests carry no room for it.
                Box::pin(self.exchange_alone(request)).await
            } else {
                self.exchange(request).await
            }
        });
        let ended = loop {
            match timeout_at(until, exchange.as_mut()).await {
                Ok(ended) => break ended,
                Err(_elapsed) => until = extended(until, answer, &watch)?,
            }
        };
        match ended {
            Ok((response, connection)) => {
                let lease = Lease {
                    pool: Arc::clone(&self.0),
                    connection,
                    watch,
                    _place: place,
                };
                let idle = self.0.timeouts.idle;
                Ok(if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    response.map(|body| PooledBody::switched(body, lease, idle))
                } else {
                    response.map(|body| PooledBody::new(body, lease, idle))
                })
            }
            Err(error) => Err(blamed(error, watch.progress())),
        }
    }

    /// Whether a new connection answers a small request with anything good.
    pub(crate) async fn check(&self, path: &http::uri::PathAndQuery) -> Health {
        let body = OutboundBody::new(RequestBody::Whole(bytes::Bytes::new()));
        let mut request = Box::new(Request::new(body));
        *request.uri_mut() = Uri::from(path.clone());
        let Ok(Ok(connection)) = timeout(self.0.timeouts.connect, self.connect()).await else {
            return Health::Sick;
        };
        match self.try_on(connection, request).await {
            Ok(Tried::Answered(response, _)) if response.status().as_u16() < 400 => Health::Well,
            Ok(Tried::Answered(..) | Tried::Unsent(_)) | Err(_) => Health::Sick,
        }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, PassError> {
        let places = Arc::clone(&self.0.places);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            return Ok(place);
        }
        match timeout(ACQUIRE_TIMEOUT, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(PassError::Busy),
        }
    }

    async fn exchange(
        &self,
        mut request: Box<Request<OutboundBody>>,
    ) -> Result<(Response<Incoming>, Leased), PassError> {
        while let Some(connection) = self.kept() {
            match self.try_on(connection, request).await? {
                Tried::Answered(response, leased) => return Ok((response, leased)),
                Tried::Unsent(back) => request = back,
            }
        }
        // In a box, so that a request on a kept connection carries no room for it.
        let connecting = timeout(self.0.timeouts.connect, Box::pin(self.connect()));
        // Nothing was sent yet, so this is no answer that came too late.
        let connection = connecting
            .await
            .map_err(|_elapsed| PassError::Connect(io::ErrorKind::TimedOut.into()))??;
        match self.try_on(connection, request).await? {
            Tried::Answered(response, leased) => Ok((response, leased)),
            // A connection that closes before its first request: the upstream does not want us.
            Tried::Unsent(_) => Err(PassError::Connect(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// Sends a request that may end in another protocol on a connection of its own.
    async fn exchange_alone(
        &self,
        mut request: Box<Request<OutboundBody>>,
    ) -> Result<(Response<Incoming>, Leased), PassError> {
        let connecting = timeout(self.0.timeouts.connect, self.connect_alone());
        let mut sender = connecting
            .await
            .map_err(|_elapsed| PassError::Connect(io::ErrorKind::TimedOut.into()))??;
        *request.version_mut() = Version::HTTP_11;
        let host = self.0.host.clone();
        request.headers_mut().insert(header::HOST, host);
        let answered = sender.send_request(*request).await;
        let response = answered.map_err(PassError::Http)?;
        Ok((response, Leased::Alone { _sender: sender }))
    }

    async fn try_on(
        &self,
        connection: Connection,
        mut request: Box<Request<OutboundBody>>,
    ) -> Result<Tried, PassError> {
        let unanswered = match connection {
            Connection::Http1(mut sender) => {
                if sender.ready().await.is_err() {
                    return Ok(Tried::Unsent(request));
                }
                *request.version_mut() = Version::HTTP_11;
                request
                    .headers_mut()
                    .insert(header::HOST, self.0.host.clone());
                // hyper drops a body of unknown length where a method seldom has one (GET, HEAD) unless the coding is named.
                if request.body().size_hint().exact().is_none() {
                    request
                        .headers_mut()
                        .insert(header::TRANSFER_ENCODING, CHUNKED);
                }
                match sender.try_send_request(*request).await {
                    Ok(response) => return Ok(Tried::Answered(response, Leased::Http1(sender))),
                    Err(error) => error,
                }
            }
            Connection::Http2(Shared {
                mut sender,
                streams,
            }) => {
                if sender.ready().await.is_err() {
                    return Ok(Tried::Unsent(request));
                }
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(header::HOST);
                request.headers_mut().remove(header::TRANSFER_ENCODING);
                let origin_form = request.uri().clone();
                *request.uri_mut() = self.absolute(&origin_form);
                match sender.try_send_request(*request).await {
                    Ok(response) => {
                        let leased = Leased::Http2 { _stream: streams };
                        return Ok(Tried::Answered(response, leased));
                    }
                    Err(mut error) => {
                        if let Some(mut back) = error.take_message() {
                            *back.uri_mut() = origin_form;
                            return Ok(Tried::Unsent(Box::new(back)));
                        }
                        return Err(refused_or_broken(error.into_error()));
                    }
                }
            }
        };
        let mut unanswered = unanswered;
        match unanswered.take_message() {
            Some(back) => Ok(Tried::Unsent(Box::new(back))),
            None => Err(PassError::Http(unanswered.into_error())),
        }
    }

    fn absolute(&self, origin_form: &Uri) -> Uri {
        let mut parts = origin_form.clone().into_parts();
        parts.scheme = Some(self.0.endpoint.scheme());
        parts.authority = Some(self.0.endpoint.authority.clone());
        // Scheme, authority and path are all there, so this can't fail.
        Uri::from_parts(parts).unwrap_or_else(|_| origin_form.clone())
    }

    fn kept(&self) -> Option<Connection> {
        if let Some(shared) = self.kept_http2() {
            return Some(Connection::Http2(shared));
        }
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() >= IDLE_MAX {
                // The last one given back is the youngest: if it is too old, all are.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(Connection::Http1(sender));
            }
        }
        None
    }

    fn kept_http2(&self) -> Option<Shared> {
        let mut senders = self.0.http2.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.is_empty() {
            return None;
        }
        senders.retain(|shared| !shared.sender.is_closed());
        let quietest = senders.iter().min_by_key(|shared| shared.streams())?;
        if quietest.is_full() && senders.len() < HTTP2_CONNECTIONS_MAX {
            return None;
        }
        Some(quietest.clone())
    }

    async fn connect(&self) -> Result<Connection, PassError> {
        let spec = &self.0.endpoint;
        let stream = self.tcp().await?;
        match &spec.transport {
            UpstreamTransport::Plaintext => http1_on(stream).await,
            UpstreamTransport::PlaintextHttp2 => self.http2_on(stream).await,
            UpstreamTransport::Tls {
                tls, server_name, ..
            } => {
                let stream = tls
                    .connector()
                    .connect(server_name.clone(), stream)
                    .await
                    .map_err(PassError::Connect)?;
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.http2_on(stream).await
                } else {
                    http1_on(stream).await
                }
            }
        }
    }

    /// HTTP/1.1, the one version that other protocols begin in.
    async fn connect_alone(&self) -> Result<Http1, PassError> {
        let stream = self.tcp().await?;
        match &self.0.endpoint.transport {
            UpstreamTransport::Plaintext | UpstreamTransport::PlaintextHttp2 => {
                http1_alone_on(stream).await
            }
            UpstreamTransport::Tls {
                tls, server_name, ..
            } => {
                let connecting = tls.http1_connector().connect(server_name.clone(), stream);
                http1_alone_on(connecting.await.map_err(PassError::Connect)?).await
            }
        }
    }

    async fn tcp(&self) -> Result<TcpStream, PassError> {
        let spec = &self.0.endpoint;
        let stream = TcpStream::connect((spec.host.as_str(), spec.port))
            .await
            .map_err(PassError::Connect)?;
        stream.set_nodelay(true).map_err(PassError::Connect)?;
        Ok(stream)
    }

    async fn http2_on<I>(&self, stream: I) -> Result<Connection, PassError>
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(self.0.http2_timer)
            .keep_alive_timeout(self.0.http2_timer)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(PassError::Handshake)?;
        tokio::spawn(async move {
            // Its errors reach the requests on it.
            let _ = connection.await;
        });
        let mut senders = self.0.http2.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = Shared {
            sender,
            streams: Arc::default(),
        };
        if senders.len() < HTTP2_CONNECTIONS_MAX {
            senders.push(shared.clone());
        }
        Ok(Connection::Http2(shared))
    }
}

enum Tried {
    Answered(Response<Incoming>, Leased),
    /// Nothing of it was sent.
    Unsent(Box<Request<OutboundBody>>),
}

async fn http1_on<I>(stream: I) -> Result<Connection, PassError>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(PassError::Handshake)?;
    tokio::spawn(async move {
        // Its errors reach the request on it; the end of an idle connection is no event.
        let _ = connection.await;
    });
    Ok(Connection::Http1(sender))
}

/// What a broken exchange on HTTP/2 means. A stream that was refused, or that came after the last one that a peer going away looked at, was not processed
/// (RFC 9113 §6.8, §8.7).
fn refused_or_broken(error: hyper::Error) -> PassError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(h2) = inner.downcast_ref::<h2::Error>() {
            let unprocessed = match h2.reason() {
                Some(h2::Reason::REFUSED_STREAM) => h2.is_reset(),
                Some(h2::Reason::NO_ERROR) => h2.is_go_away(),
                _ => false,
            };
            if unprocessed && h2.is_remote() {
                return PassError::RefusedStream;
            }
        }
        cause = inner.source();
    }
    PassError::Http(error)
}

/// See [`Pool::exchange_alone`].
async fn http1_alone_on<I>(stream: I) -> Result<Http1, PassError>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(PassError::Handshake)?;
    tokio::spawn(async move {
        // Its errors reach the request on it, or the protocol that it became.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// The upstream's time counts from when it has the whole request: until when it lasts, if that is later than `until`. Time that the caller
/// took to send is no fault of the upstream's.
fn extended(until: Instant, answer: Duration, watch: &ProgressWatch) -> Result<Instant, PassError> {
    match watch.progress() {
        Progress::Awaited | Progress::Broken => Err(PassError::Body),
        Progress::TooLarge => Err(PassError::BodyTooLarge),
        Progress::Complete => watch
            .completed()
            .map(|completed| completed + answer)
            .filter(|later| *later > until)
            .ok_or(PassError::Timeout),
        Progress::Open | Progress::Unread => Err(PassError::Timeout),
    }
}

/// An exchange that broke off because of the caller's body is not the upstream's fault.
fn blamed(error: PassError, progress: Progress) -> PassError {
    match (error, progress) {
        (PassError::Http(_), Progress::TooLarge) => PassError::BodyTooLarge,
        (PassError::Http(_), Progress::Broken) => PassError::Body,
        (PassError::Http(http), Progress::Awaited | Progress::Open) if http.is_user() => {
            PassError::Body
        }
        (PassError::Http(http), Progress::Awaited | Progress::Open) => PassError::CutShort(http),
        (
            error,
            Progress::Awaited
            | Progress::Broken
            | Progress::Complete
            | Progress::Open
            | Progress::TooLarge
            | Progress::Unread,
        ) => error,
    }
}

#[cfg(test)]
mod tests;
