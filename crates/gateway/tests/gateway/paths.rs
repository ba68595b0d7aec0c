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
async fn path_1_to_path_12_ambiguous_targets_never_reach_an_upstream() {
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
