//! A store that takes publications and claims, and not how attempts ended.

use super::scene::{Made, Scene};
use super::{OK, field};
use crate::webhook::dispatcher::webhook_id;
use countersign_base::{Duration, MessageId};
use countersign_store::tables::webhook_deliveries::DeliveryState;
use countersign_testkit::Said;
use rusqlite::Connection;

/// From now on the store refuses that something was delivered.
fn refuse(scene: &Scene) {
    change(
        scene,
        "CREATE TRIGGER refuses BEFORE UPDATE ON webhook_deliveries WHEN NEW.state = 'delivered' BEGIN SELECT RAISE(ABORT, 'away'); END",
    );
}

/// It takes it again.
fn recover(scene: &Scene) {
    change(scene, "DROP TRIGGER refuses");
}

fn change(scene: &Scene, sql: &str) {
    let database = Connection::open(scene.test.data.path().join("state.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    database.execute_batch(sql).unwrap();
}

/// Waits until the store has refused so often.
async fn until_refused(scene: &Scene, times: u64) {
    let refused = || {
        let rendered = scene.test.fabric.metrics().render();
        let count = rendered
            .lines()
            .find_map(|line| line.strip_prefix("countersign_webhooks_not_settled_total "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let waited = async {
        while refused() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waited);
    waited.await.unwrap();
}

/// A delivery that arrived, and that the store has refused to settle so often.
async fn sent_and_not_settled(times: u64) -> (Scene, Made, MessageId) {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let made = scene.endpoint("https://rp.test/").await;
    refuse(&scene);
    let message = scene.publish("{}").await;
    until_refused(&scene, times).await;
    (scene, made, message)
}

#[tokio::test]
async fn what_the_store_did_not_settle_at_first_is_settled_later_and_not_sent_again() {
    let (scene, made, message) = sent_and_not_settled(2).await;
    let waits = scene.delivery(message, made.id).await;
    assert_eq!(waits.state, DeliveryState::Waiting);
    recover(&scene);
    scene.until_delivered(message, made.id).await;
    // Its lease would have ended by the time that another one arrives.
    scene.later(91);
    let other = scene.publish(r#"{"a":2}"#).await;
    scene.until_delivered(other, made.id).await;
    let heard = scene.internet().heard();
    let ids: Vec<&str> = heard.iter().map(|one| field(one, "webhook-id")).collect();
    assert_eq!(ids, [webhook_id(message), webhook_id(other)]);
    let delivery = scene.delivery(message, made.id).await;
    assert_eq!((delivery.attempts, delivery.log.len()), (1, 1));
}

#[tokio::test]
async fn what_is_not_settled_while_the_lease_holds_is_sent_again_after_it() {
    let (scene, made, message) = sent_and_not_settled(1).await;
    scene.later(91);
    let heard = scene.internet().wait_for(2).await;
    recover(&scene);
    scene.until_delivered(message, made.id).await;
    for one in &heard {
        assert_eq!(field(one, "webhook-id"), webhook_id(message));
    }
    assert_eq!(scene.internet().heard().len(), 2);
}

#[tokio::test]
async fn a_dispatcher_that_stops_waits_for_a_store_that_failed_no_longer_than_it_may() {
    let (mut scene, made, message) = sent_and_not_settled(1).await;
    // The lease would let it try for ever: the clock stands.
    let ended = scene.end(Duration::from_millis(300));
    let ended = tokio::time::timeout(Duration::from_secs(20), ended);
    ended.await.unwrap();
    let waits = scene.delivery(message, made.id).await;
    assert_eq!(waits.state, DeliveryState::Waiting);
}

#[tokio::test]
async fn a_dispatcher_that_stops_settles_what_the_store_takes_in_time() {
    let (mut scene, made, message) = sent_and_not_settled(1).await;
    let database = scene.test.data.path().join("state.db");
    tokio::join!(scene.end(Duration::from_secs(20)), async move {
        tokio::task::yield_now().await;
        let database = Connection::open(database).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        database.execute_batch("DROP TRIGGER refuses").unwrap();
    });
    let delivery = scene.delivery(message, made.id).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
}
