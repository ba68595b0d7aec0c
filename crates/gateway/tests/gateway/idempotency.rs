//! Unsafe requests that come again under their `Idempotency-Key`.

use crate::backend::{Act, Backend, nobody, upstream};
use crate::world::{BOB, World, roots};
use bytes::Bytes;
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_gateway::upstream::{Adapt, ConcurrencySpec};
use countersign_net::tls::Alpn;
use countersign_net::{ClientResponse, TlsClient};
use http::{Method, StatusCode};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const REQUIRED: IdempotencySpec = IdempotencySpec {
    need: KeyNeed::Required,
    key_bytes_min: 1,
    described_by: None,
    keep: Duration::from_secs(600),
    upstream: UpstreamKeys::Ignored,
};

async fn world(act: Act) -> (World, Backend) {
    let (world, backend) = (World::start(), Backend::start(act).await);
    reach(&world, &backend);
    (world, backend)
}

fn reach(world: &World, backend: &Backend) {
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(REQUIRED);
    });
}

async fn post(world: &World, bearer: &str, key: &str, body: &'static str) -> ClientResponse {
    let fields = [("authorization", bearer), ("idempotency-key", key)];
    let client = world.client(None);
    let body = Bytes::from_static(body.as_bytes());
    world
        .send(&client, Method::POST, "/r/a", &fields, body)
        .await
}

fn was_replayed(answer: &ClientResponse) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

#[tokio::test]
async fn what_comes_again_is_answered_as_before_and_not_passed_on() {
    let (world, backend) = world(Act::Answer(201)).await;
    let bearer = world.bearer(|_| {});
    let first = post(&world, &bearer, "k-1", "abc").await;
    assert_eq!(
        (first.status, was_replayed(&first)),
        (StatusCode::CREATED, false)
    );
    // Another token of the same person and client is the same caller.
    let bearer = world.bearer(|_| {});
    let again = post(&world, &bearer, "k-1", "abc").await;
    assert_eq!(
        (again.status, was_replayed(&again)),
        (StatusCode::CREATED, true)
    );
    assert_eq!(again.body, first.body);
    assert_eq!(backend.hits(), 1);
    // The same key with another body is another request.
    let other = post(&world, &bearer, "k-1", "abd").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Another key is another order.
    let fresh = post(&world, &bearer, "k-2", "abc").await;
    assert_eq!(fresh.body.as_ref(), b"2 of 3");
    assert_eq!(backend.hits(), 2);
    World::assert_logged(&world.log_text().await, "\"status\":422");
    world.stop().await;
}

#[tokio::test]
async fn nobody_meets_the_answers_of_others() {
    let (world, backend) = world(Act::Answer(200)).await;
    let alice = world.bearer(|_| {});
    let bob = world.bearer(|claims| claims["sub"] = BOB.into());
    let elsewhere = world.bearer(|claims| claims["client_id"] = "other".into());
    for (number, bearer) in [&alice, &bob, &elsewhere].into_iter().enumerate() {
        let answer = post(&world, bearer, "same", "abc").await;
        assert!(!was_replayed(&answer));
        assert_eq!(backend.hits(), number + 1);
    }
    for bearer in [&alice, &bob, &elsewhere] {
        assert!(was_replayed(&post(&world, bearer, "same", "abc").await));
    }
    // Whoever may no longer call the route is not answered from what was kept.
    let narrowed = world.bearer(|claims| claims["scope"] = "orders.write".into());
    let refused = post(&world, &narrowed, "same", "abc").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    world.stop().await;
}

#[tokio::test]
async fn a_key_is_needed_where_the_route_says_so_and_only_for_unsafe_methods() {
    let (world, backend) = world(Act::Answer(200)).await;
    let bearer = world.bearer(|_| {});
    let client = world.client(None);
    let send = async |method: Method, keys: &[&str]| {
        let mut fields = vec![("authorization", bearer.as_str())];
        fields.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        let answer = world.send(&client, method, "/r/a", &fields, Bytes::new());
        answer.await.status.as_u16()
    };
    assert_eq!(send(Method::POST, &[]).await, 400);
    assert_eq!(send(Method::POST, &["a b"]).await, 400);
    assert_eq!(send(Method::POST, &["a", "a"]).await, 400);
    assert_eq!(backend.hits(), 0);
    assert_eq!(send(Method::POST, &["a"]).await, 200);
    assert_eq!(send(Method::GET, &[]).await, 200);
    assert_eq!(send(Method::GET, &["a"]).await, 200);
    assert_eq!(backend.hits(), 3);
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(IdempotencySpec {
            need: KeyNeed::Optional,
            ..REQUIRED
        });
    });
    assert_eq!(send(Method::POST, &[]).await, 200);
    assert_eq!(send(Method::POST, &[]).await, 200);
    assert_eq!(backend.hits(), 5);
    world.stop().await;
}

