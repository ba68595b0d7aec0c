//! Listeners, TLS, limits, drain and the client over real sockets on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test by panicking"
)]

use bytes::Bytes;
use countersign_base::{Conditional, NoTls};
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, ClientError, ClientOptions, Connection, DataRuntime, Drain, DrainTrigger,
    Drained, EgressPolicy, HttpClient, Limits, Listener, Listeners, Peer, ServerTls, TlsClient,
    TlsIdentity, Transport, TrustRoots, from_tower, serve,
};
use countersign_testkit::{TestAuthority, system_clock};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn authority() -> TestAuthority {
    TestAuthority::new(system_clock().now())
}

fn roots(authority: &TestAuthority) -> TrustRoots {
    TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap()
}

fn server_tls(authority: &TestAuthority, clients: ClientCertificates) -> ServerTls {
    ServerTls::new(
        &TlsIdentity::from_issued(&authority.server()).unwrap(),
        clients,
    )
    .unwrap()
}

fn client(tls: TlsClient, options: ClientOptions) -> HttpClient {
    HttpClient::new(
        tls,
        EgressPolicy::public_only()
            .allowing("localhost")
            .allowing("127.0.0.1"),
        options,
    )
}

fn anonymous_client(authority: &TestAuthority) -> HttpClient {
    client(
        TlsClient::new(&roots(authority), None, Alpn::Http1).unwrap(),
        ClientOptions::default(),
    )
}

/// Answers with the path, the peer's first URI and the length of the body.
async fn echo(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = match &connection.peer {
        Conditional::Absent(NoTls::NoCertificate) => "none".to_owned(),
        Conditional::Absent(NoTls::Plaintext) => "plaintext".to_owned(),
        Conditional::Present(certificate) => certificate.uri_sans().join(","),
    };
    let path = request.uri().path().to_owned();
    let length = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes().len());
    Ok(Response::new(Full::new(Bytes::from(format!(
        "{path} {peer} {length:?}"
    )))))
}

fn start(transport: Transport, limits: Limits) -> (SocketAddr, DrainTrigger) {
    start_with(transport, limits, echo)
}

fn start_with<F, A>(transport: Transport, limits: Limits, answer: F) -> (SocketAddr, DrainTrigger)
where
    F: Fn(Arc<Connection>, Request<Incoming>) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let listener = Listener::bind(LOOPBACK).unwrap();
    let address = listener.address();
    let (trigger, drain) = Drain::new();
    let make = move |connection: &Arc<Connection>| {
        let connection = Arc::clone(connection);
        service_fn(move |request| answer(Arc::clone(&connection), request))
    };
    tokio::spawn(serve(listener, transport, limits, make, drain));
    (address, trigger)
}

fn url(scheme: &str, address: SocketAddr, path: &str) -> Url {
    Url::parse(&format!("{scheme}://localhost:{}{path}", address.port())).unwrap()
}

