//! The dispatcher against receivers that answer, refuse, hang and vanish.

mod scene;
mod unsettled;

use super::{Service, Share, webhook_id};
use countersign_base::{Duration, MessageId, UnixTime};
use countersign_control::webhooks::{Schedule, Schedules, WebhookRules};
use countersign_net::Receiver;
use countersign_store::tables::webhook_deliveries::{self, DeliveryState, ListedWebhook};
use countersign_store::tables::webhook_endpoints::{
    DisabledBecause, EndpointRecord, EndpointState, EndpointSwitch, WebhookOrder,
};
use countersign_store::webhooks::{
    Before, NewReceipt, Receipt, ReceiptRecords, Received, WebhookDeliveryId, WebhookKept,
    WebhookWrite,
};
use countersign_testkit::{Heard, Said, tenant};
use countersign_wire::webhook::standard::{self, SigningSecret};
use http::{Method, StatusCode, header};
use scene::{Scene, sealed_message};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const OK: StatusCode = StatusCode::OK;
const FAILS: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

fn field<'a>(heard: &'a Heard, name: &str) -> &'a str {
    heard.headers[name].to_str().unwrap()
}

/// The signatures of what was heard, by these secrets.
fn signed(heard: &Heard, secrets: &[&SigningSecret]) -> String {
    let time = UnixTime(field(heard, "webhook-timestamp").parse().unwrap());
    let sign = |secret: &&SigningSecret| {
        let one = std::slice::from_ref(*secret);
        standard::sign(one, field(heard, "webhook-id"), time, &heard.body).unwrap()
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_is_published_arrives_signed_and_is_settled() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let made = scene.endpoint("https://rp.test/hook").await;
    let message = scene.publish(r#"{"a":1}"#).await;
    let heard = scene.internet().wait_for(1).await;
    assert_eq!(&heard[0].body[..], br#"{"a":1}"#);
    assert_eq!(heard[0].path, "/hook");
    assert_eq!(field(&heard[0], "webhook-id"), webhook_id(message));
    let now = scene.now().0.to_string();
    assert_eq!(field(&heard[0], "webhook-timestamp"), now);
    let expected = signed(&heard[0], &[&made.secret]);
    assert_eq!(field(&heard[0], "webhook-signature"), expected);
    scene.until_delivered(message, made.id).await;
    let delivery = scene.delivery(message, made.id).await;
    assert_eq!((delivery.attempts, delivery.status), (1, Some(200)));
}

#[tokio::test]
async fn what_failed_is_tried_again_on_the_schedule_with_the_same_id_and_another_time() {
    let scene = Scene::begun().await;
    let answers = Arc::new(Mutex::new(vec![OK, StatusCode::FOUND, FAILS]));
    scene.internet().host("rp.test", move |_| {
        Said::status(answers.lock().unwrap().pop().unwrap_or(OK))
    });
    let made = scene.endpoint("https://rp.test/").await;
    let message = scene.publish("{}").await;
    let first = scene.until_failed(message, made.id, 1).await;
    let due = first.due.unwrap().0 - scene.now().0;
    assert!((4..=6).contains(&due), "5 seconds and a fifth: {due}");
    assert_eq!(first.reason.as_deref(), Some("status"));
    scene.later(6);
    let second = scene.until_failed(message, made.id, 2).await;
    let due = second.due.unwrap().0 - scene.now().0;
    assert!((240..=360).contains(&due), "5 minutes and a fifth: {due}");
    assert_eq!(second.reason.as_deref(), Some("redirect"));
    scene.later(360);
    scene.until_delivered(message, made.id).await;
    let heard = scene.internet().heard();
    let ids: Vec<&str> = heard.iter().map(|one| field(one, "webhook-id")).collect();
    let id = webhook_id(message);
    assert_eq!(ids, [id.as_str(); 3]);
    let times: Vec<&str> = heard
        .iter()
        .map(|one| field(one, "webhook-timestamp"))
        .collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
}

/// These rules, with one schedule of the installation's own.
fn with_patient(pauses: &[u64]) -> WebhookRules {
    let pauses = pauses.iter().copied().map(Duration::from_secs);
    let patient = Schedule::new(pauses.collect()).unwrap();
    WebhookRules {
        schedules: Schedules::new([("patient".to_owned(), patient)].into()).unwrap(),
        ..WebhookRules::default()
    }
}

#[tokio::test]
async fn a_schedule_of_ones_own_is_kept_to_and_one_that_was_taken_away_is_the_standard_one() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(FAILS));
    let fabric = &scene.test.fabric;
    fabric.replace_webhook_rules(with_patient(&[50, 500]));
    let made = scene
        .endpoint_with("https://rp.test/", |record| {
            record.retries = countersign_base::Bounded::parse("patient").unwrap();
        })
        .await;
    let message = scene.publish("{}").await;
    let first = scene.until_failed(message, made.id, 1).await;
    let due = first.due.unwrap().0 - scene.now().0;
    assert!((40..=60).contains(&due), "50 seconds and a fifth: {due}");
    // Another configuration counts from the next attempt on.
    fabric.replace_webhook_rules(with_patient(&[50, 1_000]));
    scene.later(60);
    let second = scene.until_failed(message, made.id, 2).await;
    let due = second.due.unwrap().0 - scene.now().0;
    assert!(
        (800..=1_200).contains(&due),
        "1000 seconds and a fifth: {due}"
    );
    // Without the schedule this would have been the last attempt.
    fabric.replace_webhook_rules(WebhookRules::default());
    scene.later(1_200);
    let third = scene.until_failed(message, made.id, 3).await;
    assert_eq!(third.state, DeliveryState::Waiting);
    let due = third.due.unwrap().0 - scene.now().0;
    assert!(
        (1_440..=2_160).contains(&due),
        "30 minutes and a fifth: {due}"
    );
}

#[tokio::test]
async fn what_ended_is_kept_for_as_long_as_the_rules_say() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    scene.internet().host("gone.test", |_| Said::status(FAILS));
    let kept = WebhookKept {
        delivered: Duration::from_secs(86_400),
        dead: Duration::from_secs(2 * 86_400),
    };
    scene.test.fabric.replace_webhook_rules(WebhookRules {
        kept,
        ..WebhookRules::default()
    });
    let takes = scene.endpoint("https://rp.test/").await;
    let fails = scene
        .endpoint_with("https://gone.test/", |record| {
            record.retries = countersign_base::Bounded::parse("once").unwrap();
        })
        .await;
    let message = scene.publish("{}").await;
    scene.until_delivered(message, takes.id).await;
    scene
        .until(message, fails.id, |one| one.state == DeliveryState::Dead)
        .await;
    let swept = async |seconds: u64| {
        let now = scene.now().plus(Duration::from_secs(seconds));
        let (fabric, tenant) = (&scene.test.fabric, Scene::tenant());
        fabric.store().sweep_all(now).await.unwrap();
        let mut connection = fabric.store().read().await.unwrap();
        let mut there = Vec::new();
        for endpoint in [takes.id, fails.id] {
            let id = WebhookDeliveryId { message, endpoint };
            let found = webhook_deliveries::find(&mut connection, &tenant, id);
            there.push(found.await.unwrap().is_some());
        }
        there
    };
    assert_eq!(swept(86_400).await, [true, true]);
    assert_eq!(swept(86_401).await, [false, true]);
    assert_eq!(swept(2 * 86_400).await, [false, true]);
    assert_eq!(swept(2 * 86_400 + 1).await, [false, false]);
}

