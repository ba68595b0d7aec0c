//! Tokens that the gateway exchanges before an upstream with its own audience.

use crate::world::World;
use countersign_gateway::ExchangeError;
use http::StatusCode;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn g59_the_upstream_gets_an_exchanged_token_and_never_the_callers() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let all =
        futures_util::future::join_all((0..20).map(|_| world.get("/exchanged/a", &fields))).await;
    assert!(all.iter().all(|answer| answer.status == StatusCode::OK));
    for seen in world.upstream.take() {
        let authorization = seen.headers.get("authorization").unwrap().to_str().unwrap();
        // Bound to the certificate that the gateway shows: 43 characters of base64url.
        assert!(
            authorization.starts_with("Bearer exchanged.0.") && authorization.ends_with(".43"),
            "{authorization}"
        );
    }
    assert_eq!(world.planes.exchanges.load(Ordering::SeqCst), 1);
    // Another token is another exchange.
    let other = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/exchanged/a", &[("authorization", &other)])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(world.planes.exchanges.load(Ordering::SeqCst), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_denied_exchange_forwards_nothing() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    *world.planes.exchange_fails.lock().unwrap() = Some(ExchangeError::Denied);
    assert_eq!(
        world.get("/exchanged/a", &fields).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(world.upstream.take().is_empty());
    *world.planes.exchange_fails.lock().unwrap() = None;
    let other = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/exchanged/a", &[("authorization", &other)])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(world.upstream.take().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_is_exchanged_anew() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(
        world.get("/exchanged/unauthorized", &fields).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        world.get("/exchanged/a", &fields).await.status,
        StatusCode::OK
    );
    assert_eq!(world.planes.exchanges.load(Ordering::SeqCst), 2);
    world.stop().await;
}
