//! What callers see when addresses of an upstream fail, are slow, or are too few.

use crate::backend::{Act, Backend, nobody, upstream};
use crate::world::World;
use bytes::Bytes;
use countersign_gateway::upstream::{
    Adapt, Balance, BreakerSpec, ConcurrencySpec, HashBy, HealthSpec, RetrySpec,
};
use countersign_gateway::{RouteError, Routes, UpstreamSpec};
use countersign_net::ClientResponse;
use http::{Method, StatusCode, header};
use std::net::SocketAddr;
use std::time::Duration;

const PATIENT: BreakerSpec = BreakerSpec {
    failures: 1_000,
    ejection: Duration::from_secs(1),
};

fn retrying(addresses: &[SocketAddr], attempts: u32) -> UpstreamSpec {
    let mut spec = upstream(addresses);
    spec.breaker = PATIENT;
    spec.retries = RetrySpec {
        attempts,
        wait: Duration::from_millis(1),
        ..RetrySpec::default()
    };
    spec
}

async fn ask(world: &World, method: Method) -> ClientResponse {
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let body = if method == Method::GET {
        Bytes::new()
    } else {
        Bytes::from_static(b"abc")
    };
    let client = world.client(None);
    world.send(&client, method, "/r/a", &fields, body).await
}

async fn status(world: &World, method: Method) -> u16 {
    ask(world, method).await.status.as_u16()
}