#[tokio::test]
async fn duplicates_at_once_are_one_request() {
    let (world, backend) = world(Act::Wait).await;
    let bearer = world.bearer(|_| {});
    let all = futures_util::future::join_all((0..8).map(|_| post(&world, &bearer, "k", "abc")));
    let release = async {
        backend.reached(1).await;
        backend.release();
    };
    let (answers, ()) = futures_util::join!(all, release);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(
        answers
            .iter()
            .all(|answer| answer.body.as_ref() == b"1 of 3")
    );
    let replayed = answers.iter().filter(|answer| was_replayed(answer));
    assert_eq!((replayed.count(), backend.hits()), (7, 1));
    world.stop().await;
}

/// A connection on which a request with the key `k` was sent, and whose answer nobody read yet.
async fn posted(world: &World, bearer: &str) -> impl Sized + use<> {
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http1).unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let mut stream = tls
        .connector()
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let request = format!(
        "POST /r/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nIdempotency-Key: k\r\nContent-Length: 3\r\n\r\nabc",
        world.port()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_place_to_its_request() {
    let (world, backend) = (World::start(), Backend::start(Act::Wait).await);
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(REQUIRED);
        route.concurrency = Some(ConcurrencySpec {
            max: 1,
            adapt: Adapt::Fixed,
        });
    });
    let bearer = world.bearer(|_| {});
    let stream = posted(&world, &bearer).await;
    backend.reached(1).await;
    drop(stream);
    backend.act(Act::Answer(200));
    for _ in 0..30 {
        let other = post(&world, &bearer, "other", "abc").await;
        assert_eq!(other.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(backend.hits(), 1);
    backend.release();
    while post(&world, &bearer, "other", "abc").await.status != StatusCode::OK {}
    assert_eq!(backend.hits(), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_duplicate_waits_without_a_place() {
    let (world, backend) = (World::start(), Backend::start(Act::Wait).await);
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(REQUIRED);
        route.concurrency = Some(ConcurrencySpec {
            max: 2,
            adapt: Adapt::Fixed,
        });
    });
    let bearer = world.bearer(|_| {});
    let duplicate = async {
        backend.reached(1).await;
        backend.act(Act::Answer(200));
        // It passes the places on its way to its wait, and may find both taken for a moment.
        loop {
            let answer = post(&world, &bearer, "k", "abc").await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                break answer;
            }
        }
    };
    let others = async {
        backend.reached(1).await;
        let mut passed = 0;
        // Enough that the duplicate is there by then.
        while passed < 30 {
            let key = format!("other-{passed}");
            let other = post(&world, &bearer, &key, "abc").await.status;
            passed += usize::from(other == StatusCode::OK);
        }
        backend.release();
    };
    let (first, duplicate, ()) =
        futures_util::join!(post(&world, &bearer, "k", "abc"), duplicate, others);
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(duplicate.status, StatusCode::OK);
    assert!(was_replayed(&duplicate));
    assert_eq!(backend.hits(), 31);
    world.stop().await;
}

#[tokio::test]
async fn a_caller_that_lost_its_connection_finds_the_answer() {
    let (world, backend) = world(Act::Wait).await;
    let bearer = world.bearer(|_| {});
    let stream = posted(&world, &bearer).await;
    backend.reached(1).await;
    drop(stream);
    backend.release();
    let again = post(&world, &bearer, "k", "abc").await;
    assert_eq!(again.body.as_ref(), b"1 of 3");
    assert!(was_replayed(&again));
    assert_eq!(backend.hits(), 1);
    world.stop().await;
}

#[tokio::test]
async fn what_may_have_taken_effect_is_not_done_twice_and_what_has_not_is() {
    let (world, backend) = world(Act::Break).await;
    let bearer = world.bearer(|_| {});
    let send = async |key: &str| post(&world, &bearer, key, "abc").await.status.as_u16();
    assert_eq!(send("broken").await, 502);
    assert_eq!(send("broken").await, 409);
    assert_eq!(backend.hits(), 1);
    // It says that it did nothing: the key is free.
    backend.act(Act::Answer(429));
    assert_eq!(send("busy").await, 429);
    backend.act(Act::Answer(200));
    assert_eq!(send("busy").await, 200);
    assert_eq!(backend.hits(), 3);
    // Nor did an address where nobody listens.
    world.reach(upstream(&[nobody()]), |route| {
        route.idempotency = Some(REQUIRED);
    });
    assert_eq!(send("nobody").await, 502);
    reach(&world, &backend);
    assert_eq!(send("nobody").await, 200);
    assert_eq!(send("nobody").await, 200);
    assert_eq!(backend.hits(), 4);
    // A failure is an answer like any other.
    backend.act(Act::Answer(500));
    assert_eq!(send("failed").await, 500);
    backend.act(Act::Answer(200));
    assert_eq!(send("failed").await, 500);
    world.stop().await;
}

#[tokio::test]
async fn an_answer_too_large_to_keep_goes_out_once() {
    let (world, _backend) = world(Act::Bytes(300 * 1_024)).await;
    let bearer = world.bearer(|_| {});
    let first = post(&world, &bearer, "k", "abc").await;
    assert_eq!(
        (first.status, first.body.len()),
        (StatusCode::OK, 300 * 1_024)
    );
    let again = post(&world, &bearer, "k", "abc").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    world.stop().await;
}

