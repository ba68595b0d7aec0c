//! What an upstream gets to see of a caller's fields.

use crate::world::{ALICE, World};
use http::HeaderName;

#[tokio::test]
async fn hdr_1_to_hdr_6_trusted_fields_are_ours_alone() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("countersign-subject", "evil"),
        ("Countersign_Subject", "evil"),
        ("countersign-scopes", "evil"),
        ("x-forwarded-for", "evil"),
        ("X_Forwarded_For", "evil"),
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
