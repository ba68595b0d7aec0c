//! gRPC through the gateway: `tonic` on both sides, which knows nothing of what stands between.

use crate::world::{World, roots};
use bytes::Bytes;
use countersign_gateway::limiter::{Algorithm, Dimension, LimitSpec, Sharing, Strangers};
use countersign_gateway::routes::RouteSpec;
use countersign_gateway::upstream::UpstreamTransport;
use countersign_gateway::{Endpoint, UpstreamSpec};
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::Service;

/// The one message.
#[derive(Clone, PartialEq, prost::Message)]
struct Said {
    #[prost(string, tag = "1")]
    text: String,
}

fn said(text: &str) -> Said {
    Said {
        text: text.to_owned(),
    }
}

type Many = Pin<Box<dyn Stream<Item = Result<Said, Status>> + Send>>;
type Codec = ProstCodec<Said, Said>;

/// A server with a method of each kind.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<MetadataMap>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen): (Arc<AtomicUsize>, Arc<Mutex<Vec<MetadataMap>>>) =
            Default::default();
        let (counted, remembered) = (Arc::clone(&connections), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let seen = Arc::clone(&remembered);
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { _ = connection.await });
            }
        });
        Self {
            address,
            connections,
            seen,
        }
    }

    fn spec(&self) -> UpstreamSpec {
        let endpoint = Endpoint {
            authority: self.address.to_string().parse().unwrap(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            transport: UpstreamTransport::PlaintextHttp2,
        };
        UpstreamSpec::of("calls".parse().unwrap(), vec![endpoint])
    }

    fn metadata(&self) -> MetadataMap {
        self.seen.lock().unwrap().pop().unwrap()
    }
}

async fn answer(
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    request: Request<Incoming>,
) -> Result<Response<tonic::body::Body>, Infallible> {
    seen.lock()
        .unwrap()
        .push(MetadataMap::from_headers(request.headers().clone()));
    let mut grpc = tonic::server::Grpc::new(Codec::default());
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/r/unary" => grpc.unary(tower::service_fn(unary), request).await,
        "/r/server" => {
            grpc.server_streaming(tower::service_fn(server), request)
                .await
        }
        "/r/client" => {
            grpc.client_streaming(tower::service_fn(client), request)
                .await
        }
        "/r/both" => grpc.streaming(tower::service_fn(both), request).await,
        "/r/endless" => {
            grpc.server_streaming(tower::service_fn(endless), request)
                .await
        }
        _ => grpc.unary(tower::service_fn(never), request).await,
    })
}

async fn unary(request: tonic::Request<Said>) -> Result<tonic::Response<Said>, Status> {
    let text = request.into_inner().text;
    Ok(tonic::Response::new(said(&format!("{text} back"))))
}

/// How a call ends that fails in the midst of it.
fn failed() -> Status {
    let mut status = Status::with_details(Code::DataLoss, "lost ü", Bytes::from_static(b"d"));
    let metadata = status.metadata_mut();
    metadata.insert("x-reason", "gone".parse().unwrap());
    // What no upstream may say in trailers.
    metadata.insert("countersign-subject", "root".parse().unwrap());
    metadata.insert("set-cookie", "__Host-a=b".parse().unwrap());
    metadata.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    status
}

async fn server(request: tonic::Request<Said>) -> Result<tonic::Response<Many>, Status> {
    let text = request.into_inner().text;
    let end = match text.as_str() {
        "fail" => failed(),
        _ => Status::aborted("enough"),
    };
    let many = stream::iter(0..5).map(move |number| Ok(said(&format!("{text} {number}"))));
    let many = many.chain(stream::iter([Err(end)]));
    Ok(tonic::Response::new(Box::pin(many)))
}

async fn client(
    request: tonic::Request<tonic::Streaming<Said>>,
) -> Result<tonic::Response<Said>, Status> {
    let mut texts = Vec::new();
    let mut many = request.into_inner();
    while let Some(one) = many.message().await? {
        texts.push(one.text);
    }
    Ok(tonic::Response::new(said(&texts.join(","))))
}

async fn both(
    request: tonic::Request<tonic::Streaming<Said>>,
) -> Result<tonic::Response<Many>, Status> {
    let many = request.into_inner();
    let back = many.map(|one| one.map(|one| said(&format!("{} back", one.text))));
    Ok(tonic::Response::new(Box::pin(back)))
}

async fn endless(_: tonic::Request<Said>) -> Result<tonic::Response<Many>, Status> {
    let first = stream::iter([Ok(said("first"))]);
    Ok(tonic::Response::new(Box::pin(
        first.chain(stream::pending()),
    )))
}

async fn never(_: tonic::Request<Said>) -> Result<tonic::Response<Said>, Status> {
    std::future::pending().await
}

/// A connection to the gateway as `tonic` wants one.
#[derive(Clone)]
struct Wire {
    sender: SendRequest<tonic::body::Body>,
    origin: String,
}

