//! What an upstream gets to see of a caller's fields.

use crate::world::{ALICE, World};
use http::HeaderName;

#[tokio::test]
async fn hdr_1_hdr_3_hdr_4_hdr_6_g15_g16_g17_g18_g20_trusted_fields_are_ours_alone() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("countersign-subject", "evil"),
        ("Countersign-Subject", "evil, evil"),
        ("countersign-scopes", "evil"),
        ("x-forwarded-for", "evil"),
        ("X-Forwarded-For", "evil, 192.0.2.1"),
        ("x-forwarded-proto", "evil"),
        ("x-forwarded-prefix", "evil"),
        ("x-forwarded-uri", "evil"),
        ("forwarded", "for=evil"),
        ("x-real-ip", "evil"),
        ("x-original-url", "/evil"),
        ("remote-user", "evil"),
        ("x-http-method-override", "DELETE"),
        ("connection", "x-mine, x-forwarded-for, countersign-subject"),
        ("x-mine", "evil"),
        ("accept", "text/plain"),
        ("cookie", "a=b"),
    ];
    assert_eq!(world.get("/things/a", &fields).await.status, 200);
    let seen = world.upstream.take_one().headers;
    let evil: Vec<&HeaderName> = seen
        .iter()
        .filter(|(_, value)| value.to_str().unwrap().contains("evil"))
        .map(|(name, _)| name)
        .collect();
    assert!(evil.is_empty(), "{evil:?}");
    let value = |name: &str| {
        seen.get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(value("countersign-subject").as_deref(), Some(ALICE));
    assert_eq!(value("countersign-client").as_deref(), Some("portal"));
    assert_eq!(value("countersign-tenant").as_deref(), Some("demo"));
    assert_eq!(
        value("countersign-scopes").as_deref(),
        Some("orders.read orders.write")
    );
    assert_eq!(value("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(value("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(
        value("x-forwarded-host"),
        Some(format!("localhost:{}", world.port()))
    );
    assert_eq!(
        value("host"),
        Some(format!("localhost:{}", world.upstream.address.port()))
    );
    assert_eq!(
        (value("accept").as_deref(), value("cookie").as_deref()),
        (Some("text/plain"), Some("a=b"))
    );
    for gone in [
        "authorization",
        "x-http-method-override",
        "forwarded",
        "x-mine",
    ] {
        assert_eq!(value(gone), None, "{gone}");
    }
    // The request and its decision can be found in the log.
    let text = world.log_text().await;
    World::assert_logged(&text, &value("countersign-request-id").unwrap());
    World::assert_logged(&text, &value("countersign-decision").unwrap());
    world.stop().await;
}

#[tokio::test]
async fn g22_an_anonymous_request_has_no_identity_fields() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    assert_eq!(
        world
            .get(
                "/open/a",
                &[
                    ("countersign-subject", "evil"),
                    ("countersign-client", "evil")
                ]
            )
            .await
            .status,
        200
    );
    let seen = world.upstream.take_one().headers;
    assert!(!seen.contains_key("countersign-subject") && !seen.contains_key("countersign-client"));
    assert_eq!(
        world
            .get(
                "/open/a",
                &[("countersign-subject", "evil"), ("authorization", &bearer)]
            )
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .upstream
            .take_one()
            .headers
            .get_all("countersign-subject")
            .iter()
            .collect::<Vec<_>>(),
        [ALICE]
    );
    world.stop().await;
}

#[tokio::test]
async fn the_callers_token_goes_on_only_where_the_route_says_so() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(world.get("/passed/a", &fields).await.status, 200);
    assert_eq!(
        world
            .upstream
            .take_one()
            .headers
            .get("authorization")
            .unwrap(),
        bearer.as_str()
    );
    assert_eq!(world.get("/things/a", &fields).await.status, 200);
    assert!(
        !world
            .upstream
            .take_one()
            .headers
            .contains_key("authorization")
    );
    world.stop().await;
}

#[tokio::test]
async fn fields_of_one_hop_do_not_come_back() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
    assert!(!answer.headers.contains_key("keep-alive"));
    assert_eq!(answer.headers.get("x-from-upstream").unwrap(), "yes");
    world.stop().await;
}