#[tokio::test]
async fn a_request_with_a_key_is_sent_again_only_to_an_upstream_that_knows_keys() {
    let (world, backend) = world(Act::Break).await;
    let bearer = world.bearer(|_| {});
    for (upstream_keys, hits) in [(UpstreamKeys::Ignored, 1), (UpstreamKeys::Honoured, 3)] {
        let mut spec = upstream(&[backend.address]);
        spec.retries.attempts = 3;
        spec.breaker.failures = 100;
        world.reach(spec, |route| {
            route.idempotency = Some(IdempotencySpec {
                upstream: upstream_keys,
                ..REQUIRED
            });
        });
        let before = backend.hits();
        let answer = post(&world, &bearer, &format!("k-{hits}"), "abc").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(backend.hits() - before, hits);
    }
    // A key that ends at the gateway is not known to the upstream.
    let before = backend.hits();
    let head = format!(
        "POST /r/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nIdempotency-Key: k-hop\r\nContent-Length: 3\r\nConnection: close, idempotency-key\r\n\r\nabc",
        world.port()
    );
    let answer = world.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_eq!(backend.hits() - before, 1);
    world.stop().await;
}

#[tokio::test]
async fn a_key_is_not_free_when_an_earlier_attempt_may_have_taken_effect() {
    let (world, backend) = (World::start(), Backend::start(Act::BreakThen(429)).await);
    let bearer = world.bearer(|_| {});
    let mut spec = upstream(&[backend.address]);
    spec.retries.attempts = 2;
    spec.breaker.failures = 100;
    world.reach(spec, |route| {
        route.idempotency = Some(IdempotencySpec {
            upstream: UpstreamKeys::Honoured,
            ..REQUIRED
        });
    });
    let send = async |key: &str| post(&world, &bearer, key, "abc").await.status.as_u16();
    // The last attempt did nothing, says the upstream; of the one before nobody knows.
    assert_eq!(send("k").await, 429);
    assert_eq!(backend.hits(), 2);
    backend.act(Act::Answer(200));
    assert_eq!(send("k").await, 409);
    assert_eq!(backend.hits(), 2);
    // With one attempt there is nothing before it.
    backend.act(Act::Answer(429));
    assert_eq!(send("other").await, 429);
    backend.act(Act::Answer(200));
    assert_eq!(send("other").await, 200);
    world.stop().await;
}

/// Lets the routes `/things/...` and `/exchanged/...` of every test know keys.
fn keyed_things(world: &World) {
    world.reload(|specs| {
        for spec in specs {
            if ["things", "exchanged"].contains(&spec.id.as_str()) {
                spec.idempotency = Some(REQUIRED);
            }
        }
    });
}

#[tokio::test]
async fn a_cookie_is_told_once() {
    let world = World::start();
    keyed_things(&world);
    let bearer = world.bearer(|_| {});
    let client = world.client(None);
    let fields = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    let send = async || {
        let body = Bytes::from_static(b"abc");
        world
            .send(&client, Method::POST, "/things/a", &fields, body)
            .await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!((was_replayed(&first), was_replayed(&again)), (false, true));
    assert!(first.headers.contains_key("set-cookie"));
    assert!(!again.headers.contains_key("set-cookie"));
    assert_eq!(again.headers["x-from-upstream"], "yes");
    world.stop().await;
}

#[tokio::test]
async fn another_host_or_other_scopes_are_another_request() {
    let world = World::start();
    keyed_things(&world);
    let of = |scope: &str| world.bearer(|claims| claims["scope"] = scope.into());
    let (wide, narrow) = (of("orders.read orders.write"), of("orders.read"));
    let send = async |bearer: &str, host: &str| {
        let request = format!(
            "POST /things/a HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nIdempotency-Key: k\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        );
        crate::world::status(&world.raw(request.as_bytes()).await)
    };
    let own = format!("localhost:{}", world.port());
    assert_eq!(send(&wide, &own).await, 200);
    assert_eq!(send(&narrow, &own).await, 422);
    assert_eq!(send(&wide, "second.example").await, 422);
    assert_eq!(send(&wide, &own).await, 200);
    assert_eq!(world.upstream.take().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_of_an_exchanged_token_is_not_kept() {
    let world = World::start();
    keyed_things(&world);
    let bearer = world.bearer(|_| {});
    let client = world.client(None);
    let fields = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    for (path, passed_on) in [("/exchanged/unauthorized", 2), ("/things/unauthorized", 1)] {
        for _ in 0..2 {
            let body = Bytes::from_static(b"abc");
            let answer = world.send(&client, Method::POST, path, &fields, body).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(world.upstream.take().len(), passed_on, "{path}");
    }
    assert_eq!(world.planes.exchanges.load(Ordering::SeqCst), 2);
    world.stop().await;
}
