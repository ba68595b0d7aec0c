//! Accepts connections and runs HTTP/1.1 or HTTP/2 on them, whichever the handshake agreed on, until told to drain.
//!
//! Plain text speaks HTTP/1.1 alone: a connection never changes protocol after its first byte.

use crate::connection::{Connection, Peer, Scheme};
use crate::framing::{Framed, FramingWatch};
use crate::limits::{self, Limits};
use crate::peers::PeerPlace;
use crate::recorded::Recorded;
use crate::taken::{Taken, TakenBody};
use crate::{BoxError, Drain, InboundBody, Listener, ServerTls, tls};
use countersign_base::{Conditional, NoTls};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How a listener talks.
#[derive(Clone)]
pub enum Transport {
    /// Without encryption: telemetry on loopback.
    Plaintext,
    /// TLS.
    Tls(ServerTls),
}

/// Serves `listener` on the runtime that calls this until `drain` begins, and then until its connections have ended.
///
/// `make` is called once a connection and gives the service that answers its requests.
///
/// # Errors
/// When the runtime can't take the socket. Errors of single connections end those connections alone.
pub async fn serve<M, S, B>(
    listener: Listener,
    transport: Transport,
    limits: Limits,
    make: M,
    mut drain: Drain,
) -> io::Result<()>
where
    M: Fn(&Arc<Connection>) -> S + Clone + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let listener = listener.into_tokio()?;
    let limits = Arc::new(limits);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    // Every connection holds `alive`; when all are gone, `ended` says so.
    let (alive, mut ended) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.begun() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Ok((stream, remote, slot)) = accepted else {
            // Out of descriptors or memory: the peer's connection waits, and this loop does not spin.
            tracing::warn!("a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(place) = limits
            .peers
            .enter(remote.ip(), limits.connections_per_peer_max)
        else {
            // No handshake for it: the peer has enough of them open.
            tracing::debug!("a peer has too many connections open");
            continue;
        };
        let task = Task {
            _place: place,
            transport: transport.clone(),
            limits: Arc::clone(&limits),
            drain: drain.clone(),
            _slot: slot,
            _alive: alive.clone(),
        };
        tokio::spawn(Arc::new(task).run(stream, remote, make.clone()));
    }
    drop((listener, alive));
    // The drain ends them, at the latest when it closes. The runtime must not end before.
    ended.recv().await;
    Ok(())
}

/// Runs an axum router, or another tower service that is always ready, on [`serve`]. Requests carry the peer's certificate
/// ([`Peer`]) and address ([`SocketAddr`]) as extensions, and bodies are limited as `limits` says.
pub fn from_tower<T, B>(
    service: T,
    limits: &Limits,
) -> impl Fn(&Arc<Connection>) -> TowerService<T> + Clone + Send + 'static + use<T, B>
where
    T: tower_service::Service<Request<InboundBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
{
    let (bytes_max, idle) = (limits.body_bytes_max, limits.body_idle_timeout);
    move |connection| TowerService {
        service: service.clone(),
        connection: Arc::clone(connection),
        bytes_max,
        idle,
    }
}

/// One connection's view of a tower service. See [`from_tower`].
pub struct TowerService<T> {
    service: T,
    connection: Arc<Connection>,
    bytes_max: u64,
    idle: Duration,
}

impl<T, B> Service<Request<Incoming>> for TowerService<T>
where
    T: tower_service::Service<Request<InboundBody>, Response = Response<B>, Error = Infallible>
        + Clone,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = T::Future;

    fn call(&self, request: Request<Incoming>) -> T::Future {
        let mut request = request.map(|body| InboundBody::new(body, self.bytes_max, self.idle));
        request
            .extensions_mut()
            .insert(self.connection.peer.clone());
        request.extensions_mut().insert(self.connection.remote);
        self.service.clone().call(request)
    }
}

/// Holds what a connection counts as, for a protocol that took it over: its place among those open, and its part in the drain.
pub struct Hold(Arc<Task>);

