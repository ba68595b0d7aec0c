//! Idempotency keys that several gateways share: one of them all is the first, and each can answer as it was answered.
//!
//! Needs a Redis to start (`COUNTERSIGN_TEST_REDIS`), which the suite `redis` brings; without one a line says so.

use crate::backend::{Act, Backend, upstream};
use crate::world::{BOB, Setup, World, status};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_store::idempotency::KeyRegistry;
use countersign_store::redis::{Presence, RedisAddress, RedisOptions, SharedKeys};
use countersign_testkit::{RedisServer, TestAuthority, system_clock};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn options(address: RedisAddress, names: u8) -> RedisOptions {
    RedisOptions {
        address,
        user: None,
        password: None,
        database: 0,
        timeout: Duration::from_millis(500),
        names: Secret::new([names; 32]),
        told: Box::new(|_| ()),
    }
}

fn keys(server: &RedisServer) -> SharedKeys {
    let address = RedisAddress::Unix(server.socket());
    SharedKeys::start(options(address, 7), Random::system())
}

async fn until(keys: &SharedKeys, wanted: Presence) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while keys.presence() != wanted {
        assert!(Instant::now() < deadline, "not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A gateway that shares keys, before `backend`.
async fn gateway(keys: SharedKeys, backend: &Backend) -> World {
    until(&keys, Presence::There).await;
    let world = World::with(Setup {
        shared_keys: Some(KeyRegistry::Redis(keys)),
        ..Setup::default()
    });
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(IdempotencySpec {
            need: KeyNeed::Optional,
            key_bytes_min: 1,
            described_by: None,
            keep: Duration::from_secs(600),
            upstream: UpstreamKeys::Ignored,
        });
    });
    world
}

/// What a gateway says. All of them are `localhost`, at whatever port they are.
pub(crate) async fn post(
    world: &World,
    sub: Option<&str>,
    key: Option<&str>,
    body: &str,
) -> String {
    let bearer = world.bearer(|claims| {
        if let Some(sub) = sub {
            claims["sub"] = sub.into();
        }
    });
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n"));
    let head = format!(
        "POST /r/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{body}",
        body.len(),
        key.unwrap_or_default()
    );
    world.raw(head.as_bytes()).await
}

pub(crate) fn was_replayed(answer: &str) -> bool {
    answer.contains("idempotency-replayed: true")
}

/// Waits until the first under `key` has been told to all: until then whoever comes is told that it is under way.
async fn known(world: &World, key: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = post(world, None, Some(key), "abc").await;
        if status(&answer) != 409 {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer}");
    }
}

#[tokio::test]
async fn another_gateway_answers_as_the_first_was_answered() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let backend = Backend::start(Act::Answer(201)).await;
    let one = gateway(keys(&server), &backend).await;
    let other = gateway(keys(&server), &backend).await;
    let first = post(&one, None, Some("k-1"), "abc").await;
    assert_eq!((status(&first), was_replayed(&first)), (201, false));
    let again = known(&other, "k-1").await;
    assert_eq!((status(&again), was_replayed(&again)), (201, true));
    assert!(again.ends_with("1 of 3"), "{again}");
    assert_eq!(backend.hits(), 1);
    // The same key for something else, for somebody else, and another.
    let mismatch = post(&other, None, Some("k-1"), "abd").await;
    assert_eq!(status(&mismatch), 422);
    let bob = post(&other, Some(BOB), Some("k-1"), "abc").await;
    assert!(bob.ends_with("2 of 3") && !was_replayed(&bob), "{bob}");
    let fresh = post(&other, None, Some("k-2"), "abc").await;
    assert!(fresh.ends_with("3 of 3"), "{fresh}");
    // Without a key it is passed on each time.
    for number in 4..6 {
        let answer = post(&other, None, None, "abc").await;
        assert!(answer.ends_with(&format!("{number} of 3")), "{answer}");
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn while_the_first_is_under_way_another_gateway_says_so() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let backend = Backend::start(Act::Wait).await;
    let one = gateway(keys(&server), &backend).await;
    let other = gateway(keys(&server), &backend).await;
    let first = post(&one, None, Some("k-1"), "abc");
    let meanwhile = async {
        backend.reached(1).await;
        let answer = post(&other, None, Some("k-1"), "abc").await;
        assert_eq!(status(&answer), 409, "{answer}");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        backend.release();
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    assert_eq!(status(&first), 200);
    assert!(was_replayed(&known(&other, "k-1").await));
    assert_eq!(backend.hits(), 1);
}

#[tokio::test]
async fn what_surely_did_nothing_leaves_the_key_free_and_what_broke_off_does_not() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let backend = Backend::start(Act::Later(503)).await;
    let one = gateway(keys(&server), &backend).await;
    let other = gateway(keys(&server), &backend).await;
    assert_eq!(status(&post(&one, None, Some("k-1"), "abc").await), 503);
    backend.act(Act::Answer(200));
    let answer = known(&other, "k-1").await;
    assert_eq!((status(&answer), was_replayed(&answer)), (200, false));
    backend.act(Act::Break);
    assert_eq!(status(&post(&one, None, Some("k-2"), "abc").await), 502);
    backend.act(Act::Answer(200));
    let hits = backend.hits();
    let answer = post(&other, None, Some("k-2"), "abc").await;
    assert_eq!(status(&answer), 409, "nobody knows what became of it");
    assert_eq!(backend.hits(), hits);
}

