//! Bodies that are sent piece by piece: each piece goes on as it comes, in both directions.

use crate::backend::{Act, Backend, upstream};
use crate::issuers;
use crate::routes::spec;
use crate::world::{World, roots};
use bytes::Bytes;
use countersign_gateway::routes::RouteSpec;
use countersign_gateway::upstream::UpstreamTransport;
use countersign_gateway::{Endpoint, UpstreamSpec};
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

type Pieces = mpsc::Receiver<&'static str>;

/// An upstream whose answer a test sends piece by piece, and which tells of each piece of the request.
struct Piecewise {
    address: SocketAddr,
    answer: mpsc::Sender<&'static str>,
    request: mpsc::Receiver<Option<Bytes>>,
}

impl Piecewise {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, pieces) = mpsc::channel(8);
        let (tell, request) = mpsc::channel(8);
        let pieces = Arc::new(Mutex::new(Some(pieces)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pieces, tell) = (Arc::clone(&pieces), tell.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (pieces, tell) = (pieces.lock().unwrap().take(), tell.clone());
                    async move { Ok::<_, Infallible>(answered(request, pieces.unwrap(), tell)) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { _ = connection.await });
            }
        });
        Self {
            address,
            answer,
            request,
        }
    }

    fn spec(&self) -> UpstreamSpec {
        let endpoint = Endpoint {
            authority: self.address.to_string().parse().unwrap(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            transport: UpstreamTransport::Plaintext,
        };
        UpstreamSpec::of("piecewise".parse().unwrap(), vec![endpoint])
    }
}

fn answered(
    request: Request<Incoming>,
    pieces: Pieces,
    tell: mpsc::Sender<Option<Bytes>>,
) -> Response<impl http_body::Body<Data = Bytes, Error = Infallible>> {
    let mut body = request.into_body();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                tell.send(Some(data)).await.unwrap();
            }
        }
        tell.send(None).await.unwrap();
    });
    let frames = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((
            Ok(Frame::data(Bytes::from_static(piece.as_bytes()))),
            pieces,
        ))
    });
    let mut response = Response::new(StreamBody::new(frames));
    let kind = "text/event-stream".parse().unwrap();
    response.headers_mut().insert("content-type", kind);
    response
}

/// A caller whose request body a test sends piece by piece.
async fn post(
    world: &World,
    alpn: Alpn,
    bearer: &str,
) -> (
    mpsc::Sender<&'static str>,
    tokio::task::JoinHandle<Response<Incoming>>,
) {
    let tls = TlsClient::new(&roots(&world.authority), None, alpn).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = TokioIo::new(tls.connector().connect(name, stream).await.unwrap());
    let (sender, pieces) = mpsc::channel::<&'static str>(1);
    let frames = stream::unfold(pieces, async |mut pieces: Pieces| {
        let piece = pieces.recv().await?;
        Some((
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))),
            pieces,
        ))
    });
    let body = StreamBody::new(frames.boxed());
    let request = Request::post(world.url("/r/events"))
        .header("host", format!("localhost:{}", world.port()))
        .header("authorization", bearer);
    let request = request.body(body).unwrap();
    let answer = match alpn {
        Alpn::Http2 | Alpn::Http2OrHttp1 => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
            let (mut http, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move { http.send_request(request).await.unwrap() })
        }
        Alpn::Http1 => {
            let (mut http, connection) =
                hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move { http.send_request(request).await.unwrap() })
        }
    };
    (sender, answer)
}

