//! The way to the upstream and back: versions, pools, certificates, failures.

use crate::world::{World, roots};
use bytes::Bytes;
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use http::{Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeSet;

#[tokio::test]
async fn the_upstream_sees_our_certificate() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(world.get("/things/a", &fields).await.status, StatusCode::OK);
    assert_eq!(world.upstream.take_one().peer, ["spiffe://example/gateway"]);
    // Without one, this upstream takes no connection.
    assert_eq!(
        world.get("/nameless/a", &fields).await.status,
        StatusCode::BAD_GATEWAY
    );
    assert!(world.upstream.take().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn every_version_on_both_sides() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http2OrHttp1).unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let stream = tls
        .connector()
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_ref()));
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for (path, version) in [
        ("/things/a?b=c", Version::HTTP_11),
        ("/http2/a?b=c", Version::HTTP_2),
    ] {
        let over_http1 = world
            .send(
                &world.client(None),
                Method::POST,
                path,
                &[("authorization", &bearer)],
                Bytes::from_static(b"abc"),
            )
            .await;
        assert_eq!(over_http1.body.as_ref(), b"upstream read 3");
        let request = Request::post(world.url(path))
            .header(header::AUTHORIZATION, &bearer)
            .body(Full::new(Bytes::from_static(b"abcd")))
            .unwrap();
        let over_http2 = http2.send_request(request).await.unwrap();
        assert_eq!(over_http2.status(), StatusCode::OK);
        assert_eq!(
            over_http2
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .as_ref(),
            b"upstream read 4"
        );
        for (seen, length) in world.upstream.take().into_iter().zip([3, 4]) {
            assert_eq!(
                (seen.version, seen.target.as_str(), seen.body.unwrap().len()),
                (version, path, length)
            );
            let host = format!("localhost:{}", world.upstream.address.port());
            assert!(
                seen.headers
                    .get(header::HOST)
                    .is_none_or(|value| value == host.as_str())
            );
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn upstream_connections_are_used_again() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let client = world.client(None);
    for path in ["/things/a", "/http2/a"] {
        for _ in 0..10 {
            assert_eq!(
                world
                    .send(
                        &client,
                        Method::GET,
                        path,
                        &[("authorization", &bearer)],
                        Bytes::new()
                    )
                    .await
                    .status,
                StatusCode::OK
            );
        }
        let connections: BTreeSet<u16> = world
            .upstream
            .take()
            .into_iter()
            .map(|seen| seen.port)
            .collect();
        assert_eq!(connections.len(), 1, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_502_with_an_outcome() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let answer = world.get("/gone/a", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(
        String::from_utf8(answer.body.to_vec())
            .unwrap()
            .contains("request_id")
    );
    World::assert_logged(&world.log_text().await, "\"status\":502");
    world.stop().await;
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let answer = world
        .send(
            &world.client(None),
            Method::HEAD,
            "/things/a",
            &[("authorization", &bearer)],
            Bytes::new(),
        )
        .await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    assert_eq!(world.upstream.take_one().method, Method::HEAD);
    world.stop().await;
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_an_outcome() {
    let world = World::start();
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http1).unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let mut stream = tls
        .connector()
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let bearer = world.bearer(|_| {});
    // The rest of the body never comes, and the upstream waits for it.
    let head = format!(
        "POST /things/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nContent-Length: 9\r\n\r\nabc",
        world.port()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    while !world.log_text().await.contains("\"kind\":\"decision\"") {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while !world.log_text().await.contains("\"kind\":\"outcome\"") {
        tokio::task::yield_now().await;
    }
    let text = world.log_text().await;
    assert!(
        text.contains("\"status\":499") || text.contains("\"status\":400"),
        "{text}"
    );
    world.stop().await;
}
