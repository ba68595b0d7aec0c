//! Targets that two readers could read differently, over real sockets: refused, or the same for routing, record and upstream.

use crate::world::{World, status};
use http::Method;

/// A target is refused with 400, and its twin goes through to the upstream as it is.
async fn refused(world: &World, target: &str, twin: &str) {
    assert_eq!(world.raw_get(target).await, 400, "{target}");
    assert!(world.upstream.take().is_empty(), "{target}");
    assert_eq!(world.raw_get(twin).await, 200, "{twin}");
    assert_eq!(world.upstream.take_one().target, twin);
}

#[tokio::test]
async fn path_1_2_3_4_5_6_7_8_9_10_12_15_g10_ambiguous_targets_never_reach_an_upstream() {
    let world = World::start();
    for target in [
        "/things/../admin/x",
        "/things/%2e%2e/admin/x",
        "/things/%2E./admin/x",
        "/things/a%2Fb",
        "/things/..%2f..%2fadmin/x",
        "/things/a%5Cb",
        "/things//admin",
        "//things/a",
        "/things/a;b=c",
        "/things/..;/admin",
        "/things/a%00",
        "/things/a%23b",
        "/things/a#b",
        "/things/a?b#c",
        "/things/a%2etxt",
        "/things/%c3%A9",
        "/things/a\\b",
        "/things/a%3Fb",
        "/things/%252e%252e/admin",
        "/things/a%252Fb",
        "/things/a.",
        "/things/a%20",
        "/things/%ff",
        "/things/%",
        "/things/a?b=%00",
    ] {
        refused(&world, target, "/things/a").await;
    }
    let text = world.log_text().await;
    for reason in [
        "target_dot_segment",
        "target_separator",
        "target_empty_segment",
        "target_control",
        "target_escape",
        "target_utf8",
        "framing_request_line",
    ] {
        World::assert_logged(&text, reason);
    }
    world.stop().await;
}

#[tokio::test]
async fn g5_a_path_through_an_open_route_does_not_reach_a_closed_one() {
    let world = World::start();
    assert_eq!(world.get("/open/a", &[]).await.status, 200);
    world.upstream.take_one();
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    };
    for target in [
        "/open/../things/a",
        "/open/%2e%2e/things/a",
        "/open/..%2fthings/a",
    ] {
        assert_eq!(
            status(&world.raw(head(target).as_bytes()).await),
            400,
            "{target}"
        );
    }
    assert!(world.upstream.take().is_empty());
    world.stop().await;
}

/// Ways to write `/things/private/x`, on which a policy denies everybody everything, and of which the route knows nothing.
const PRIVATE: [&str; 34] = [
    "/things/private/x",
    "/things/public/../private/x",
    "/things/./private/x",
    "/things/public/%2e%2e/private/x",
    "/things/public/.%2E/private/x",
    "/open/../things/private/x",
    "/things%2Fprivate/x",
    "/things%2fprivate%2fx",
    "/things/private%2Fx",
    "/things\\private/x",
    "/things/private\\x",
    "/things/%5cprivate/x",
    "/things/private%5Cx",
    "//things/private/x",
    "/things//private/x",
    "/things/private//x",
    "/things/private;v=1/x",
    "/things/;/private/x",
    "/things/private%3B/x",
    "/things/private%00/x",
    "/things/private#/x",
    "/things/private/x#",
    "/things/public#/../private/x",
    "/things/private%23/x",
    "/things/private%3F/x",
    "/things/%2570rivate/x",
    "/things/public/%252e%252e/private/x",
    "/things/private%252Fx",
    "/things/%70rivate/x",
    "/things/p%72iv%61te/x",
    "/things/private./x",
    "/things/private%20/x",
    "/things/private%ff/x",
    "/things/private/%c0%ae%c0%ae/x",
];

#[tokio::test]
async fn g1_g2_g3_g4_g6_g9_g10_no_spelling_of_a_path_gets_past_a_rule() {
    let world = World::start();
    for target in PRIVATE {
        let status = world.raw_get(target).await;
        assert!(matches!(status, 400 | 403), "{target} {status}");
    }
    assert_eq!(world.raw_get(&world.url("/things/private/x")).await, 403);
    assert!(world.upstream.take().is_empty());
    // Decoded once it is the denied path, and the rule saw it so.
    for target in [
        "/things/%70rivate/x",
        "/things/private/x",
        "/things/private",
    ] {
        assert_eq!(world.raw_get(target).await, 403, "{target}");
    }
    World::assert_logged(&world.log_text().await, "nobody-in-private");
    for twin in [
        "/things/public/x",
        "/things/public/..x",
        "/things/privately",
    ] {
        assert_eq!(world.raw_get(twin).await, 200, "{twin}");
        assert_eq!(world.upstream.take_one().target, twin);
    }
    world.stop().await;
}