#[tokio::test]
async fn while_it_is_away_nothing_with_a_key_is_passed_on() {
    let Some(mut server) = RedisServer::start(&[]) else {
        return;
    };
    let backend = Backend::start(Act::Answer(200)).await;
    let shared = keys(&server);
    let world = gateway(shared.clone(), &backend).await;
    server.kill();
    let away = post(&world, None, Some("k-1"), "abc").await;
    assert_eq!(status(&away), 503, "{away}");
    until(&shared, Presence::Away).await;
    let away = post(&world, None, Some("k-1"), "abc").await;
    assert_eq!(status(&away), 503, "{away}");
    assert!(away.contains("retry-after: 1"), "{away}");
    assert_eq!(backend.hits(), 0);
    assert_eq!(status(&post(&world, None, None, "abc").await), 200);
    World::assert_logged(&world.log_text().await, "idempotency_away");
    server.restart();
    until(&shared, Presence::There).await;
    let first = post(&world, None, Some("k-1"), "abc").await;
    assert_eq!((status(&first), was_replayed(&first)), (200, false));
}

#[tokio::test]
async fn what_is_kept_there_is_sealed_for_its_place() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let backend = Backend::start(Act::Answer(200)).await;
    let one = gateway(keys(&server), &backend).await;
    let other = gateway(keys(&server), &backend).await;
    for key in ["charge-4711", "charge-4712"] {
        post(&one, None, Some(key), "a body that is nobody's business").await;
    }
    let names = || -> Vec<String> {
        let said = server.say("KEYS *").unwrap();
        let names = said.lines().filter(|line| line.starts_with("countersign"));
        names.map(str::to_owned).collect()
    };
    let state = |name: &str| server.say(&format!("HGET {name} state")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while names().len() < 2 || names().iter().any(|name| !state(name).contains("answered")) {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let [first, second] = names().try_into().unwrap();
    for name in [&first, &second] {
        let raw = server.dump(name);
        for secret in ["4711", "4712", "of 32", "nobody's", "content-", "portal"] {
            assert!(!raw.contains(secret), "{secret} in {raw}");
        }
    }
    // An answer that is moved to another key opens nothing, and nothing is passed on.
    let moved = "EVAL \"redis.call('HSET',KEYS[2],'sealed',redis.call('HGET',KEYS[1],'sealed')) return 1\" 2";
    assert!(server.say(&format!("{moved} {first} {second}")).is_some());
    let answers = [
        post(
            &other,
            None,
            Some("charge-4711"),
            "a body that is nobody's business",
        )
        .await,
        post(
            &other,
            None,
            Some("charge-4712"),
            "a body that is nobody's business",
        )
        .await,
    ];
    let mut statuses = answers.map(|answer| status(&answer));
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    assert_eq!(backend.hits(), 2);
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")
}

#[tokio::test]
async fn keys_are_shared_over_tls_with_a_server_that_is_believed() {
    let authority = TestAuthority::new(system_clock().now());
    let issued = authority.server();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let arguments = [
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("server.pem", &pem("CERTIFICATE", &issued.chain_der[0])),
        "--tls-key-file",
        &file("server.key", &pem("PRIVATE KEY", issued.key_der.expose())),
        "--tls-ca-cert-file",
        &file("ca.pem", authority.certificate_pem()),
    ];
    let Some(server) = RedisServer::start(&arguments) else {
        return;
    };
    let over_tls = |roots: &TestAuthority| {
        let roots = roots.certificate_pem().as_bytes().to_vec();
        let address = RedisAddress::Tls("localhost".to_owned(), port, Some(roots));
        SharedKeys::start(options(address, 7), Random::system())
    };
    let backend = Backend::start(Act::Answer(200)).await;
    let one = gateway(over_tls(&authority), &backend).await;
    let other = gateway(keys(&server), &backend).await;
    assert_eq!(status(&post(&one, None, Some("k-1"), "abc").await), 200);
    assert!(was_replayed(&known(&other, "k-1").await));
    // The twin is believed; a server of another authority is not there.
    let stranger = over_tls(&TestAuthority::new(system_clock().now()));
    let world = World::with(Setup {
        shared_keys: Some(KeyRegistry::Redis(stranger.clone())),
        ..Setup::default()
    });
    world.reach(upstream(&[backend.address]), |route| {
        route.idempotency = Some(IdempotencySpec {
            need: KeyNeed::Required,
            key_bytes_min: 1,
            described_by: None,
            keep: Duration::from_secs(600),
            upstream: UpstreamKeys::Ignored,
        });
    });
    // One that began later and believes it is there already.
    until(&over_tls(&authority), Presence::There).await;
    assert_eq!(stranger.presence(), Presence::Away);
    assert_eq!(status(&post(&world, None, Some("k-2"), "abc").await), 503);
    assert_eq!(backend.hits(), 1);
}
