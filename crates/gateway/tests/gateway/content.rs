//! Bodies that are read before the decision: attributes for policy that stand in them, and what is refused on the way.

use crate::routes::spec;
use crate::world::{ALICE, BOB, World};
use bytes::Bytes;
use countersign_gateway::forward_auth::{Answers, ForwardAuth, PATH, TrustedProxy};
use countersign_gateway::routes::{
    ActionSpec, AttributeSource, ResourceId, ResourceSpec, RouteSpec,
};
use countersign_net::ClientResponse;
use http::{Method, StatusCode};
use std::collections::BTreeMap;

/// An order whose owner and region stand in the body.
pub fn from_body() -> RouteSpec {
    let body = |pointer: &str, kind: Option<&str>| AttributeSource::Body {
        pointer: pointer.parse().unwrap(),
        kind: kind.map(str::to_owned),
    };
    let action = ActionSpec {
        action: "read_order".to_owned(),
        scopes: "orders.read".parse().unwrap(),
    };
    RouteSpec {
        resource: ResourceSpec::Entity {
            kind: "Order".to_owned(),
            id: ResourceId::Path,
            attributes: BTreeMap::from([
                ("owner".to_owned(), body("/customer/id", Some("User"))),
                ("region".to_owned(), body("/region", None)),
            ]),
        },
        actions: ["GET", "POST"]
            .map(|method| (method.to_owned(), action.clone()))
            .into(),
        ..spec("from-body", "/from-body/{order}")
    }
}

fn world() -> World {
    let world = World::start();
    world.reload(|specs| specs.push(from_body()));
    world
}

async fn post(world: &World, fields: &[(&str, &str)], body: String) -> ClientResponse {
    let bearer = world.bearer(|_| {});
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(fields);
    let client = world.client(None);
    world
        .send(
            &client,
            Method::POST,
            "/from-body/7",
            &all,
            Bytes::from(body),
        )
        .await
}

fn order(owner: &str, region: &str) -> String {
    format!("{{ \"customer\": {{\"id\": \"{owner}\"}}, \"region\": \"{region}\", \"n\": 1.50 }}")
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn policy_sees_what_stands_in_the_body_and_the_upstream_gets_the_same_bytes() {
    let world = world();
    let answer = post(&world, &[JSON], order(ALICE, "eu")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = world.upstream.take_one();
    assert_eq!(seen.body.unwrap(), order(ALICE, "eu"));
    for other in [order(BOB, "eu"), order(ALICE, "us")] {
        let answer = post(&world, &[JSON], other).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "nothing_permits");
    world.stop().await;
}

#[tokio::test]
async fn an_attribute_that_is_not_there_as_it_has_to_be_is_no_permit() {
    let world = world();
    for body in [
        "{}".to_owned(),
        format!("{{\"customer\":{{\"id\":[\"{ALICE}\"]}},\"region\":\"eu\"}}"),
        format!("{{\"customer\":{{\"id\":\"{ALICE}\"}},\"region\":null}}"),
    ] {
        let answer = post(&world, &[JSON], body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let answer = post(&world, &[JSON], order(ALICE, "eu")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(world.upstream.take().len(), 1);
    World::assert_logged(&world.log_text().await, "content_attribute");
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_two_readers_read_differently_is_refused_and_recorded() {
    let world = world();
    let good = order(ALICE, "eu");
    let twice = format!("{},\"region\":\"us\"}}", good.trim_end_matches(" }"));
    let deep = format!(
        "{},\"deep\":{}{}}}",
        good.trim_end_matches(" }"),
        "[".repeat(70),
        "]".repeat(70)
    );
    let huge = good.replace("1.50", "100000000000000000000000000");
    let long = good.replace("1.50", &format!("\"{}\"", "x".repeat(1_000)));
    let gzip = ("content-encoding", "gzip");
    for (fields, body, status, code) in [
        (vec![JSON], twice, 400, "content_json_duplicate"),
        (vec![JSON], deep, 400, "content_json_depth"),
        (vec![JSON], huge, 400, "content_json_number"),
        (
            vec![JSON],
            good.replace('}', ""),
            400,
            "content_json_syntax",
        ),
        (vec![JSON], long, 413, "body_too_large"),
        (vec![JSON, gzip], good.clone(), 415, "content_encoded"),
        (
            vec![("content-type", "text/plain")],
            good.clone(),
            415,
            "content_media_type",
        ),
        (vec![], good.clone(), 415, "content_media_type"),
    ] {
        let answer = post(&world, &fields, body).await;
        assert_eq!(answer.status.as_u16(), status, "{code}");
        World::assert_logged(&world.log_text().await, code);
    }
    assert!(world.upstream.take().is_empty());
    assert_eq!(post(&world, &[JSON], good).await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused_before_anybody_decides() {
    let world = world();
    let bearer = world.bearer(|_| {});
    let head = format!(
        "POST /from-body/7 HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        world.port()
    );
    let body = order(ALICE, "eu");
    let whole = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let broken = format!("{head}{:x}\r\n{body}\r\nzz\r\n", body.len());
    world.raw(broken.as_bytes()).await;
    assert!(world.upstream.take().is_empty());
    let closing = whole.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    assert_eq!(
        crate::world::status(&world.raw(closing.as_bytes()).await),
        200
    );
    assert_eq!(world.upstream.take_one().body.unwrap(), body);
    world.stop().await;
}

#[tokio::test]
async fn a_proxy_that_keeps_the_body_gets_no_permit_for_it() {
    let world = World::start();
    let secret = "0123456789abcdef0123456789abcdef";
    let secret_of_proxy = countersign_base::Secret::new(secret.to_owned());
    let proxy = TrustedProxy::new(Some(&secret_of_proxy), None, Answers::Exact).unwrap();
    let mut specs = crate::routes::specs();
    specs.push(from_body());
    specs.push(spec("unread", "/unread"));
    let routes = crate::routes::built(&world.authority, &world.upstream, specs);
    world.replace(routes.asked_by(ForwardAuth::new(vec![proxy])));
    let bearer = world.bearer(|_| {});
    let host = format!("localhost:{}", world.port());
    for (path, status) in [("/from-body/7", 400), ("/unread", 200)] {
        let fields = [
            ("countersign-proxy-secret", secret),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-uri", path),
            ("x-forwarded-host", &host),
            ("authorization", &bearer),
        ];
        let answer = world.get(PATH, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    World::assert_logged(&world.log_text().await, "forward_body");
    world.stop().await;
}
