//! How often, how much, and what happens when the log takes no more.

use crate::routes::spec;
use crate::world::{ALICE, BOB, Setup, World};
use countersign_gateway::limiter::{Dimension, LimitSpec, Strangers};
use countersign_gateway::routes::RouteSpec;
use countersign_net::TlsIdentity;
use countersign_store::audit::AuditOptions;
use http::{Method, StatusCode, header};

#[tokio::test]
async fn a_clients_bucket_empties_on_every_core_at_once() {
    let world = World::with(Setup {
        cores: 3,
        ..Setup::default()
    });
    let (portal, other) = (
        world.bearer(|_| {}),
        world.bearer(|claims| claims["client_id"] = "other".into()),
    );
    let mut statuses = Vec::new();
    for number in 0..5_u32 {
        let answer = world.get("/limited/a", &[("authorization", &portal)]).await;
        assert_eq!(
            answer.headers.get("ratelimit-policy").unwrap(),
            "\"default\";q=3;w=60"
        );
        let left = answer
            .headers
            .get("ratelimit")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            left.starts_with(&format!(
                "\"default\";r={};t=",
                2_u32.saturating_sub(number)
            )),
            "{left}"
        );
        statuses.push(answer.status.as_u16());
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let seconds: u64 = answer
                .headers
                .get(header::RETRY_AFTER)
                .unwrap()
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=20).contains(&seconds), "{seconds}");
        }
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(
        world
            .get("/limited/a", &[("authorization", &other)])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &portal)])
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(world.upstream.take().len(), 5);
    World::assert_logged(&world.log_text().await, "rate_limited");
    world.stop().await;
}

