//! Pages of other origins, cookies, and what browsers are told.

use crate::world::{World, status};
use countersign_gateway::cors::{CorsSpec, Credentials};
use http::{Method, header};
use std::time::Duration;

const APP: &str = "https://app.example";

/// A world whose route `things` may be called by pages of [`APP`], and `passed` with cookies too.
fn world() -> World {
    let world = World::start();
    world.reload(|specs| {
        for spec in specs {
            let credentials = match spec.id.as_str() {
                "things" => Credentials::Refused,
                "passed" => Credentials::Allowed,
                _ => continue,
            };
            spec.cors = Some(CorsSpec {
                origins: [APP.parse().unwrap()].into(),
                headers: ["authorization", "content-type", "dpop"]
                    .map(str::to_owned)
                    .into(),
                expose: ["x-from-upstream", "dpop-nonce"].map(str::to_owned).into(),
                credentials,
                max_age: Duration::from_secs(600),
            });
        }
    });
    world
}

/// A preflight's status and fields.
async fn preflight(world: &World, path: &str, fields: &[(&str, &str)]) -> (u16, http::HeaderMap) {
    let client = world.client(None);
    let answer = world.send(&client, Method::OPTIONS, path, fields, Default::default());
    let answer = answer.await;
    (answer.status.as_u16(), answer.headers)
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_gateway_and_reaches_nobody() {
    let world = world();
    let asks = |origin, method| {
        [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization"),
        ]
    };
    let (status, headers) = preflight(&world, "/things/a", &asks(APP, "POST")).await;
    assert_eq!(status, 204);
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value("access-control-allow-origin"), Some(APP));
    assert_eq!(
        value("access-control-allow-methods"),
        Some("GET, HEAD, POST, PUT")
    );
    assert_eq!(
        value("access-control-allow-headers"),
        Some("authorization, content-type, dpop")
    );
    assert_eq!(value("access-control-max-age"), Some("600"));
    assert_eq!(value("access-control-allow-credentials"), None);
    assert!(value("vary").unwrap().starts_with("Origin"));
    let (status, headers) = preflight(&world, "/passed/a", &asks(APP, "GET")).await;
    assert_eq!(
        (
            status,
            headers
                .get("access-control-allow-credentials")
                .unwrap()
                .to_str()
                .unwrap()
        ),
        (204, "true")
    );
    // Another origin, a field or a method that is not allowed, a route without rules, a path without route.
    for (path, fields, expected) in [
        ("/things/a", asks("https://evil.example", "POST"), 403),
        ("/things/a", asks("null", "POST"), 403),
        ("/things/a", asks("http://app.example", "POST"), 403),
        (
            "/things/a",
            [
                ("origin", APP),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "authorization, x-other"),
            ],
            403,
        ),
        ("/things/a", asks(APP, "DELETE"), 404),
        ("/open/a", asks(APP, "GET"), 404),
        ("/nowhere", asks(APP, "GET"), 404),
    ] {
        let (status, headers) = preflight(&world, path, &fields).await;
        assert_eq!(status, expected, "{path} {fields:?}");
        assert!(
            !headers
                .keys()
                .any(|name| name.as_str().starts_with("access-control-")),
            "{path} {headers:?}"
        );
    }
    assert!(world.upstream.take().is_empty());
    let text = world.log_text().await;
    World::assert_logged(&text, "preflight_origin");
    World::assert_logged(&text, "preflight_field");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_names_the_one_origin_that_asked_or_none() {
    let world = world();
    let bearer = world.bearer(|_| {});
    for (path, origin, told, credentials) in [
        ("/things/a", Some(APP), Some(APP), false),
        ("/passed/a", Some(APP), Some(APP), true),
        ("/things/a", Some("https://evil.example"), None, false),
        ("/passed/a", Some("null"), None, false),
        ("/things/a", None, None, false),
    ] {
        for (authorization, expected) in [(bearer.as_str(), 200), ("Bearer x", 401)] {
            let mut fields = vec![("authorization", authorization)];
            fields.extend(origin.map(|origin| ("origin", origin)));
            let answer = world.get(path, &fields).await;
            assert_eq!(answer.status, expected, "{path} {origin:?}");
            let value = |name: &str| {
                let values: Vec<_> = answer.headers.get_all(name).iter().collect();
                assert!(values.len() <= 1, "{name} {values:?}");
                values.first().map(|value| value.to_str().unwrap())
            };
            assert_eq!(
                value("access-control-allow-origin"),
                told,
                "{path} {origin:?}"
            );
            assert_eq!(
                value("access-control-allow-credentials"),
                credentials.then_some("true")
            );
            assert_eq!(value("vary"), Some("Origin"), "{path} {origin:?}");
            let exposed = value("access-control-expose-headers");
            assert_eq!(exposed.is_some(), told.is_some());
        }
    }
    // The upstream says `*` to everybody; on a route without rules nobody hears of it.
    let answer = world
        .get("/http2/a", &[("authorization", &bearer), ("origin", APP)])
        .await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    world.stop().await;
}

#[tokio::test]
async fn the_fabrics_cookies_go_no_further() {
    let world = world();
    let bearer = world.bearer(|_| {});
    let fields = [
        ("authorization", bearer.as_str()),
        ("cookie", "a=b; __Host-session-demo=canary; c=d"),
        ("cookie", "__Host-browser-demo=canary"),
    ];
    let answer = world.get("/things/a", &fields).await;
    let seen = world.upstream.take_one().headers;
    assert!(!format!("{seen:?}").contains("canary"));
    assert_eq!(seen.get("cookie").unwrap(), "a=b; c=d");
    // What the upstream sets: its own, and one in the fabric's name.
    let set: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(set, ["own=1; Path=/"]);
    world.stop().await;
}

#[tokio::test]
async fn what_the_gateway_says_itself_is_no_page() {
    let world = world();
    let head =
        |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for (line, expected) in [
        ("GET /nowhere", 404),
        ("GET /things/a", 401),
        ("GET /things/..", 400),
        ("CONNECT localhost:443", 400),
    ] {
        let answer = world.raw(head(line).as_bytes()).await.to_ascii_lowercase();
        assert_eq!(status(&answer), expected, "{line}");
        for field in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "referrer-policy: no-referrer",
            "strict-transport-security: max-age=",
            "x-frame-options: deny",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(field), "{line}: {field}: {answer}");
        }
    }
    world.stop().await;
}