impl Hold {
    pub(crate) const fn new(task: Arc<Task>) -> Self {
        Self(task)
    }

    /// The drain that ends it.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.0.drain.clone()
    }
}

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

async fn accept(
    listener: &tokio::net::TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, remote, slot))
}

/// Everything one connection holds besides its socket and service.
pub(crate) struct Task {
    transport: Transport,
    limits: Arc<Limits>,
    drain: Drain,
    _slot: OwnedSemaphorePermit,
    _place: PeerPlace,
    _alive: mpsc::Sender<Infallible>,
}

impl Task {
    async fn run<M, S, B>(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, make: M)
    where
        M: Fn(&Arc<Connection>) -> S,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let described = |peer: Peer, scheme, ja4| {
            Arc::new(Connection {
                peer,
                remote,
                scheme,
                ja4,
                framing: FramingWatch::of(&self),
            })
        };
        let stream = Taken::new(stream, self.limits.write_timeout);
        match &self.transport {
            Transport::Plaintext => {
                let connection =
                    described(Conditional::Absent(NoTls::Plaintext), Scheme::Http, None);
                let service = make(&connection);
                self.http1(Framed::new(stream, connection), service).await;
            }
            Transport::Tls(tls) => {
                let handshake = tokio::time::timeout(
                    self.limits.handshake_timeout,
                    tls.acceptor().accept(Recorded::new(stream)),
                );
                let Ok(Ok(mut stream)) = handshake.await else {
                    tracing::debug!("a TLS handshake failed or took too long");
                    return;
                };
                let ja4 = stream.get_mut().0.fingerprint();
                let session = stream.get_ref().1;
                let Ok(peer) = tls::peer_of(session) else {
                    tracing::debug!("a client's certificate could not be read");
                    return;
                };
                let connection = described(peer, Scheme::Https, ja4);
                let service = make(&connection);
                if session.alpn_protocol() == Some(b"h2") {
                    drop(connection);
                    self.http2(stream, service).await;
                } else {
                    self.http1(Framed::new(stream, connection), service).await;
                }
            }
        }
    }

    async fn http1<I, S, B>(&self, stream: I, service: S)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        B: Body + 'static,
        B::Error: Into<BoxError>,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(limits::HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        self.until_drained(
            connection.as_mut(),
            http1::UpgradeableConnection::graceful_shutdown,
        )
        .await;
    }

    async fn http2<I, S, B>(&self, stream: I, service: S)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let patience = self.limits.write_timeout;
        let service = service_fn(move |request| {
            let answered = service.call(request);
            async move {
                let response = answered.await?;
                Ok::<_, Infallible>(response.map(|body| TakenBody::new(body, patience)))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::STREAMS_MAX)
            .max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(limits::SEND_BUFFER_BYTES_MAX)
            .max_pending_accept_reset_streams(limits::PENDING_RESETS_MAX)
            .max_local_error_reset_streams(limits::LOCAL_RESETS_MAX)
            .keep_alive_interval(limits::PING_INTERVAL)
            .keep_alive_timeout(limits::PING_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        self.until_drained(connection.as_mut(), http2::Connection::graceful_shutdown)
            .await;
    }

    /// Runs a connection to its end; when the drain begins, lets it finish what it has begun; when the drain closes, drops it.
    async fn until_drained<C>(
        &self,
        mut connection: Pin<&mut C>,
        graceful_shutdown: impl FnOnce(Pin<&mut C>),
    ) where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut drain = self.drain.clone();
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = drain.begun() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                graceful_shutdown(connection.as_mut());
                tokio::select! {
                    ended = connection => ended,
                    () = drain.closing() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            // Ordinary on the internet: peers that break off, time out or speak badly.
            tracing::debug!(
                timeout = error.is_timeout(),
                parse = error.is_parse(),
                "a connection ended with an error"
            );
        }
    }
}
