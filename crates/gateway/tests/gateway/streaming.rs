//! Bodies that are sent piece by piece: each piece goes on as it comes, in both directions.

use crate::world::{World, roots};
use bytes::Bytes;
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
use std::net::SocketAddr;
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
