//! Limits that several gateways share, and what each route does while their counts are away.
//!
//! Needs a Redis to start (`COUNTERSIGN_TEST_REDIS`), which the suite `redis` brings; without one a line says so.

use crate::world::{Setup, World};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_store::redis::{Presence, RedisAddress, RedisOptions, SharedCounters};
use countersign_testkit::RedisServer;
use http::{StatusCode, header};
use std::time::{Duration, Instant};

fn counters(server: &RedisServer) -> SharedCounters {
    let options = RedisOptions {
        address: RedisAddress::Unix(server.socket()),
        user: None,
        password: None,
        database: 0,
        timeout: Duration::from_millis(500),
        names: Secret::new([7; 32]),
        told: Box::new(|_| ()),
    };
    SharedCounters::start(options, Random::system())
}

async fn until(counters: &SharedCounters, wanted: Presence) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while counters.presence() != wanted {
        assert!(Instant::now() < deadline, "not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn gateway(counters: &SharedCounters) -> World {
    until(counters, Presence::There).await;
    World::with(Setup {
        counters: Some(counters.clone()),
        ..Setup::default()
    })
}

async fn statuses(world: &World, path: &str, count: usize) -> Vec<u16> {
    let bearer = world.bearer(|_| {});
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = world.get(path, &[("authorization", &bearer)]).await;
        statuses.push(answer.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn two_gateways_let_through_together_what_the_limit_says() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (one, other) = (counters(&server), counters(&server));
    let (first, second) = (gateway(&one).await, gateway(&other).await);
    assert_eq!(statuses(&first, "/shared-share/a", 4).await, [200; 4]);
    assert_eq!(
        statuses(&second, "/shared-share/a", 4).await,
        [200, 200, 429, 429]
    );
    assert_eq!(statuses(&first, "/shared-share/a", 1).await, [429]);
    let bearer = second.bearer(|_| {});
    let refused = second
        .get("/shared-share/a", &[("authorization", &bearer)])
        .await;
    let policy = refused.headers.get("ratelimit-policy").unwrap();
    assert_eq!(policy, "\"shared-share\";q=6;w=3600");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    World::assert_logged(&second.log_text().await, "rate_limited");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn routes_with_limits_of_their_own_never_ask_redis() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server);
    let world = gateway(&counters).await;
    assert_eq!(
        statuses(&world, "/limited/a", 4).await,
        [200, 200, 200, 429]
    );
    assert_eq!(server.say("DBSIZE").as_deref(), Some(":0\r\n"));
    assert_eq!(statuses(&world, "/shared-share/a", 1).await, [200]);
    assert_eq!(server.say("DBSIZE").as_deref(), Some(":1\r\n"));
    world.stop().await;
}

#[tokio::test]
async fn g55_while_the_limiter_store_is_away_each_route_does_what_it_says() {
    let Some(mut server) = RedisServer::start(&[]) else {
        return;
    };
    let counters = counters(&server);
    let world = gateway(&counters).await;
    for path in ["/shared-closed/a", "/shared-share/a", "/shared-open/a"] {
        assert_eq!(statuses(&world, path, 1).await, [200], "{path}");
    }
    assert_eq!(statuses(&world, "/shared-open/a", 1).await, [429]);
    server.kill();
    // Whatever notices first and whatever comes after are told the same.
    assert_eq!(statuses(&world, "/shared-closed/a", 3).await, [503; 3]);
    until(&counters, Presence::Away).await;
    let bearer = world.bearer(|_| {});
    let closed = world
        .get("/shared-closed/a", &[("authorization", &bearer)])
        .await;
    assert_eq!(closed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(closed.headers.get(header::RETRY_AFTER).unwrap(), "1");
    // Half of six, since two share it.
    let share = statuses(&world, "/shared-share/a", 5).await;
    assert_eq!(share, [200, 200, 200, 429, 429]);
    assert_eq!(statuses(&world, "/shared-open/a", 4).await, [200; 4]);
    // It is recorded and counted.
    World::assert_logged(&world.log_text().await, "limiter_away");
    let limited = world.planes.limited.lock().unwrap().clone();
    let count = |how: &str| limited.iter().filter(|by| **by == how).count();
    assert_eq!(count("processes"), 4);
    assert_eq!((count("closed"), count("share"), count("open")), (4, 5, 4));
    // It comes back without a start of the gateway's.
    server.restart();
    until(&counters, Presence::There).await;
    assert_eq!(statuses(&world, "/shared-closed/a", 1).await, [200]);
    assert_eq!(statuses(&world, "/shared-open/a", 2).await, [200, 429]);
    world.stop().await;
}
