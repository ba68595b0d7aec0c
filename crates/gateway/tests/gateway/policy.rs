//! What policies see, and that their word is final.

use crate::world::{ALICE, BOB, World};
use http::StatusCode;

#[tokio::test]
async fn only_the_owner_in_the_region_reads_an_order() {
    let world = World::start();
    let alice = world.bearer(|_| {});
    let bob = world.bearer(|claims| claims["sub"] = BOB.into());
    let far = world.bearer(|claims| claims["attrs"]["region"] = "us".into());
    let path = |owner: &str, region: &str| format!("/regions/{region}/customers/{owner}/orders/7");
    let get = async |bearer: &str, path: String| {
        world.get(&path, &[("authorization", bearer)]).await.status
    };
    assert_eq!(get(&alice, path(ALICE, "eu")).await, StatusCode::OK);
    assert_eq!(get(&bob, path(ALICE, "eu")).await, StatusCode::FORBIDDEN);
    assert_eq!(get(&alice, path(BOB, "eu")).await, StatusCode::FORBIDDEN);
    assert_eq!(get(&alice, path(ALICE, "us")).await, StatusCode::FORBIDDEN);
    assert_eq!(get(&far, path(ALICE, "eu")).await, StatusCode::FORBIDDEN);
    assert_eq!(world.upstream.take().len(), 1);
    let text = world.log_text().await;
    World::assert_logged(&text, "owner-in-region");
    World::assert_logged(&text, "nothing_permits");
    world.stop().await;
}

#[tokio::test]
async fn a_policy_that_fails_to_evaluate_denies() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let path = format!("/broken/eu/{ALICE}/7");
    assert_eq!(
        world.get(&path, &[("authorization", &bearer)]).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(world.upstream.take().is_empty());
    World::assert_logged(&world.log_text().await, "policy_failed");
    world.stop().await;
}

#[tokio::test]
async fn an_outcome_follows_its_decision() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let answer = world.get("/things/a", &[("authorization", &bearer)]).await;
    let decision = world
        .upstream
        .take_one()
        .headers
        .get("countersign-decision")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let text = world.log_text().await;
    assert!(
        text.contains(&format!("\"of\":\"{decision}\",\"status\":200")),
        "{text}"
    );
    assert!(
        text.contains(&format!("\"bytes\":{}", answer.body.len())),
        "{text}"
    );
    world.stop().await;
}

#[tokio::test]
async fn every_request_is_counted() {
    let world = World::start();
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str())];
    world.get("/things/a", &fields).await;
    world.get("/nowhere", &fields).await;
    world.get("/things/a", &[]).await;
    world
        .get(&format!("/regions/us/customers/{ALICE}/orders/7"), &fields)
        .await;
    world.get("/gone/a", &fields).await;
    let observed = world.planes.observed.lock().unwrap().clone();
    let expected = [
        ("permitted", 200),
        ("refused", 404),
        ("refused", 401),
        ("denied", 403),
        ("permitted", 502),
    ];
    assert_eq!(observed, expected);
    world.stop().await;
}