#[tokio::test]
async fn g12_path_11_paths_keep_their_case_with_and_without_escapes() {
    let world = World::start();
    // An upstream that folds case would read these as the denied path; ours is told exactly what the rule was asked about.
    for (sent, canonical) in [
        ("/things/PRIVATE/x", "/things/PRIVATE/x"),
        ("/things/%50RIVATE/x", "/things/PRIVATE/x"),
        ("/things/PRIV%41TE/x%20y", "/things/PRIVATE/x%20y"),
    ] {
        assert_eq!(world.raw_get(sent).await, 200, "{sent}");
        assert_eq!(world.upstream.take_one().target, canonical, "{sent}");
    }
    assert_eq!(world.raw_get("/THINGS/private/x").await, 404);
    assert_eq!(world.raw_get("/%54hings/private/x").await, 404);
    world.stop().await;
}

#[tokio::test]
async fn g11_path_8_an_anonymous_pattern_ends_where_it_says() {
    let world = World::start();
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    };
    for (target, expected) in [
        ("/open/a#/things/a", 400),
        ("/things/a#/open/a", 400),
        ("/openly", 404),
        ("/open", 404),
        ("/things/open/a", 401),
        ("/things/a?/open/a", 401),
        ("/things/a/open/", 401),
        ("/open/a;/things/a", 400),
        ("/open%2Fa", 400),
    ] {
        let answer = world.raw(head(target).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{target}");
    }
    assert!(world.upstream.take().is_empty());
    assert_eq!(status(&world.raw(head("/open/a").as_bytes()).await), 200);
    world.stop().await;
}

#[tokio::test]
async fn g13_path_5_path_17_what_policy_sees_is_what_the_upstream_gets() {
    let world = World::start();
    for target in ["//things/private", "//things.example/things/private", "///"] {
        assert_eq!(world.raw_get(target).await, 400, "{target}");
    }
    assert!(world.upstream.take().is_empty());
    // The id of the resource in the record is the path itself: the record, policy and upstream agree.
    let sent = format!("/regions/%65u/customers/{}/orders/%37", crate::world::ALICE);
    assert_eq!(world.raw_get(&sent).await, 200);
    let canonical = format!("/regions/eu/customers/{}/orders/7", crate::world::ALICE);
    assert_eq!(world.upstream.take_one().target, canonical);
    world.stop().await;
}

#[tokio::test]
async fn path_13_absolute_form_and_path_14_differing_hosts() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let send = |target: String, host: String| {
        let (world, bearer) = (&world, &bearer);
        async move {
            let head = format!(
                "GET {target} HTTP/1.1\r\n{host}Authorization: {bearer}\r\nConnection: close\r\n\r\n"
            );
            status(&world.raw(head.as_bytes()).await)
        }
    };
    let here = format!("Host: localhost:{}\r\n", world.port());
    assert_eq!(send(world.url("/things/a"), here.clone()).await, 200);
    assert_eq!(world.upstream.take_one().target, "/things/a");
    assert_eq!(
        send(world.url("/things/a"), "Host: other.example\r\n".to_owned()).await,
        400
    );
    let over_http = world.url("/things/a").replace("https:", "http:");
    assert_eq!(send(over_http, here.clone()).await, 400);
    let with_user = world.url("/things/a").replace("://", "://user@");
    assert_eq!(send(with_user, here.clone()).await, 400);
    assert_eq!(
        send("/things/a".to_owned(), format!("{here}{here}")).await,
        400
    );
    assert_eq!(send("/things/a".to_owned(), String::new()).await, 400);
    assert_eq!(
        send("/things/a".to_owned(), "Host: evil.example\r\n".to_owned()).await,
        404
    );
    assert_eq!(send("*".to_owned(), here.clone()).await, 400);
    assert_eq!(send("/things/a".to_owned(), here).await, 200);
    world.stop().await;
}

#[tokio::test]
async fn path_17_what_is_routed_is_what_the_upstream_gets() {
    let world = World::start();
    for (sent, canonical) in [
        ("/things/%41%2d%7e", "/things/A-~"),
        ("/things/caf%c3%a9", "/things/caf%C3%A9"),
        ("/things/a%3ab?x=%41&y=%2f+z", "/things/a:b?x=A&y=%2F+z"),
        ("/things/a/", "/things/a/"),
    ] {
        assert_eq!(world.raw_get(sent).await, 200, "{sent}");
        assert_eq!(world.upstream.take_one().target, canonical);
    }
    world.stop().await;
}

#[tokio::test]
async fn no_route_is_denied_and_recorded() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(world.get("/nowhere", &fields).await.status, 404);
    let delete = world
        .send(
            &world.client(None),
            Method::DELETE,
            "/things/a",
            &fields,
            Default::default(),
        )
        .await;
    assert_eq!(delete.status, 404);
    assert_eq!(world.get("/things/a", &fields).await.status, 200);
    let text = world.log_text().await;
    World::assert_logged(&text, "no_route_path");
    World::assert_logged(&text, "no_route_method");
    world.stop().await;
}

#[tokio::test]
async fn reloaded_routes_count_from_the_next_request_on() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    let client = world.client(None);
    let get = async || {
        world
            .send(
                &client,
                Method::GET,
                "/things/a",
                &fields,
                Default::default(),
            )
            .await
            .status
    };
    assert_eq!(get().await, 200);
    world.reload(|specs| specs.retain(|spec| spec.id.as_str() != "things"));
    assert_eq!(get().await, 404);
    world.reload(|_| {});
    assert_eq!(get().await, 200);
    world.stop().await;
}