#[tokio::test]
async fn a_webhook_dies_after_its_last_attempt() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(FAILS));
    let made = scene
        .endpoint_with("https://rp.test/", |record| {
            record.retries = countersign_base::Bounded::parse("once").unwrap();
        })
        .await;
    let message = scene.publish("{}").await;
    let dead = scene
        .until(message, made.id, |one| one.state == DeliveryState::Dead)
        .await;
    assert_eq!((dead.attempts, dead.status), (1, Some(500)));
}

#[tokio::test]
async fn a_forbidden_address_is_never_connected_to_and_never_tried_again() {
    let scene = Scene::begun().await;
    scene.internet().resolves("inside.test", &[&["10.0.0.1"]]);
    let made = scene.endpoint("https://inside.test/").await;
    let message = scene.publish("{}").await;
    let dead = scene
        .until(message, made.id, |one| one.state == DeliveryState::Dead)
        .await;
    assert_eq!(dead.reason.as_deref(), Some("address_forbidden"));
    assert_eq!(dead.attempts, 1);
    assert_eq!(scene.internet().dialled(), []);
}

#[tokio::test]
async fn retry_after_is_obeyed_and_the_endpoint_is_left_alone() {
    let scene = Scene::begun().await;
    let first = AtomicUsize::new(0);
    scene.internet().host("rp.test", move |_| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            let said = Said::status(StatusCode::TOO_MANY_REQUESTS);
            said.with(header::RETRY_AFTER, "120")
        } else {
            Said::status(OK)
        }
    });
    let made = scene.endpoint("https://rp.test/").await;
    let message = scene.publish("{}").await;
    let failed = scene.until_failed(message, made.id, 1).await;
    assert_eq!(failed.due, Some(UnixTime(scene.now().0 + 120)));
    assert_eq!(failed.reason.as_deref(), Some("throttled"));
    // Another one waits as long, and loses no attempt.
    let other = scene.publish("{}").await;
    let witness = scene
        .endpoint_for("https://other.test/", "user.added", |_| {})
        .await;
    scene.internet().host("other.test", |_| Said::status(OK));
    let third = scene.publish_as("user.added", "{}", None).await;
    scene.until_delivered(third, witness.id).await;
    assert_eq!(scene.delivery(other, made.id).await.attempts, 0);
    scene.later(121);
    scene.until_delivered(message, made.id).await;
    scene.until_delivered(other, made.id).await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_what_waits_for_it_waits_on() {
    let scene = Scene::begun().await;
    scene
        .internet()
        .host("rp.test", |_| Said::status(StatusCode::GONE));
    let made = scene.endpoint("https://rp.test/").await;
    let message = scene.publish("{}").await;
    let dead = scene
        .until(message, made.id, |one| one.state == DeliveryState::Dead)
        .await;
    assert_eq!((dead.reason.as_deref(), dead.attempts), (Some("gone"), 1));
    scene.until_disabled(made.id).await;
    assert_eq!(scene.internet().heard().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_for_five_days_is_disabled() {
    let scene = Scene::begun().await;
    scene.internet().host("bad.test", |_| Said::status(FAILS));
    let works = AtomicUsize::new(0);
    scene.internet().host("some.test", move |_| {
        // It takes one in two.
        let fails = works.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        Said::status(if fails { FAILS } else { OK })
    });
    let once = |record: &mut EndpointRecord| {
        record.retries = countersign_base::Bounded::parse("once").unwrap();
    };
    let bad = scene.endpoint_for("https://bad.test/", "a.*", once).await;
    let some = scene.endpoint_for("https://some.test/", "b.*", once).await;
    let ended = |one: &ListedWebhook| one.state != DeliveryState::Waiting;
    for day in 0..6 {
        let message = scene.publish_as("a.one", "{}", None).await;
        scene.until(message, bad.id, ended).await;
        for _ in 0..2 {
            let message = scene.publish_as("b.one", "{}", None).await;
            scene.until(message, some.id, ended).await;
        }
        if day < 5 {
            assert_eq!(scene.state(bad.id).await, EndpointState::Enabled, "{day}");
            scene.later(86_401);
        }
    }
    scene.until_disabled(bad.id).await;
    assert_eq!(scene.state(some.id).await, EndpointState::Enabled);
}

#[tokio::test]
async fn an_endpoint_that_was_quiet_for_days_is_not_disabled_for_one_failure() {
    let scene = Scene::begun().await;
    scene.internet().host("other.test", |_| Said::status(OK));
    let answers = Arc::new(Mutex::new(vec![FAILS, OK, FAILS]));
    scene.internet().host("rp.test", move |_| {
        Said::status(answers.lock().unwrap().pop().unwrap_or(FAILS))
    });
    let once = |record: &mut EndpointRecord| {
        record.retries = countersign_base::Bounded::parse("once").unwrap();
    };
    let made = scene.endpoint_for("https://rp.test/", "a.*", once).await;
    let other = scene
        .endpoint_for("https://other.test/", "b.*", |_| {})
        .await;
    for expected in [DeliveryState::Dead, DeliveryState::Delivered] {
        let message = scene.publish_as("a.one", "{}", None).await;
        scene
            .until(message, made.id, |one| one.state == expected)
            .await;
        scene.later(1);
    }
    scene.later(6 * 86_400);
    let message = scene.publish_as("a.one", "{}", None).await;
    scene
        .until(message, made.id, |one| one.state == DeliveryState::Dead)
        .await;
    let witness = scene.publish_as("b.one", "{}", None).await;
    scene.until_delivered(witness, other.id).await;
    assert_eq!(scene.state(made.id).await, EndpointState::Enabled);
}

#[tokio::test]
async fn what_the_old_address_says_does_not_disable_the_new_one() {
    let scene = Scene::begun().await;
    scene
        .internet()
        .host("old.test", |_| Said::status(StatusCode::GONE));
    scene.internet().host("new.test", |_| Said::status(OK));
    let held = scene.internet().hold("old.test", Method::POST);
    let made = scene.endpoint("https://old.test/").await;
    let message = scene.publish("{}").await;
    scene.internet().wait_for(1).await;
    scene.later(1);
    scene.move_to(made.id, "https://new.test/").await;
    drop(held);
    scene
        .until(message, made.id, |one| one.state == DeliveryState::Dead)
        .await;
    scene.later(1);
    let next = scene.publish("{}").await;
    scene.until_delivered(next, made.id).await;
    assert_eq!(scene.state(made.id).await, EndpointState::Enabled);
}

#[tokio::test]
async fn an_endpoint_that_was_disabled_anywhere_gets_nothing_within_a_second() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    scene.internet().host("other.test", |_| Said::status(OK));
    let made = scene.endpoint_for("https://rp.test/", "a.*", |_| {}).await;
    let other = scene
        .endpoint_for("https://other.test/", "b.*", |_| {})
        .await;
    let first = scene.publish_as("a.one", "{}", None).await;
    scene.until_delivered(first, made.id).await;
    let waits = scene.publish_as("a.one", "{}", None).await;
    scene.until_delivered(waits, made.id).await;
    scene
        .switch(made.id, EndpointSwitch::Disabled(DisabledBecause::Asked))
        .await;
    scene.later(1);
    let witness = scene.publish_as("b.one", "{}", None).await;
    scene.until_delivered(witness, other.id).await;
    assert_eq!(scene.internet().heard().len(), 3);
    scene.switch(made.id, EndpointSwitch::Enabled).await;
    scene.later(1);
    let again = scene.publish_as("a.one", "{}", None).await;
    scene.until_delivered(again, made.id).await;
}

#[tokio::test]
async fn while_secrets_overlap_both_sign_and_then_the_new_one_alone() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let made = scene.endpoint("https://rp.test/").await;
    let before = scene.publish("{}").await;
    scene.until_delivered(before, made.id).await;
    scene.later(1);
    let (new, new_secret) = scene.secret();
    scene
        .write(WebhookWrite::RotateSecret {
            endpoint: made.id,
            secret: new,
            others_end: UnixTime(scene.now().0 + 3_600),
        })
        .await;
    scene.later(1);
    let during = scene.publish("{}").await;
    scene.until_delivered(during, made.id).await;
    scene.later(3_600);
    let after = scene.publish("{}").await;
    scene.until_delivered(after, made.id).await;
    let heard = scene.internet().heard();
    let is_signed_by = |place: usize, secrets: &[&SigningSecret]| {
        assert_eq!(
            field(&heard[place], "webhook-signature"),
            signed(&heard[place], secrets),
            "{place}"
        );
    };
    is_signed_by(0, &[&made.secret]);
    is_signed_by(1, &[&new_secret, &made.secret]);
    is_signed_by(2, &[&new_secret]);
}