impl Wire {
    async fn open(world: &World) -> Self {
        let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http2OrHttp1).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", world.port()))
            .await
            .unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = tls.connector().connect(name, stream).await.unwrap();
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self {
            sender,
            origin: world.url(""),
        }
    }

    fn client(&self) -> tonic::client::Grpc<Self> {
        tonic::client::Grpc::new(self.clone())
    }
}

impl Service<Request<tonic::body::Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        *request.uri_mut() = format!("{}{path}", self.origin).parse::<Uri>().unwrap();
        Box::pin(self.sender.send_request(request))
    }
}

fn path(path: &'static str) -> http::uri::PathAndQuery {
    http::uri::PathAndQuery::from_static(path)
}

fn with<T>(bearer: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer.parse().unwrap());
    metadata.insert("countersign-subject", "root".parse().unwrap());
    metadata.insert("x-mine", "kept".parse().unwrap());
    request
}

async fn unary_of(
    wire: &Wire,
    bearer: &str,
    to: &'static str,
    text: &str,
) -> Result<tonic::Response<Said>, Status> {
    let mut client = wire.client();
    client.ready().await.unwrap();
    client
        .unary(with(bearer, said(text)), path(to), Codec::default())
        .await
}

async fn world() -> (World, Server) {
    let (world, server) = (World::start(), Server::start().await);
    reach(&world, &server, |_| {});
    (world, server)
}

fn reach(world: &World, server: &Server, change: impl FnOnce(&mut RouteSpec)) {
    world.reach(server.spec(), |route| {
        route.body_bytes_max = 1_000_000;
        change(route);
    });
}

#[tokio::test]
async fn calls_of_every_kind_pass() {
    let (world, server) = world().await;
    let (wire, bearer) = (Wire::open(&world).await, world.bearer(|_| {}));
    let one = unary_of(&wire, &bearer, "/r/unary", "hello").await.unwrap();
    assert_eq!(one.into_inner(), said("hello back"));
    let metadata = server.metadata();
    assert_eq!(metadata.get("te").unwrap(), "trailers");
    assert_eq!(metadata.get("x-mine").unwrap(), "kept");
    assert!(metadata.get("authorization").is_none());
    assert_ne!(metadata.get("countersign-subject").unwrap(), "root");

    let mut client = wire.client();
    client.ready().await.unwrap();
    let many = client.server_streaming(
        with(&bearer, said("n")),
        path("/r/server"),
        Codec::default(),
    );
    let mut many = many.await.unwrap().into_inner();
    for number in 0..5 {
        let one = many.message().await.unwrap().unwrap();
        assert_eq!(one, said(&format!("n {number}")));
    }
    let end = many.message().await.unwrap_err();
    assert_eq!((end.code(), end.message()), (Code::Aborted, "enough"));

    client.ready().await.unwrap();
    let sent = stream::iter((0..1_000).map(|number| said(&number.to_string())));
    let one = client.client_streaming(with(&bearer, sent), path("/r/client"), Codec::default());
    let text = one.await.unwrap().into_inner().text;
    assert!(text.starts_with("0,1,2,") && text.ends_with(",999"));

    // Each message is answered before the next is sent: nothing waits for the end of the request.
    client.ready().await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Said>(1);
    let sent = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|one| (one, receiver))
    });
    let back = client.streaming(with(&bearer, sent), path("/r/both"), Codec::default());
    let mut back = back.await.unwrap().into_inner();
    for number in 0..3 {
        sender.send(said(&number.to_string())).await.unwrap();
        let one = back.message().await.unwrap().unwrap();
        assert_eq!(one, said(&format!("{number} back")));
    }
    drop(sender);
    assert!(back.message().await.unwrap().is_none());
    world.logged("\"outcome\"").await;
}

