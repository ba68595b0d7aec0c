//! How often, how much, and what happens when the log takes no more.

use crate::world::{Setup, World};
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
