//! Attributes of objects that the gateway looks up before it decides: owners above all.

use crate::routes::{built, spec, specs};
use crate::world::{ALICE, BOB, World, roots};
use countersign_gateway::attributes::SourceSpec;
use countersign_gateway::routes::{
    ActionSpec, AttributeSource, ResourceId, ResourceSpec, RouteSpec,
};
use countersign_net::tls::Alpn;
use countersign_net::{TlsClient, TlsIdentity};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// Orders whose owner and region another service knows.
fn owned() -> RouteSpec {
    let from = |field: &str, kind: Option<&str>| AttributeSource::Source {
        source: "orders".to_owned(),
        parameter: "order".to_owned(),
        field: field.parse().unwrap(),
        kind: kind.map(str::to_owned),
    };
    let attributes = [
        ("owner".to_owned(), from("/owner/id", Some("User"))),
        ("region".to_owned(), from("/region", None)),
    ];
    let action = ActionSpec {
        action: "read_order".to_owned(),
        scopes: "orders.read".parse().unwrap(),
    };
    RouteSpec {
        resource: ResourceSpec::Entity {
            kind: "Order".to_owned(),
            id: ResourceId::Parameter("order".to_owned()),
            attributes: attributes.into(),
        },
        actions: [("GET".to_owned(), action)].into(),
        ..spec("owned", "/owned/{order}")
    }
}

/// A world with the route and its source, whose answers count so long.
fn world(ttl: Duration) -> World {
    let world = World::start();
    let identity =
        TlsIdentity::from_issued(&world.authority.client("spiffe://example/gateway")).unwrap();
    let source = SourceSpec {
        name: "orders".to_owned(),
        url: format!(
            "https://localhost:{}/objects/{{}}",
            world.upstream.address.port()
        ),
        tls: TlsClient::new(&roots(&world.authority), Some(&identity), Alpn::Http1).unwrap(),
        ttl,
        negative_ttl: ttl,
        timeout: Duration::from_secs(5),
        concurrency: 4,
    };
    let mut all = specs();
    all.push(owned());
    let routes = built(&world.authority, &world.upstream, all);
    world.replace(routes.looking_up(vec![source]).unwrap());
    world
}

fn say(world: &World, id: &str, status: u16, body: &str) {
    let mut objects = world.upstream.objects.lock().unwrap();
    objects.insert(id.to_owned(), (status, body.to_owned()));
}

fn order(owner: &str) -> String {
    json!({ "owner": { "id": owner }, "region": "eu" }).to_string()
}

async fn get(world: &World, path: &str) -> StatusCode {
    let bearer = world.bearer(|_| {});
    world.get(path, &[("authorization", &bearer)]).await.status
}

/// How often the source was asked, and the upstream.
fn asked(world: &World) -> (usize, usize) {
    let (source, upstream): (Vec<_>, Vec<_>) = world
        .upstream
        .take()
        .into_iter()
        .partition(|seen| seen.target.starts_with("/objects/"));
    assert!(
        source.iter().all(|seen| !seen.peer.is_empty()),
        "it sees a certificate"
    );
    assert!(
        source
            .iter()
            .all(|seen| !seen.headers.contains_key("authorization"))
    );
    (source.len(), upstream.len())
}