#[tokio::test]
async fn hdr_8_a_status_passes_with_its_trailers_and_nothing_that_only_a_gateway_says() {
    let (world, _server) = world().await;
    let (wire, bearer) = (Wire::open(&world).await, world.bearer(|_| {}));
    let mut client = wire.client();
    client.ready().await.unwrap();
    let asked = with(&bearer, said("fail"));
    let call = client.server_streaming(asked, path("/r/server"), Codec::default());
    let mut many = call.await.unwrap().into_inner();
    for _ in 0..5 {
        many.message().await.unwrap().unwrap();
    }
    let status = many.message().await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::DataLoss, "lost ü")
    );
    assert_eq!(status.details(), b"d");
    let metadata = status.metadata();
    assert_eq!(metadata.get("x-reason").unwrap(), "gone");
    for name in ["countersign-subject", "x-forwarded-for", "set-cookie"] {
        assert!(metadata.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn refusals_are_told_as_grpc_reads_them() {
    let (world, server) = world().await;
    let (wire, bearer) = (Wire::open(&world).await, world.bearer(|_| {}));
    let under = world.bearer(|claims| claims["scope"] = "other".into());
    for (credential, to, code) in [
        ("Bearer broken", "/r/unary", Code::Unauthenticated),
        (under.as_str(), "/r/unary", Code::PermissionDenied),
        (bearer.as_str(), "/nowhere", Code::Unimplemented),
    ] {
        let status = unary_of(&wire, credential, to, "hello").await.unwrap_err();
        assert_eq!(status.code(), code, "{to} {status:?}");
        assert!(status.message().contains("request "), "{status:?}");
    }
    assert!(server.seen.lock().unwrap().is_empty());
    reach(&world, &server, |route| {
        route.limits = vec![LimitSpec {
            name: "once".to_owned(),
            algorithm: Algorithm::FixedWindow,
            requests: 1,
            per: Duration::from_secs(3_600),
            by: [Dimension::Client].into(),
            strangers: Strangers::Together,
            sharing: Sharing::Process,
        }];
    });
    unary_of(&wire, &bearer, "/r/unary", "hello").await.unwrap();
    let status = unary_of(&wire, &bearer, "/r/unary", "hello")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert!(pushback.to_str().unwrap().parse::<u64>().unwrap() >= 1_000);
    // Nobody listens there.
    world.reach(
        crate::backend::upstream(&[crate::backend::nobody()]),
        |_| {},
    );
    let status = unary_of(&wire, &bearer, "/r/unary", "hello")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_deadline_ends_a_call_before_and_after_its_head() {
    let (world, _server) = world().await;
    let (wire, bearer) = (Wire::open(&world).await, world.bearer(|_| {}));
    let mut client = wire.client();
    for to in ["/r/never", "/r/endless"] {
        client.ready().await.unwrap();
        let mut request = with(&bearer, said("wait"));
        request
            .metadata_mut()
            .insert("grpc-timeout", "300m".parse().unwrap());
        let answer = client
            .server_streaming(request, path(to), Codec::default())
            .await;
        let status = match answer {
            Err(status) => status,
            Ok(answer) => {
                let mut many = answer.into_inner();
                assert_eq!(many.message().await.unwrap(), Some(said("first")));
                many.message().await.unwrap_err()
            }
        };
        assert_eq!(status.code(), Code::DeadlineExceeded, "{to} {status:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_permitted_any_more_ends_with_a_status() {
    let (world, server) = world().await;
    let grant = "0000000000000007";
    let revoke = |world: &World| {
        let mut grants = world.planes.revoked.grants.lock().unwrap();
        grants.insert(grant.parse().unwrap());
    };
    let forbid = |world: &World| {
        world.decide_by(
            "@id(\"closed\") forbid (principal, action, resource == Route::\"reached\");",
        );
    };
    type Withdraw<'a> = &'a dyn Fn(&World);
    let withdrawals: [(Withdraw<'_>, Code, &str); 2] = [
        (&forbid, Code::PermissionDenied, "\"forbidden\""),
        (&revoke, Code::Unauthenticated, "\"revoked\""),
    ];
    for (withdraw, code, logged) in withdrawals {
        world.decide_by("");
        reach(&world, &server, |_| {});
        let wire = Wire::open(&world).await;
        let bearer = world.bearer(|claims| claims["grant_id"] = grant.into());
        let mut client = wire.client();
        client.ready().await.unwrap();
        let asked = with(&bearer, said("n"));
        let call = client.server_streaming(asked, path("/r/endless"), Codec::default());
        let mut many = call.await.unwrap().into_inner();
        assert_eq!(many.message().await.unwrap(), Some(said("first")));
        withdraw(&world);
        let status = many.message().await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        world.logged(logged).await;
        if code == Code::PermissionDenied {
            // Its connection goes on.
            world.decide_by("");
            unary_of(&wire, &bearer, "/r/unary", "hello").await.unwrap();
        }
    }
}

#[tokio::test]
async fn many_calls_share_a_few_connections() {
    let (world, server) = world().await;
    let (wire, bearer) = (Wire::open(&world).await, world.bearer(|_| {}));
    let calls = (0..100).map(|_| {
        let mut client = wire.client();
        let bearer = bearer.clone();
        async move {
            client.ready().await.unwrap();
            let call = client.server_streaming(
                with(&bearer, said("n")),
                path("/r/endless"),
                Codec::default(),
            );
            let mut many = call.await.unwrap().into_inner();
            assert_eq!(many.message().await.unwrap(), Some(said("first")));
            many
        }
    });
    // One after the other, so that each finds the streams of those before it.
    let mut open = Vec::new();
    for call in calls {
        open.push(call.await);
    }
    let connections = server.connections.load(Ordering::SeqCst);
    assert!((2..=4).contains(&connections), "{connections}");
    drop(open);
    for _ in 0..50 {
        unary_of(&wire, &bearer, "/r/unary", "hello").await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), connections);
}