async fn next(body: &mut Incoming) -> Option<Bytes> {
    loop {
        match body.frame().await?.map(Frame::into_data) {
            // The end of a stream of HTTP/2 may be a frame without data.
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(data)) => return Some(data),
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}

#[tokio::test]
async fn a_piece_goes_on_before_the_next_one_exists() {
    for alpn in [Alpn::Http1, Alpn::Http2] {
        let (world, mut upstream) = (World::start(), Piecewise::start().await);
        world.reach(upstream.spec(), |_| {});
        let (sender, answer) = post(&world, alpn, &world.bearer(|_| {})).await;
        sender.send("one").await.unwrap();
        assert_eq!(upstream.request.recv().await.unwrap().unwrap(), "one");
        sender.send("two").await.unwrap();
        assert_eq!(upstream.request.recv().await.unwrap().unwrap(), "two");
        // The answer begins before the request has ended.
        let mut body = answer.await.unwrap().into_body();
        upstream.answer.send("data: 1\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "data: 1\n\n");
        drop(sender);
        assert_eq!(upstream.request.recv().await.unwrap(), None);
        upstream.answer.send("data: 2\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "data: 2\n\n");
        upstream.answer = mpsc::channel(1).0;
        assert_eq!(next(&mut body).await, None, "its end is its end");
    }
}

#[tokio::test]
async fn a_route_says_how_long_nothing_may_move() {
    let (world, upstream) = (World::start(), Piecewise::start().await);
    world.reach(upstream.spec(), |route| {
        route.idle = Some(Duration::from_millis(200));
    });
    let (sender, answer) = post(&world, Alpn::Http2, &world.bearer(|_| {})).await;
    drop(sender);
    let mut body = answer.await.unwrap().into_body();
    upstream.answer.send("data: 1\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "data: 1\n\n");
    assert!(
        matches!(body.frame().await, Some(Err(_))),
        "the upstream went silent"
    );
}

/// A caller to whom the first piece of an answer has come.
async fn first_piece(world: &World, upstream: &Piecewise, alpn: Alpn, bearer: &str) -> Incoming {
    first_piece_of(world, upstream, alpn, bearer, |_| {}).await
}

/// The same on a route that differs.
async fn first_piece_of(
    world: &World,
    upstream: &Piecewise,
    alpn: Alpn,
    bearer: &str,
    change: impl Fn(&mut RouteSpec),
) -> Incoming {
    world.reach(upstream.spec(), change);
    let (sender, answer) = post(world, alpn, bearer).await;
    drop(sender);
    let mut body = answer.await.unwrap().into_body();
    upstream.answer.send("data: 1\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "data: 1\n\n");
    body
}

/// How a stream that goes on ends after `withdraw`: without the end that says that it is whole, for caller and upstream, and in the log.
async fn withdrawn(
    change: impl Fn(&mut serde_json::Value),
    withdraw: impl Fn(&World),
    logged: &str,
) {
    for alpn in [Alpn::Http1, Alpn::Http2] {
        let (world, upstream) = (World::start(), Piecewise::start().await);
        let mut body = first_piece(&world, &upstream, alpn, &world.bearer(&change)).await;
        withdraw(&world);
        let error = body.frame().await.unwrap().unwrap_err();
        let reset = error
            .source()
            .and_then(|source| source.downcast_ref::<h2::Error>());
        let reason = reset.and_then(h2::Error::reason);
        match alpn {
            Alpn::Http1 => assert_eq!(reason, None, "{error:?}"),
            Alpn::Http2 | Alpn::Http2OrHttp1 => assert_eq!(reason, Some(h2::Reason::CANCEL)),
        }
        upstream.answer.closed().await;
        world.logged(logged).await;
        world.logged("\"bytes\":9,").await;
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let soon = |claims: &mut serde_json::Value| {
        claims["exp"] = (countersign_testkit::system_clock().now().0 + 2).into();
    };
    withdrawn(soon, |_| {}, "token_expired").await;
}

#[tokio::test]
async fn a_stream_ends_when_its_grant_is_revoked() {
    let grant = "0000000000000007";
    withdrawn(
        |claims| claims["grant_id"] = grant.into(),
        |world| {
            let mut grants = world.planes.revoked.grants.lock().unwrap();
            grants.insert(grant.parse().unwrap());
        },
        "\"revoked\"",
    )
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_its_route_is_gone() {
    let reload = |world: &World| world.reload(|specs| specs.push(spec("other", "/other")));
    withdrawn(|_| {}, reload, "route_changed").await;
}

#[tokio::test]
async fn a_stream_ends_when_policy_permits_it_no_more() {
    let forbid = |world: &World| {
        world.decide_by(
            "@id(\"closed\") forbid (principal, action, resource == Route::\"reached\");",
        );
    };
    withdrawn(|_| {}, forbid, "\"forbidden\"").await;
}

#[tokio::test]
async fn a_stream_ends_when_policy_asks_for_what_cannot_be_done_to_it() {
    let mask = |world: &World| {
        world.decide_by(
            "@id(\"masked-now\") @mask(\"/iban\") permit (principal, action, resource == Route::\"reached\");",
        );
    };
    withdrawn(|_| {}, mask, "obligation_not_carried_out").await;
}

#[tokio::test]
async fn a_stream_goes_on_while_nothing_that_permits_it_is_gone() {
    let (world, upstream) = (World::start(), Piecewise::start().await);
    let mut body = first_piece(&world, &upstream, Alpn::Http1, &world.bearer(|_| {})).await;
    world.asked_again(1).await;
    // The same route again, and policies that forbid something else.
    world.reach(upstream.spec(), |_| {});
    world.decide_by("@id(\"closed\") forbid (principal, action, resource == Route::\"other\");");
    world.asked_again(2).await;
    upstream.answer.send("data: 2\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "data: 2\n\n");
}

#[tokio::test]
async fn an_answer_of_a_known_short_length_is_decided_about_once() {
    let (world, backend) = (World::start(), Backend::start(Act::Bytes(64 * 1024)).await);
    world.reach(upstream(&[backend.address]), |_| {});
    let bearer = world.bearer(|_| {});
    let asked = || world.planes.revoked.asked.load(Ordering::SeqCst);
    let before = asked();
    let answer = world.get("/r/whole", &[("authorization", &bearer)]).await;
    assert_eq!(answer.body.len(), 64 * 1024);
    assert_eq!(asked(), before + 1, "once, when it was decided about");
}

#[tokio::test]
async fn a_stream_that_began_in_the_leeway_of_its_token_goes_on_in_it() {
    let (world, upstream) = (World::start(), Piecewise::start().await);
    let over = |claims: &mut serde_json::Value| {
        claims["exp"] = (countersign_testkit::system_clock().now().0 - 3).into();
    };
    let mut body = first_piece(&world, &upstream, Alpn::Http1, &world.bearer(over)).await;
    world.asked_again(2).await;
    upstream.answer.send("data: 2\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "data: 2\n\n");
}

#[tokio::test]
async fn a_stream_of_another_issuers_token_goes_on_until_its_issuers_keys_change() {
    let (world, upstream) = (World::start(), Piecewise::start().await);
    let theirs = issuers::signed(&world.partner, &issuers::claims(&world));
    let trusting = |route: &mut RouteSpec| {
        route.rules = issuers::rules(true, Some(issuers::partner(|_| ())));
    };
    let mut body = first_piece_of(&world, &upstream, Alpn::Http1, &theirs, trusting).await;
    world.asked_again(2).await;
    upstream.answer.send("data: 2\n\n").await.unwrap();
    assert_eq!(next(&mut body).await.unwrap(), "data: 2\n\n");
    world.planes.other_generation.fetch_add(1, Ordering::SeqCst);
    assert!(body.frame().await.unwrap().is_err());
    world.logged("keys_changed").await;
}

#[tokio::test]
async fn a_stream_of_another_issuers_token_ends_when_its_route_trusts_that_issuer_no_more() {
    let (world, upstream) = (World::start(), Piecewise::start().await);
    let theirs = issuers::signed(&world.partner, &issuers::claims(&world));
    let trusting = |route: &mut RouteSpec| {
        route.rules = issuers::rules(true, Some(issuers::partner(|_| ())));
    };
    let mut body = first_piece_of(&world, &upstream, Alpn::Http1, &theirs, trusting).await;
    world.reach(upstream.spec(), |_| {});
    assert!(body.frame().await.unwrap().is_err());
    world.logged("route_changed").await;
}