#[tokio::test]
async fn strangers_share_a_bucket_by_address() {
    let world = World::start();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(world.get("/open-limited/a", &[]).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
    let known = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/open-limited/a", &[("authorization", &known)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn a_body_past_the_routes_limit_is_refused() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let post = async |length: usize| {
        world
            .send(
                &world.client(None),
                Method::POST,
                "/things/a",
                &fields,
                vec![b'x'; length].into(),
            )
            .await
            .status
    };
    assert_eq!(post(1_000).await, StatusCode::OK);
    assert_eq!(world.upstream.take_one().body.unwrap().len(), 1_000);
    assert_eq!(post(1_001).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(world.upstream.take().is_empty());
    // Without an announced length the limit is met on the way, and the upstream sees a request that broke off.
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let head = format!(
        "POST /things/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        world.port()
    );
    let answer = world
        .raw(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes())
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn g55_when_the_log_takes_no_more_the_doors_close() {
    // A queue without room for a single record.
    let audit = AuditOptions {
        queue_bytes_max: 1,
        queue_bytes_reserved: 0,
        ..AuditOptions::default()
    };
    let world = World::with(Setup {
        audit,
        ..Setup::default()
    });
    let bearer = world.bearer(|_| {});
    let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(world.upstream.take().is_empty());
    world.stop().await;
    // The same with room.
    let world = World::start();
    let bearer = world.bearer(|_| {});
    assert_eq!(
        world
            .get("/things/a", &[("authorization", &bearer)])
            .await
            .status,
        StatusCode::OK
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_16_every_limit_acts_before_the_request_is_passed_on_and_none_on_its_answer() {
    let world = World::start();
    let of = |subject: &str| world.bearer(|claims| claims["sub"] = subject.into());
    let (alice, bob) = (of(ALICE), of(BOB));
    let ask = async |bearer: &str, path: &str| {
        let answer = world.get(path, &[("authorization", bearer)]).await;
        let left = answer.headers.get_all("ratelimit");
        let left: Vec<String> = left
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        assert_eq!(left.len(), 1, "one field, written once: {left:?}");
        let counts = left[0]
            .split(", ")
            .map(|item| item.split(';').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>();
        (answer.status.as_u16(), counts.join(" "))
    };
    let told = |status: u16, left: &str| (status, left.to_owned());
    assert_eq!(ask(&alice, "/composed/a").await, told(200, "r=1 r=2"));
    // An answer that is an error of the upstream counts like any other, once.
    assert_eq!(
        ask(&alice, "/composed/unauthorized").await,
        told(401, "r=0 r=1")
    );
    // The first limit refuses: the second is not charged for it, however often.
    for _ in 0..5 {
        assert_eq!(ask(&alice, "/composed/a").await, told(429, "r=0 r=1"));
    }
    assert_eq!(ask(&bob, "/composed/a").await, told(200, "r=1 r=0"));
    // The second refuses: the first is not charged for it.
    assert_eq!(ask(&bob, "/composed/a").await, told(429, "r=1 r=0"));
    assert_eq!(ask(&bob, "/composed/a").await, told(429, "r=1 r=0"));
    assert_eq!(world.upstream.take().len(), 3);
    let answer = world.get("/composed/a", &[("authorization", &bob)]).await;
    assert_eq!(
        answer.headers.get("ratelimit-policy").unwrap(),
        "\"person\";q=2;w=3600, \"tenant\";q=3;w=3600"
    );
    world.stop().await;
}

#[tokio::test]
async fn frm_16_a_refused_request_leaves_nothing_of_its_body_on_the_connection() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let smuggled = "GET /things/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = format!(
        "POST /limited/a HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nContent-Length: {}\r\n\r\n{smuggled}",
        world.port(),
        smuggled.len()
    );
    let last = format!(
        "GET /things/last HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n",
        world.port()
    );
    // Three pass, the fourth is refused before its body is read, and what follows is read as what it is or not at all.
    let answer = world.raw([post.repeat(4), last].concat().as_bytes()).await;
    let statuses: Vec<u16> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|part| part.get(..3)?.parse().ok())
        .collect();
    assert_eq!(statuses[..4], [200, 200, 200, 429], "{answer}");
    assert!(matches!(statuses[4..], [] | [200]), "{statuses:?}");
    let seen = world.upstream.take();
    assert!(seen.iter().all(|seen| !seen.target.contains("smuggled")));
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_that_no_token_names_is_no_new_caller() {
    let world = World::start();
    world.reload(|specs| {
        specs.push(RouteSpec {
            limits: vec![LimitSpec {
                by: [Dimension::Certificate].into(),
                ..LimitSpec::per_client(
                    1,
                    std::time::Duration::from_secs(3_600),
                    Strangers::ByNetwork,
                )
            }],
            ..spec("certified", "/certified/{*rest}")
        });
    });
    let ask = async |identity: &TlsIdentity, bearer: &str| {
        let fields = [("authorization", bearer)];
        let client = world.client(Some(identity));
        let path = "/certified/a";
        let answer = world.send(&client, Method::GET, path, &fields, "".into());
        answer.await.status
    };
    let certificates = [world.proxy_certificate(), world.proxy_certificate()];
    let unbound = world.bearer(|_| {});
    let mut statuses = Vec::new();
    for (identity, _) in &certificates {
        statuses.push(ask(identity, &unbound).await.as_u16());
    }
    assert_eq!(statuses, [200, 429], "one client, whatever it shows");
    for (identity, thumbprint) in &certificates {
        let bound = world.bearer(|claims| {
            claims["cnf"] = serde_json::json!({ "x5t#S256": thumbprint.to_string() });
        });
        assert_eq!(ask(identity, &bound).await, StatusCode::OK);
        assert_eq!(ask(identity, &bound).await, StatusCode::TOO_MANY_REQUESTS);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_paced_route_makes_wait_its_turn() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let ask = || async {
        let answer = world.get("/paced/a", &[("authorization", &bearer)]).await;
        answer.status.as_u16()
    };
    let before = std::time::Instant::now();
    let statuses = futures_util::join!(ask(), ask(), ask());
    let statuses = [statuses.0, statuses.1, statuses.2];
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!(passed >= 2 && statuses.iter().all(|status| matches!(status, 200 | 429)));
    // One a second, however they came.
    let least = std::time::Duration::from_secs(passed as u64 - 1);
    assert!(
        before.elapsed() >= least,
        "{:?} {statuses:?}",
        before.elapsed()
    );
    assert_eq!(world.upstream.take().len(), passed);
    world.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_in_the_log_and_not_written_one_by_one() {
    let audit = AuditOptions {
        refusals_per_second: 2,
        ..AuditOptions::default()
    };
    let world = World::with(Setup {
        audit,
        ..Setup::default()
    });
    let bearer = world.bearer(|_| {});
    let client = world.client(None);
    let mut refused = 0;
    let before = std::time::Instant::now();
    for _ in 0..40 {
        let fields = [("authorization", bearer.as_str())];
        let answer = world
            .send(&client, Method::GET, "/limited/a", &fields, "".into())
            .await;
        refused += u64::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    let seconds = before.elapsed().as_secs() + 1;
    assert_eq!(refused, 37);
    let text = world.log_text().await;
    let single = text.matches("\"rate_limited\"").count() as u64;
    assert!(
        (1..=2 * (seconds + 1)).contains(&single),
        "{single} in {seconds} s"
    );
    world.stop().await;
}