#[tokio::test]
async fn plain_http_is_served_and_says_so() {
    let authority = authority();
    let (address, trigger) = start(Transport::Plaintext, Limits::default());
    let answer = anonymous_client(&authority)
        .get(&url("http", address, "/a"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (StatusCode::OK, b"/a plaintext Ok(0)".as_ref())
    );
    assert_eq!(trigger.drain(Duration::from_secs(5)).await, Drained::Clean);
}

#[tokio::test]
async fn client_certificates_are_optional_or_required_and_always_checked() {
    let (ours, theirs) = (authority(), authority());
    let identity = |authority: &TestAuthority| {
        TlsIdentity::from_issued(&authority.client("spiffe://example/a")).unwrap()
    };
    let trusting = |identity: Option<&TlsIdentity>| {
        client(
            TlsClient::new(&roots(&ours), identity, Alpn::Http1).unwrap(),
            ClientOptions::default(),
        )
    };
    let (good, forged, none) = (
        trusting(Some(&identity(&ours))),
        trusting(Some(&identity(&theirs))),
        trusting(None),
    );

    let optional = server_tls(&ours, ClientCertificates::Optional(roots(&ours)));
    let (address, _optional) = start(Transport::Tls(optional), Limits::default());
    let target = url("https", address, "/");
    assert_eq!(
        good.get(&target).await.unwrap().body.as_ref(),
        b"/ spiffe://example/a Ok(0)"
    );
    assert_eq!(
        none.get(&target).await.unwrap().body.as_ref(),
        b"/ none Ok(0)"
    );
    assert!(forged.get(&target).await.is_err());

    let required = server_tls(&ours, ClientCertificates::Required(roots(&ours)));
    let (address, _required) = start(Transport::Tls(required), Limits::default());
    let target = url("https", address, "/");
    assert_eq!(
        good.get(&target).await.unwrap().body.as_ref(),
        b"/ spiffe://example/a Ok(0)"
    );
    assert!(none.get(&target).await.is_err());
    assert!(forged.get(&target).await.is_err());

    let unasked = server_tls(&ours, ClientCertificates::None);
    let (address, _unasked) = start(Transport::Tls(unasked), Limits::default());
    assert_eq!(
        good.get(&url("https", address, "/"))
            .await
            .unwrap()
            .body
            .as_ref(),
        b"/ none Ok(0)"
    );
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (ours, theirs) = (authority(), authority());
    let (address, _trigger) = start(
        Transport::Tls(server_tls(&theirs, ClientCertificates::None)),
        Limits::default(),
    );
    assert!(matches!(
        anonymous_client(&ours)
            .get(&url("https", address, "/"))
            .await,
        Err(ClientError::Connect(_))
    ));
    assert!(
        anonymous_client(&theirs)
            .get(&url("https", address, "/"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_certificate_is_swapped_while_it_runs() {
    let (before, after) = (authority(), authority());
    let tls = server_tls(&before, ClientCertificates::None);
    let (address, _trigger) = start(Transport::Tls(tls.clone()), Limits::default());
    let target = url("https", address, "/");
    assert!(anonymous_client(&before).get(&target).await.is_ok());
    tls.replace(&TlsIdentity::from_issued(&after.server()).unwrap());
    assert!(anonymous_client(&before).get(&target).await.is_err());
    assert!(anonymous_client(&after).get(&target).await.is_ok());
}

#[tokio::test]
async fn http2_is_agreed_on_and_the_hybrid_key_exchange_preferred() {
    let authority = authority();
    let (address, trigger) = start(
        Transport::Tls(server_tls(&authority, ClientCertificates::None)),
        Limits::default(),
    );
    let tls = TlsClient::new(&roots(&authority), None, Alpn::Http2OrHttp1).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = tls
        .connector()
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_ref()));
    let group = stream
        .get_ref()
        .1
        .negotiated_key_exchange_group()
        .unwrap()
        .name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::builder().uri(format!("https://localhost:{}/two", address.port()));
    let response = sender
        .send_request(request.body(Full::new(Bytes::from_static(b"abc"))).unwrap())
        .await
        .unwrap();
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .as_ref(),
        b"/two none Ok(3)"
    );
    // The connection is idle but open: the drain tells it to go away.
    assert_eq!(trigger.drain(Duration::from_secs(5)).await, Drained::Clean);
    driver.await.unwrap().unwrap();
}

/// One megabyte, and somebody who learns when it is let go.
struct Large {
    left: usize,
    let_go: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Drop for Large {
    fn drop(&mut self) {
        // Nobody may be left who wants to know.
        let _ = self.let_go.send(());
    }
}

impl http_body::Body for Large {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        const PIECE: &[u8] = &[b'a'; 16 * 1024];
        std::task::Poll::Ready((self.left > 0).then(|| {
            self.left -= 1;
            Ok(http_body::Frame::data(Bytes::from_static(PIECE)))
        }))
    }
}

/// A caller who keeps the window of one stream shut and its connection open keeps nothing else.
#[tokio::test]
async fn an_answer_that_nobody_takes_over_http2_is_let_go_and_its_connection_goes_on() {
    let authority = authority();
    let limits = Limits {
        write_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let listener = Listener::bind(LOOPBACK).unwrap();
    let address = listener.address();
    let (_trigger, drain) = Drain::new();
    let (sender, mut let_go) = tokio::sync::mpsc::unbounded_channel();
    let make = move |_: &Arc<Connection>| {
        let sender = sender.clone();
        service_fn(move |_: Request<Incoming>| {
            let body = Large {
                left: 64,
                let_go: sender.clone(),
            };
            async move { Ok::<_, Infallible>(Response::new(body)) }
        })
    };
    let tls = server_tls(&authority, ClientCertificates::None);
    tokio::spawn(serve(listener, Transport::Tls(tls), limits, make, drain));
    let tls = TlsClient::new(&roots(&authority), None, Alpn::Http2OrHttp1).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let connecting = tls
        .connector()
        .connect("localhost".try_into().unwrap(), stream);
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 * 1024)
        .handshake(TokioIo::new(connecting.await.unwrap()))
        .await
        .unwrap();
    tokio::spawn(connection);
    let ask = |path: &str| {
        let uri = format!("https://localhost:{}{path}", address.port());
        Request::builder()
            .uri(uri)
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let untaken = client.send_request(ask("/untaken")).await.unwrap();
    let_go.recv().await.unwrap();
    // Another stream of the same connection, of which everything is taken.
    let taken = client.send_request(ask("/taken")).await.unwrap();
    let bytes = taken.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes.len(), 1024 * 1024);
    // What was sent before is there, and then the stream is reset.
    let error = untaken.into_body().collect().await.unwrap_err();
    assert!(!error.is_timeout(), "{error}");
}

/// What a server says to raw bytes on a plain connection, until it closes.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset after an answer is as good as a close.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_heads_and_silent_handshakes_are_cut_off() {
    let limits = Limits {
        header_timeout: Duration::from_millis(50),
        handshake_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let (plain, _plain) = start(Transport::Plaintext, limits.clone());
    assert!(
        !raw(plain, b"GET / HTTP/1.1\r\nHost: a\r\n")
            .await
            .contains("200")
    );
    let (tls, _tls) = start(
        Transport::Tls(server_tls(&authority(), ClientCertificates::None)),
        limits,
    );
    assert_eq!(raw(tls, b"").await, "");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let (address, _trigger) = start(Transport::Plaintext, Limits::default());
    let head = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Filler: {}\r\n\r\n",
            "a".repeat(bytes)
        )
    };
    assert!(
        raw(address, head(1_000).as_bytes())
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        raw(address, head(64 * 1024).as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X-A: 1\r\n".repeat(101)
    );
    assert!(
        raw(address, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
}

/// Refuses everything by its head.
async fn refuse(
    _connection: Arc<Connection>,
    _request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut refusal = Response::new(Full::default());
    *refusal.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(refusal)
}

/// What a server says to somebody who first writes everything and then reads, as most clients without an event loop do.
fn after_writing_all(address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    for piece in request.chunks(64 * 1024) {
        std::io::Write::write_all(&mut stream, piece)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    Ok(answer)
}

/// RFC 9112 §9.6: an answer that is given early must not be lost to a reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_while_it_still_sends_gets_its_answer() {
    let (refusing, _refusing) = start_with(Transport::Plaintext, Limits::default(), refuse);
    let (reading, _reading) = start(Transport::Plaintext, Limits::default());
    let rest = "a".repeat(6 * 1024 * 1024);
    let length = rest.len();
    let body = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{rest}");
    let large_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Filler: {rest}");
    let broken_head = format!("GET / HTTP/1.1\nHost: a\r\n\r\n{rest}");
    for (address, request, status) in [
        (refusing, body, "HTTP/1.1 413"),
        (reading, large_head, "HTTP/1.1 431"),
        (reading, broken_head, "HTTP/1.1 400"),
    ] {
        for _ in 0..5 {
            let request = request.clone();
            let answer =
                tokio::task::spawn_blocking(move || after_writing_all(address, request.as_bytes()));
            let answer = answer.await.unwrap();
            let answer = answer.unwrap_or_else(|error| panic!("{status}: {error}"));
            assert!(answer.starts_with(status), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_while_it_still_sends_over_tls_gets_its_answer() {
    let authority = authority();
    let tls = Transport::Tls(server_tls(&authority, ClientCertificates::None));
    let (address, _trigger) = start_with(tls, Limits::default(), refuse);
    let body = Bytes::from(vec![0; 4 * 1024 * 1024]);
    for _ in 0..20 {
        let answer = anonymous_client(&authority)
            .send(
                Method::POST,
                &url("https", address, "/"),
                HeaderMap::new(),
                body.clone(),
            )
            .await;
        assert_eq!(answer.unwrap().status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[derive(Clone)]
struct Lengths;

impl tower_service::Service<Request<countersign_net::InboundBody>> for Lengths {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<countersign_net::InboundBody>) -> Self::Future {
        Box::pin(async move {
            let told = request.extensions().get::<Peer>().is_some()
                && request.extensions().get::<SocketAddr>().is_some();
            let length = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes().len());
            let text = format!("{told} {:?}", length.map_err(|error| error.to_string()));
            Ok(Response::new(Full::new(Bytes::from(text))))
        })
    }
}

#[tokio::test]
async fn a_tower_service_gets_peer_address_and_a_limited_body() {
    let limits = Limits {
        body_bytes_max: 10,
        body_idle_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let listener = Listener::bind(LOOPBACK).unwrap();
    let address = listener.address();
    let (_trigger, drain) = Drain::new();
    tokio::spawn(serve(
        listener,
        Transport::Plaintext,
        limits.clone(),
        from_tower(Lengths, &limits),
        drain,
    ));
    let client = anonymous_client(&authority());
    let send = |length: usize| {
        let (client, target) = (&client, url("http", address, "/"));
        async move {
            client
                .send(
                    Method::POST,
                    &target,
                    HeaderMap::new(),
                    Bytes::from(vec![0; length]),
                )
                .await
                .unwrap()
                .body
        }
    };
    assert_eq!(send(10).await.as_ref(), b"true Ok(10)");
    assert_eq!(
        send(11).await.as_ref(),
        b"true Err(\"the body is larger than allowed\")"
    );
    let stalled = raw(
        address,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
    )
    .await;
    assert!(
        stalled.ends_with("true Err(\"the body stopped arriving\")"),
        "{stalled}"
    );
}

#[tokio::test]
async fn the_client_keeps_to_its_limits() {
    let authority = authority();
    let (address, _trigger) = start(Transport::Plaintext, Limits::default());
    let tls = TlsClient::new(&roots(&authority), None, Alpn::Http1).unwrap();
    let small = client(
        tls.clone(),
        ClientOptions {
            body_bytes_max: 8,
            ..ClientOptions::default()
        },
    );
    assert!(matches!(
        small.get(&url("http", address, "/long-path")).await,
        Err(ClientError::BodyTooLarge)
    ));
    let guarded = HttpClient::new(
        tls.clone(),
        EgressPolicy::public_only(),
        ClientOptions::default(),
    );
    assert!(matches!(
        guarded.get(&url("http", address, "/")).await,
        Err(ClientError::Egress(_))
    ));
    let silent = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let hasty = client(
        tls,
        ClientOptions {
            timeout: Duration::from_millis(50),
            ..ClientOptions::default()
        },
    );
    assert!(matches!(
        hasty
            .get(&url("http", silent.local_addr().unwrap(), "/"))
            .await,
        Err(ClientError::Timeout)
    ));
    assert!(matches!(
        hasty.get(&Url::parse("ftp://localhost/").unwrap()).await,
        Err(ClientError::Url)
    ));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let authority = authority();
    let client = anonymous_client(&authority);
    let (address, trigger) = start(Transport::Plaintext, Limits::default());
    assert!(client.get(&url("http", address, "/1")).await.is_ok());
    assert!(client.get(&url("http", address, "/2")).await.is_ok());
    assert_eq!(trigger.drain(Duration::from_secs(5)).await, Drained::Clean);
    assert!(matches!(
        client.get(&url("http", address, "/3")).await,
        Err(ClientError::Connect(_))
    ));
}

#[tokio::test]
async fn every_core_serves_its_own_socket_until_the_drain() {
    let listeners = Listeners::bind(LOOPBACK, NonZeroUsize::new(3).unwrap()).unwrap();
    let address = listeners.address();
    let (trigger, drain) = Drain::new();
    let work: Vec<_> = listeners
        .into_sockets()
        .into_iter()
        .map(|listener| (listener, drain.clone()))
        .collect();
    drop(drain);
    let runtime = DataRuntime::start("data", work, |core, (listener, drain)| {
        let make = move |_: &Arc<Connection>| {
            service_fn(move |_request: Request<Incoming>| async move {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                assert_eq!(name, format!("data-{}", core.0));
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(name))))
            })
        };
        async move {
            serve(
                listener,
                Transport::Plaintext,
                Limits::default(),
                make,
                drain,
            )
            .await
            .unwrap()
        }
    })
    .unwrap();
    let authority = authority();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let answer = anonymous_client(&authority)
            .get(&url("http", address, "/"))
            .await
            .unwrap();
        seen.insert(answer.body);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(trigger.drain(Duration::from_secs(5)).await, Drained::Clean);
    runtime.ended().await;
}