#[tokio::test]
async fn only_the_owner_whom_the_source_names_reads_an_order() {
    let world = world(Duration::from_secs(3_600));
    say(&world, "7", 200, &order(ALICE));
    say(&world, "8", 200, &order(BOB));
    assert_eq!(get(&world, "/owned/7").await, StatusCode::OK);
    assert_eq!(get(&world, "/owned/8").await, StatusCode::FORBIDDEN);
    // Both fields, and every request after the first, from one answer each.
    assert_eq!(get(&world, "/owned/7").await, StatusCode::OK);
    assert_eq!(asked(&world), (2, 2));
    // Whose object it is counts as long as the answer does.
    say(&world, "7", 200, &order(BOB));
    assert_eq!(get(&world, "/owned/7").await, StatusCode::OK);
    assert_eq!(asked(&world).0, 0);
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_used_beyond_its_time() {
    let world = world(Duration::ZERO);
    say(&world, "7", 200, &order(ALICE));
    assert_eq!(get(&world, "/owned/7").await, StatusCode::OK);
    say(&world, "7", 200, &order(BOB));
    assert_eq!(get(&world, "/owned/7").await, StatusCode::FORBIDDEN);
    assert_eq!(asked(&world), (2, 1));
    world.stop().await;
}

#[tokio::test]
async fn requests_about_one_object_wait_for_one_answer() {
    let world = world(Duration::from_secs(3_600));
    say(&world, "7", 200, &order(ALICE));
    let all = (0..8).map(|_| get(&world, "/owned/7"));
    let all = futures_util::future::join_all(all).await;
    assert!(
        all.iter().all(|status| *status == StatusCode::OK),
        "{all:?}"
    );
    assert_eq!(asked(&world), (1, 8));
    world.stop().await;
}

#[tokio::test]
async fn without_an_answer_there_is_no_decision() {
    let world = world(Duration::from_secs(3_600));
    say(&world, "good", 200, &order(ALICE));
    for (id, status, body) in [
        ("500", 500, order(ALICE)),
        ("302", 302, order(ALICE)),
        ("204", 204, String::new()),
        ("text", 200, "owner".to_owned()),
        ("list", 200, json!([{ "owner": ALICE }]).to_string()),
        (
            "number",
            200,
            json!({ "owner": { "id": 7 }, "region": "eu" }).to_string(),
        ),
        (
            "empty",
            200,
            json!({ "owner": { "id": "" }, "region": "eu" }).to_string(),
        ),
        ("half", 200, json!({ "owner": { "id": ALICE } }).to_string()),
        (
            "null",
            200,
            json!({ "owner": { "id": ALICE }, "region": null }).to_string(),
        ),
        (
            "twice",
            200,
            format!(r#"{{"owner":{{"id":"{BOB}"}},"owner":{{"id":"{ALICE}"}},"region":"eu"}}"#),
        ),
        (
            "huge",
            200,
            json!({ "owner": { "id": ALICE }, "region": "e".repeat(70_000) }).to_string(),
        ),
        (
            "long",
            200,
            json!({ "owner": { "id": ALICE }, "region": "e".repeat(2_000) }).to_string(),
        ),
    ] {
        say(&world, id, status, &body);
        let answer = get(&world, &format!("/owned/{id}")).await;
        assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE, "{id}");
    }
    // What is not there is told like what is somebody else's.
    assert_eq!(get(&world, "/owned/nowhere").await, StatusCode::FORBIDDEN);
    assert_eq!(asked(&world).1, 0, "nothing was passed on");
    assert_eq!(get(&world, "/owned/good").await, StatusCode::OK);
    let log = world.log_text().await;
    for reason in [
        "attributes_unavailable",
        "attributes_unknown",
        "attributes_broken",
    ] {
        World::assert_logged(&log, reason);
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_of_a_type_that_the_schema_does_not_know_is_denied() {
    let world = world(Duration::from_secs(3_600));
    let wrong = json!({ "owner": { "id": ALICE }, "region": true });
    say(&world, "7", 200, &wrong.to_string());
    assert_eq!(get(&world, "/owned/7").await, StatusCode::FORBIDDEN);
    World::assert_logged(&world.log_text().await, "query_invalid");
    world.stop().await;
}

#[tokio::test]
async fn strangers_cause_no_look_up() {
    let world = world(Duration::from_secs(3_600));
    say(&world, "7", 200, &order(ALICE));
    assert_eq!(
        world.get("/owned/7", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(asked(&world), (0, 0));
    world.stop().await;
}