#[tokio::test]
async fn a_crash_between_sending_and_settling_delivers_again_with_the_same_id() {
    let mut scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let held = scene.internet().hold("rp.test", Method::POST);
    let made = scene.endpoint("https://rp.test/").await;
    let message = scene.publish(r#"{"a":1}"#).await;
    scene.internet().wait_for(1).await;
    // It was heard, and nobody here knows: this process ends without a word.
    scene.end(Duration::ZERO).await;
    drop(held);
    let waits = scene.delivery(message, made.id).await;
    assert_eq!(waits.state, DeliveryState::Waiting);
    scene.begin();
    scene.later(89);
    assert_eq!(scene.internet().heard().len(), 1, "the lease holds");
    scene.later(2);
    scene.until_delivered(message, made.id).await;
    let heard = scene.internet().heard();
    assert_eq!(heard.len(), 2);
    for one in &heard {
        assert_eq!(field(one, "webhook-id"), webhook_id(message));
        assert_eq!(&one.body[..], br#"{"a":1}"#);
    }
}

#[tokio::test]
async fn a_dispatcher_that_stops_lets_what_is_under_way_end_and_settles_it() {
    let mut scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let held = scene.internet().hold("rp.test", Method::POST);
    let made = scene.endpoint("https://rp.test/").await;
    let message = scene.publish("{}").await;
    scene.internet().wait_for(1).await;
    let internet = Arc::clone(scene.internet());
    tokio::join!(scene.end(Duration::from_secs(10)), async move {
        tokio::task::yield_now().await;
        drop(held);
        drop(internet);
    });
    let delivery = scene.delivery(message, made.id).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn endpoints_that_hang_keep_nobody_else_waiting() {
    let mut scene = Scene::set().await;
    scene.timeout(Duration::from_secs(60));
    scene.begin();
    scene.internet().host("hangs.test", |_| Said::status(OK));
    scene.internet().host("quick.test", |_| Said::status(OK));
    let held = scene.internet().hold("hangs.test", Method::POST);
    for number in 0..8 {
        let url = format!("https://hangs.test/{number}");
        scene.endpoint_for(&url, "*", |_| {}).await;
    }
    let quick = scene.endpoint_for("https://quick.test/", "*", |_| {}).await;
    let mut messages = Vec::new();
    for number in 0..200 {
        messages.push(scene.publish(&format!("{{\"n\":{number}}}")).await);
    }
    for message in messages {
        scene.until_delivered(message, quick.id).await;
    }
    let hanging = |heard: &&Heard| heard.host == "hangs.test";
    let heard = scene.internet().heard();
    assert_eq!(heard.iter().filter(hanging).count(), 8, "one each");
    drop(held);
}

#[tokio::test]
async fn a_tenant_whose_endpoints_all_hang_keeps_no_other_tenant_waiting() {
    let mut scene = Scene::set().await;
    scene.timeout(Duration::from_secs(60));
    scene.share(Share::of(4));
    scene.internet().host("hangs.test", |_| Said::status(OK));
    scene.internet().host("quick.test", |_| Said::status(OK));
    let held = scene.internet().hold("hangs.test", Method::POST);
    // More of them than a look goes through, and than are remembered for want of room.
    let (crowd, other) = (tenant("default"), tenant("other"));
    for number in 0..300 {
        let url = format!("https://hangs.test/{number}");
        scene.endpoint_of(&crowd, &url, "*", |_| {}).await;
    }
    let quick = "https://quick.test/";
    scene.endpoint_of(&other, quick, "*", |_| {}).await;
    scene.publish_of(&crowd).await;
    scene.begin();
    scene.internet().wait_for(3).await;
    scene.publish_of(&other).await;
    let heard = scene.internet().wait_for(4).await;
    let quick = |heard: &&Heard| heard.host == "quick.test";
    assert_eq!(heard.iter().filter(quick).count(), 1);
    drop(held);
}

#[tokio::test]
async fn the_rate_of_an_endpoint_bites() {
    let scene = Scene::begun().await;
    scene.internet().host("rp.test", |_| Said::status(OK));
    let made = scene
        .endpoint_with("https://rp.test/", |record| record.rate = Some(2))
        .await;
    let mut messages = Vec::new();
    for _ in 0..7 {
        messages.push(scene.publish("{}").await);
    }
    for expected in [2, 4, 6, 7] {
        scene.internet().wait_for(expected).await;
        // More than a look later it is no more: the clock stands.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(scene.internet().heard().len(), expected);
        scene.later(1);
    }
    for message in messages {
        scene.until_delivered(message, made.id).await;
    }
}

#[tokio::test]
async fn order_per_key_is_kept_under_failures_and_nothing_is_lost() {
    let scene = Scene::begun().await;
    let tried: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (tries, takes) = (Arc::clone(&tried), Arc::clone(&taken));
    // Every third webhook fails the first time.
    scene.internet().host("rp.test", move |heard| {
        let body = String::from_utf8(heard.body.to_vec()).unwrap();
        let number: usize = body.split('-').next_back().unwrap().parse().unwrap();
        let mut tries = tries.lock().unwrap();
        let before = tries.entry(body.clone()).or_default();
        *before += 1;
        if number.is_multiple_of(3) && *before == 1 {
            return Said::status(FAILS);
        }
        takes.lock().unwrap().push(body);
        Said::status(OK)
    });
    let made = scene
        .endpoint_with("https://rp.test/", |record| {
            record.order = WebhookOrder::PerKey
        })
        .await;
    let mut messages: Vec<MessageId> = Vec::new();
    for number in 0..12 {
        for key in [1_u8, 2, 3] {
            let body = format!("{key}-{number}");
            messages.push(scene.publish_as("invoice.paid", &body, Some(key)).await);
        }
    }
    let arrived = async {
        while taken.lock().unwrap().len() < 36 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            scene.later(1);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived)
        .await
        .unwrap();
    for message in messages {
        scene.until_delivered(message, made.id).await;
    }
    let taken = taken.lock().unwrap().clone();
    for key in [1_u8, 2, 3] {
        let of_key: Vec<String> = taken
            .iter()
            .filter(|body| body.starts_with(&format!("{key}-")))
            .cloned()
            .collect();
        let expected: Vec<String> = (0..12).map(|number| format!("{key}-{number}")).collect();
        assert_eq!(of_key, expected);
    }
}

#[tokio::test]
async fn what_comes_in_is_brought_to_its_service_with_a_key_that_names_it() {
    let mut scene = Scene::set().await;
    let answers = Arc::new(Mutex::new(vec![OK, FAILS]));
    scene.internet().plain_host("orders.test", move |_| {
        Said::status(answers.lock().unwrap().pop().unwrap_or(OK))
    });
    let source: countersign_base::SourceName = "shop".parse().unwrap();
    let service = Service {
        receiver: Receiver::new("http://orders.test/webhooks/shop".parse().unwrap()),
        also: Vec::new(),
        signing: Arc::default(),
        media_type: "application/json".to_owned(),
        rate: None,
        concurrency: 8,
        retries: "standard".to_owned(),
    };
    scene.inbound = vec![((Scene::tenant(), source.clone()), service)];
    scene.begin();
    let store = scene.test.fabric.store();
    let endpoint = store
        .put_webhook_service(&Scene::tenant(), &source, scene.now())
        .await
        .unwrap();
    let new = NewReceipt {
        receipt: Receipt {
            source,
            event_id: [1; 32],
            attempt: Some([2; 32]),
            body: [3; 32],
            expires: UnixTime(scene.now().0 + 3_600),
        },
        message: sealed_message(&scene, "shop", r#"{"order":7}"#),
    };
    let message = new.message.id;
    let records = ReceiptRecords {
        permit: scene.record(),
        before: Before {
            duplicate: scene.record(),
            replayed: scene.record(),
            reused: scene.record(),
        },
    };
    let received = store.receive_webhook(new, records, scene.now()).await;
    assert_eq!(received.unwrap(), Received::First(message));
    scene.until_failed(message, endpoint, 1).await;
    scene.later(6);
    scene.until_delivered(message, endpoint).await;
    let heard = scene.internet().heard();
    assert_eq!(heard.len(), 2);
    for one in &heard {
        assert_eq!(one.path, "/webhooks/shop");
        assert_eq!(&one.body[..], br#"{"order":7}"#);
        let key = format!("\"{}\"", webhook_id(message));
        assert_eq!(field(one, "idempotency-key"), key);
    }
}