/// A caller without a connection of its own sends these fields to `/things/a` with a good token.
async fn sent(world: &World, fields: &[(&str, &str)]) -> u16 {
    let bearer = world.bearer(|_| {});
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(fields);
    world.get("/things/a", &all).await.status.as_u16()
}

#[tokio::test]
async fn hdr_2_g14_a_trusted_name_in_another_spelling_is_refused() {
    let world = World::start();
    for name in [
        "countersign_subject",
        "Countersign_Subject",
        "countersign.subject",
        "x_forwarded_proto",
        "x-forwarded_for",
        "X_Real_Ip",
        "remote_user",
        "x_http_method_override",
        "content_length",
        "transfer_encoding",
    ] {
        assert_eq!(sent(&world, &[(name, "evil")]).await, 400, "{name}");
        let dashed = name.replace(['_', '.'], "-");
        assert_eq!(
            sent(&world, &[(&dashed, "1"), (name, "evil")]).await,
            400,
            "{name} beside {dashed}"
        );
    }
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "field_spelling");
    assert_eq!(sent(&world, &[("request_id", "1")]).await, 200);
    assert_eq!(
        world.upstream.take_one().headers.get("request_id").unwrap(),
        "1"
    );
    world.stop().await;
}

#[tokio::test]
async fn g17_g20_trusted_fields_choose_neither_route_nor_bucket() {
    let world = World::start();
    let elsewhere = [
        ("x-forwarded-uri", "/open/a"),
        ("x-original-url", "/open/a"),
        ("x-rewrite-url", "/open/a"),
        ("x-forwarded-host", "open.example"),
        ("x-forwarded-method", "HEAD"),
    ];
    assert_eq!(world.get("/things/a", &elsewhere).await.status, 401);
    assert_eq!(world.get("/open/a", &elsewhere).await.status, 200);
    assert_eq!(world.upstream.take_one().target, "/open/a");
    // Strangers share a bucket by the address of their connection, whatever they say of themselves.
    let mut statuses = Vec::new();
    for number in 0..4 {
        let address = format!("192.0.2.{number}");
        let fields = [
            ("x-real-ip", address.as_str()),
            ("x-forwarded-for", address.as_str()),
            ("true-client-ip", address.as_str()),
            ("forwarded", address.as_str()),
        ];
        statuses.push(world.get("/open-limited/a", &fields).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert!(!world.log_text().await.contains("192.0.2."));
    world.stop().await;
}

#[tokio::test]
async fn hdr_4_hdr_5_hdr_7_g19_a_field_is_judged_on_all_its_values() {
    let world = World::start();
    let (good, other) = (world.bearer(|_| {}), world.bearer(|_| {}));
    let list = format!("{good}, {other}");
    for fields in [
        vec![
            ("authorization", good.as_str()),
            ("authorization", "Bearer x"),
        ],
        vec![
            ("authorization", "Bearer x"),
            ("authorization", good.as_str()),
        ],
        vec![("authorization", good.as_str()), ("authorization", &good)],
        vec![("authorization", list.as_str())],
        vec![
            ("authorization", good.as_str()),
            ("dpop", "a"),
            ("dpop", "b"),
        ],
        vec![
            ("authorization", good.as_str()),
            ("content-type", "text/plain"),
            ("content-type", "application/json"),
        ],
    ] {
        let status = world.get("/things/a", &fields).await.status.as_u16();
        assert!(matches!(status, 400 | 401), "{fields:?} {status}");
    }
    assert!(world.upstream.take().is_empty());
    // What is no rule's business goes on with all its values, in their order.
    let fields = [
        ("authorization", good.as_str()),
        ("accept", "a, b"),
        ("accept", "c"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(world.get("/things/a", &fields).await.status, 200);
    let seen = world.upstream.take_one().headers;
    let values: Vec<_> = seen.get_all("accept").iter().collect();
    assert_eq!(values, ["a, b", "c"]);
    world.stop().await;
}