#[tokio::test]
async fn a_dead_address_is_hidden_by_another_attempt() {
    let (world, alive) = (World::start(), Backend::start(Act::Answer(200)).await);
    world.reach(retrying(&[nobody(), alive.address], 3), |_| {});
    // Nothing was sent to the dead one, so that even what may not be sent twice goes to the other.
    for method in [Method::GET, Method::POST, Method::PUT, Method::GET] {
        assert_eq!(status(&world, method).await, 200);
    }
    let whole = ask(&world, Method::POST).await;
    assert_eq!(whole.body.as_ref(), b"5 of 3", "the body came along");
    // Without another attempt callers meet it.
    world.reach(retrying(&[nobody()], 1), |_| {});
    assert_eq!(status(&world, Method::GET).await, 502);
    world.stop().await;
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_not_sent_again() {
    let (world, breaks) = (World::start(), Backend::start(Act::Break).await);
    world.reach(retrying(&[breaks.address], 3), |_| {});
    assert_eq!(status(&world, Method::POST).await, 502);
    assert_eq!(breaks.hits(), 1);
    assert_eq!(status(&world, Method::GET).await, 502);
    assert_eq!(breaks.hits(), 4);
    // A server that says when to come back is not asked sooner, one that does not is asked again.
    breaks.act(Act::Later(503));
    assert_eq!(status(&world, Method::GET).await, 503);
    assert_eq!(breaks.hits(), 5);
    breaks.act(Act::Answer(503));
    assert_eq!(status(&world, Method::GET).await, 503);
    assert_eq!(breaks.hits(), 8);
    world.stop().await;
}

#[tokio::test]
async fn retries_are_a_fraction_of_requests_and_not_a_multiple() {
    let (world, failing) = (World::start(), Backend::start(Act::Answer(503)).await);
    let mut spec = retrying(&[failing.address], 3);
    spec.retries.budget_percent = 10;
    world.reach(spec, |_| {});
    for _ in 0..60 {
        assert_eq!(status(&world, Method::GET).await, 503);
    }
    // Ten saved up at the start, and one for every ten requests.
    assert!((70..=76).contains(&failing.hits()), "{}", failing.hits());
    world.stop().await;
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone_and_tried_again() {
    let (world, failing) = (World::start(), Backend::start(Act::Break).await);
    let mut spec = upstream(&[failing.address]);
    spec.breaker = BreakerSpec {
        failures: 3,
        ejection: Duration::from_secs(1),
    };
    world.reach(spec, |_| {});
    for _ in 0..3 {
        assert_eq!(status(&world, Method::POST).await, 502);
    }
    let refused = ask(&world, Method::POST).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers.get(header::RETRY_AFTER).unwrap(), "1");
    assert_eq!(failing.hits(), 3, "the upstream saw nothing of it");
    failing.act(Act::Answer(200));
    // The first request after the second tries it, and from then on all go through.
    while status(&world, Method::POST).await != 200 {}
    assert_eq!(failing.hits(), 4);
    for _ in 0..5 {
        assert_eq!(status(&world, Method::POST).await, 200);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_status_does_not_take_the_last_address_from_everybody() {
    let (world, one) = (World::start(), Backend::start(Act::Answer(503)).await);
    let other = Backend::start(Act::Answer(503)).await;
    let breaker = BreakerSpec {
        failures: 2,
        ejection: Duration::from_secs(600),
    };
    let mut spec = upstream(&[one.address]);
    spec.breaker = breaker;
    world.reach(spec, |_| {});
    for _ in 0..6 {
        assert_eq!(status(&world, Method::POST).await, 503);
    }
    assert_eq!(one.hits(), 6);
    // Of two one is ejected, and the last one is not.
    let mut spec = upstream(&[one.address, other.address]);
    spec.breaker = breaker;
    world.reach(spec, |_| {});
    for _ in 0..20 {
        assert_eq!(status(&world, Method::POST).await, 503);
    }
    assert_eq!(one.hits() + other.hits(), 26);
    let before = (one.hits(), other.hits());
    for _ in 0..20 {
        assert_eq!(status(&world, Method::POST).await, 503);
    }
    let came = (one.hits() - before.0, other.hits() - before.1);
    assert!(matches!(came, (0, 20) | (20, 0)), "{came:?}");
    world.stop().await;
}

#[tokio::test]
async fn an_outlier_is_ejected_while_the_others_serve() {
    let (world, good) = (World::start(), Backend::start(Act::Answer(200)).await);
    let bad = Backend::start(Act::Answer(502)).await;
    let mut spec = upstream(&[good.address, bad.address]);
    spec.breaker = BreakerSpec {
        failures: 2,
        ejection: Duration::from_secs(60),
    };
    world.reach(spec, |_| {});
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(status(&world, Method::GET).await == 502);
    }
    assert_eq!((failed, bad.hits(), good.hits()), (2, 2, 38));
    world.stop().await;
}

#[tokio::test]
async fn callers_stay_with_their_address_where_the_upstream_goes_by_client() {
    let world = World::start();
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(Backend::start(Act::Answer(200)).await);
    }
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let mut spec = upstream(&addresses);
    spec.balance = Balance::ConsistentHash(HashBy::Client);
    world.reach(spec, |_| {});
    let mut homes = std::collections::BTreeSet::new();
    for number in 0..12 {
        let bearer = world.bearer(|claims| claims["client_id"] = format!("client-{number}").into());
        let before: Vec<usize> = backends.iter().map(Backend::hits).collect();
        for _ in 0..3 {
            let answer = world.get("/r/a", &[("authorization", &bearer)]).await;
            assert_eq!(answer.status, StatusCode::OK);
        }
        let came: Vec<usize> = backends
            .iter()
            .zip(before)
            .map(|(backend, before)| backend.hits() - before)
            .collect();
        let home = came.iter().position(|hits| *hits == 3);
        homes.insert(home.unwrap_or_else(|| panic!("{came:?}")));
    }
    assert!(homes.len() >= 2, "{homes:?}");
    world.stop().await;
}

#[tokio::test]
async fn an_address_that_its_checks_call_sick_gets_no_requests_until_it_is_well() {
    let (world, good) = (World::start(), Backend::start(Act::Answer(200)).await);
    let sick = Backend::start(Act::Answer(200)).await;
    sick.health(500);
    let mut spec = upstream(&[good.address, sick.address]);
    spec.health = Some(HealthSpec {
        path: "/healthz".parse().unwrap(),
        every: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        sick_after: 2,
        well_after: 2,
    });
    world.reach(spec, |_| {});
    while sick.checks() < 4 || good.checks() < 1 {
        tokio::task::yield_now().await;
    }
    let before = sick.hits();
    for _ in 0..20 {
        assert_eq!(status(&world, Method::GET).await, 200);
    }
    assert_eq!(sick.hits(), before);
    sick.health(204);
    while sick.hits() == before {
        assert_eq!(status(&world, Method::GET).await, 200);
    }
    world.stop().await;
}

#[tokio::test]
async fn more_requests_than_places_are_told_to_come_back() {
    let (world, slow) = (World::start(), Backend::start(Act::Wait).await);
    let two = Some(ConcurrencySpec {
        max: 2,
        adapt: Adapt::Fixed,
    });
    for of_route in [true, false] {
        let mut spec = upstream(&[slow.address]);
        spec.concurrency = two.filter(|_| !of_route);
        world.reach(spec, |route| route.concurrency = two.filter(|_| of_route));
        slow.act(Act::Wait);
        slow.release.send_replace(false);
        let before = slow.hits();
        let third = async {
            slow.reached(before + 2).await;
            let refused = ask(&world, Method::GET).await;
            slow.release();
            refused
        };
        let (first, second, refused) =
            futures_util::join!(ask(&world, Method::GET), ask(&world, Method::GET), third);
        assert_eq!(
            (first.status, second.status),
            (StatusCode::OK, StatusCode::OK)
        );
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers.get(header::RETRY_AFTER).unwrap(), "1");
        // Their places are free again.
        assert_eq!(status(&world, Method::GET).await, 200);
        assert_eq!(slow.hits(), before + 3);
    }
    World::assert_logged(&world.log_text().await, "overloaded");
    world.stop().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_given_up() {
    let (world, slow) = (World::start(), Backend::start(Act::Wait).await);
    let mut spec = upstream(&[slow.address]);
    spec.timeouts.answer = Duration::from_millis(50);
    world.reach(spec.clone(), |_| {});
    assert_eq!(status(&world, Method::GET).await, 504);
    // All attempts together have their own limit.
    spec.timeouts.answer = Duration::from_secs(60);
    spec.timeouts.total = Duration::from_millis(50);
    world.reach(spec.clone(), |_| {});
    assert_eq!(status(&world, Method::GET).await, 504);
    spec.timeouts.total = Duration::from_secs(60);
    slow.release();
    world.reach(spec, |_| {});
    assert_eq!(status(&world, Method::GET).await, 200);
    world.stop().await;
}

#[tokio::test]
async fn an_upstream_needs_an_address() {
    let none = upstream(&[]);
    let built = Routes::build(Vec::new(), vec![none], ["localhost".to_owned()].into());
    assert!(matches!(built, Err(RouteError::Endpoints(_))));
}

/// Sends the head of a request and less of its body than it announced, and waits for the answer.
async fn half_a_request(world: &World) -> String {
    let bearer = world.bearer(|_| {});
    let port = world.port();
    let head = format!(
        "POST /r/a HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: {bearer}\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc"
    );
    world.raw(head.as_bytes()).await
}

#[tokio::test]
async fn a_caller_that_sends_slowly_gives_no_address_a_bad_name() {
    let (world, backend) = (World::start(), Backend::start(Act::Wait).await);
    let mut spec = upstream(&[backend.address]);
    spec.breaker = BreakerSpec {
        failures: 1,
        ejection: Duration::from_secs(600),
    };
    spec.timeouts.answer = Duration::from_millis(500);
    let mut patient = spec.clone();
    patient.timeouts.answer = Duration::from_secs(60);
    // By the time for one attempt, and by the time for all.
    let mut all = patient.clone();
    all.timeouts.total = Duration::from_millis(500);
    for spec in [&spec, &all] {
        world.reach(spec.clone(), |_| {});
        let answer = half_a_request(&world).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    backend.act(Act::Answer(200));
    world.reach(patient.clone(), |_| {});
    assert_eq!(status(&world, Method::GET).await, 200);
    // The same time without an answer to a whole request does.
    backend.act(Act::Wait);
    world.reach(spec, |_| {});
    assert_eq!(status(&world, Method::POST).await, 504);
    backend.act(Act::Answer(200));
    world.reach(patient, |_| {});
    assert_eq!(status(&world, Method::GET).await, 503);
    world.stop().await;
}

#[tokio::test]
async fn a_caller_that_sends_slowly_takes_no_places_from_others() {
    let (world, backend) = (World::start(), Backend::start(Act::Wait).await);
    let mut spec = upstream(&[backend.address]);
    spec.breaker = PATIENT;
    // Two places to begin with; one less as soon as the upstream is too slow once.
    spec.concurrency = Some(ConcurrencySpec {
        max: 8,
        adapt: Adapt::Latency { min: 1 },
    });
    let patient = spec.clone();
    spec.timeouts.answer = Duration::from_millis(500);
    for places in [2, 1] {
        world.reach(spec.clone(), |_| {});
        if places == 2 {
            let answer = half_a_request(&world).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        } else {
            let before = backend.hits();
            assert_eq!(status(&world, Method::POST).await, 504);
            backend.reached(before + 1).await;
        }
        backend.release.send_replace(false);
        world.reach(patient.clone(), |_| {});
        let before = backend.hits();
        let second = async {
            backend.reached(before + 1).await;
            backend.act(Act::Answer(200));
            let second = status(&world, Method::GET).await;
            backend.release();
            second
        };
        let (first, second) = futures_util::join!(status(&world, Method::GET), second);
        assert_eq!((first, second), (200, if places == 2 { 200 } else { 503 }));
        backend.release.send_replace(false);
        backend.act(Act::Wait);
    }
    world.stop().await;
}

fn hedging(addresses: &[SocketAddr], budget_percent: u32) -> UpstreamSpec {
    let mut spec = retrying(addresses, 1);
    spec.retries.hedge = Some(Duration::from_millis(20));
    spec.retries.budget_percent = budget_percent;
    spec
}

#[tokio::test]
async fn a_slow_address_is_hidden_by_another_for_safe_methods_alone() {
    let world = World::start();
    let (slow, swift) = (
        Backend::start(Act::Wait).await,
        Backend::start(Act::Answer(200)).await,
    );
    let addresses = [slow.address, swift.address];
    world.reach(hedging(&addresses, 100), |_| {});
    let mut asked = 0;
    while asked < 8 || slow.hits() == 0 {
        assert_eq!(status(&world, Method::GET).await, 200);
        asked += 1;
    }
    assert_eq!(swift.hits(), asked, "all were answered by the swift one");
    // An order goes to one of the two, and waits there if that is the slow one.
    loop {
        let before = slow.hits();
        let mut order = std::pin::pin!(status(&world, Method::POST));
        tokio::select! {
            status = order.as_mut() => assert_eq!(status, 200),
            () = slow.reached(before + 1) => {
                let answered = swift.hits();
                let meanwhile = async {
                    for _ in 0..3 {
                        assert_eq!(status(&world, Method::GET).await, 200);
                    }
                };
                tokio::select! {
                    status = order.as_mut() => assert_eq!(status, 0, "nobody answers it"),
                    () = meanwhile => {}
                }
                assert_eq!(swift.hits(), answered + 3, "the order went nowhere else");
                slow.release();
                assert_eq!(order.await, 200);
                break;
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn hedging_spends_what_retries_may_and_no_more() {
    let world = World::start();
    let (slow, other) = (
        Backend::start(Act::Wait).await,
        Backend::start(Act::Wait).await,
    );
    let addresses = [slow.address, other.address];
    // Both wait, so that each of ten spends what was saved up, and the eleventh asks one address alone.
    world.reach(hedging(&addresses, 1), |_| {});
    let asked = |number: usize| {
        let hits = slow.hits() + other.hits();
        assert!(hits <= number, "{hits}");
        hits == number
    };
    let mut waiting = Vec::new();
    let world = std::sync::Arc::new(world);
    for number in 1..=10 {
        let world = std::sync::Arc::clone(&world);
        waiting.push(tokio::spawn(
            async move { status(&world, Method::GET).await },
        ));
        while !asked(number * 2) {
            tokio::task::yield_now().await;
        }
    }
    let last = std::sync::Arc::clone(&world);
    waiting.push(tokio::spawn(
        async move { status(&last, Method::GET).await },
    ));
    while !asked(21) {
        tokio::task::yield_now().await;
    }
    slow.release();
    other.release();
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), 200);
    }
    assert!(asked(21), "nothing left to spend");
}
