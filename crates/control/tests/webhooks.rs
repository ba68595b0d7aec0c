//! What may be stored of endpoints and event types, what a publication becomes, and what a log shows of it.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail them by panicking"
)]

use countersign_base::{
    Bounded, Duration, EndpointId, EventPattern, Secret, Tenant, UnixTime, UserId,
};
use countersign_control::Declared;
use countersign_control::webhooks::{
    CONCURRENCY, EventTypes, IdempotencyKey, NotFitting, Publication, Publisher, Receiver,
    ReceiverRefused, Schedule, Schedules, TEST_EVENT, is_built_in, make_secret, masked,
    masked_body, open_body, others_end, test_publication,
};
use countersign_keys::{Aad, Sealed, envelope};
use countersign_store::Write;
use countersign_store::tables::webhook_endpoints::{
    EndpointRecord, EndpointRow, EndpointState, EndpointTarget, WebhookOrder, WebhookPayload,
    WebhookSigning,
};
use countersign_store::tables::webhook_event_types::{EventTypeRecord, EventTypeRow};
use countersign_store::tables::webhook_secrets::SecretKind;
use countersign_store::webhooks::{Accepted, Addressee, WebhookWrite};
use countersign_testkit::{TestFabric, tenant};
use countersign_wire::webhook::standard::SigningSecret;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn record(url: &str) -> EndpointRecord {
    EndpointRecord {
        url: url.parse().unwrap(),
        description: None,
        signing: WebhookSigning::V1,
        payload: WebhookPayload::Full,
        encryption: None,
        order: WebhookOrder::Any,
        rate: None,
        concurrency: CONCURRENCY,
        retries: Bounded::parse("standard").unwrap(),
        client_certificate: false,
        ca: None,
        disabled: None,
    }
}

fn all() -> BTreeSet<EventPattern> {
    ["*".parse().unwrap()].into()
}

fn checked(
    record: EndpointRecord,
    patterns: BTreeSet<EventPattern>,
) -> Result<Receiver, ReceiverRefused> {
    Receiver::check(record, patterns, &Schedules::default())
}

#[test]
fn a_receiver_is_what_it_may_be() {
    let good = record("https://hooks.example/in");
    assert!(checked(good.clone(), all()).is_ok());
    let check = |change: fn(&mut EndpointRecord)| {
        let mut record = good.clone();
        change(&mut record);
        checked(record, all()).err()
    };
    for plain in ["http://127.0.0.1:9/", "http://[::1]/", "http://localhost/"] {
        assert!(checked(record(plain), all()).is_ok(), "{plain}");
    }
    for plain in [
        "http://hooks.example/",
        "http://10.0.0.1/",
        "http://localhost.evil.example/",
    ] {
        let refused = checked(record(plain), all()).err();
        assert_eq!(refused, Some(ReceiverRefused::Plain), "{plain}");
    }
    assert_eq!(
        checked(good.clone(), BTreeSet::new()).err(),
        Some(ReceiverRefused::Patterns)
    );
    let refused = check(|record| record.concurrency = 0);
    assert_eq!(refused, Some(ReceiverRefused::Concurrency));
    let refused = check(|record| record.rate = Some(0));
    assert_eq!(refused, Some(ReceiverRefused::Rate));
    let refused = check(|record| record.encryption = Some(json!({"kty": "oct", "k": "AAAA"})));
    assert_eq!(refused, Some(ReceiverRefused::Encryption));
    let refused = check(|record| record.ca = Some("no certificate".to_owned()));
    assert_eq!(refused, Some(ReceiverRefused::Ca));
    // A name that is none would otherwise be the standard schedule, and nobody would know.
    let refused = check(|record| record.retries = Bounded::parse("patient").unwrap());
    let refused = refused.unwrap().to_string();
    assert!(
        refused.contains("`once`, `quick`, `service`, `standard`"),
        "{refused}"
    );
    let mut patient = good;
    patient.retries = Bounded::parse("patient").unwrap();
    let schedule = Schedule::new(vec![Duration::from_secs(60)]).unwrap();
    let own = Schedules::new([("patient".to_owned(), schedule)].into()).unwrap();
    assert!(Receiver::check(patient.clone(), all(), &own).is_ok());
    // One that is there keeps its schedule although it is gone, and gets no other one that there is none of.
    let built_in = Schedules::default();
    let change = |record| Receiver::check_change(&patient, record, all(), &built_in);
    assert!(change(patient.clone()).is_ok());
    let mut hasty = patient.clone();
    hasty.retries = Bounded::parse("hasty").unwrap();
    assert!(matches!(change(hasty), Err(ReceiverRefused::Retries(_))));
}

fn event_type(schema: Value, example: Option<Value>) -> EventTypeRecord {
    EventTypeRecord {
        description: Bounded::parse("An invoice was paid.").unwrap(),
        schema: Some(schema),
        example,
        retired: false,
    }
}

#[test]
fn a_schema_is_one_that_can_be_used() {
    let types = EventTypes::default();
    let object = json!({"type": "object", "required": ["invoice_id"]});
    let good = event_type(object.clone(), Some(json!({"invoice_id": "in_1"})));
    assert!(types.check_record(good).is_ok());
    let unfit = event_type(object, Some(json!({})));
    let refused = types.check_record(unfit).unwrap_err().to_string();
    assert!(refused.contains("required"), "{refused}");
    for bad in [
        json!({"type": "nothing"}),
        json!({"$ref": "https://elsewhere.example/schema.json"}),
        json!({"pattern": "(a"}),
        json!(true),
        json!({"description": "x".repeat(70_000)}),
    ] {
        assert!(types.check_record(event_type(bad, None)).is_err());
    }
}

fn publication(payload: Value, version: Option<u32>) -> Publication {
    let payload = payload.as_object().unwrap().clone();
    Publication::new(
        "invoice.paid".parse().unwrap(),
        version,
        Addressee::Everyone,
        Some(Bounded::parse("customer 1").unwrap()),
        payload,
    )
}

async fn with_types(test: &TestFabric) -> Tenant {
    let tenant = tenant("default");
    let fabric = &test.fabric;
    let add = |version, schema, retired| {
        let row = EventTypeRow {
            name: "invoice.paid".parse().unwrap(),
            version,
            record: EventTypeRecord {
                retired,
                ..event_type(schema, None)
            },
            created: fabric.now(),
        };
        Write::Webhook(Box::new(WebhookWrite::AddEventType(Box::new(row))))
    };
    let required = |name: &str| json!({"type": "object", "required": [name]});
    let writes = vec![
        add(1, required("id"), false),
        add(2, required("invoice_id"), false),
        add(3, required("anything"), true),
    ];
    let event = fabric.recorder().about_event(
        &tenant,
        None,
        countersign_audit::event::SignOut {
            reason: countersign_audit::Code::of("test"),
            session: countersign_base::SessionId::from_u64(1),
            user: countersign_base::UserId::from_bytes([1; 16]),
        },
    );
    fabric
        .store()
        .change(&tenant, writes, event, fabric.now())
        .await
        .unwrap();
    tenant
}

#[tokio::test]
async fn what_does_not_fit_its_type_is_not_published() {
    let test = TestFabric::start(Declared::default()).await.unwrap();
    let tenant = with_types(&test).await;
    let (fabric, types) = (&test.fabric, EventTypes::default());
    let check = async |publication| {
        let mut connection = fabric.store().read().await.unwrap();
        let checked = types.check(&mut connection, &tenant, publication).await;
        checked.unwrap()
    };
    let unfit = check(publication(json!({"secret": "value"}), Some(2))).await;
    let NotFitting::Payload(why) = unfit.unwrap_err() else {
        panic!("the payload does not fit");
    };
    assert!(why.contains("required") && !why.contains("value"), "{why}");
    let retired = check(publication(json!({"anything": 1}), None)).await;
    assert_eq!(retired.unwrap_err(), NotFitting::Retired, "the newest is");
    let unknown = check(publication(json!({}), Some(9))).await;
    assert_eq!(unknown.unwrap_err(), NotFitting::Unknown);
}

#[tokio::test]
async fn what_is_published_fits_its_type_and_is_sealed() {
    let test = TestFabric::start(Declared::default()).await.unwrap();
    let tenant = with_types(&test).await;
    let (fabric, types) = (&test.fabric, EventTypes::default());
    let check = async |publication| {
        let mut connection = fabric.store().read().await.unwrap();
        let checked = types.check(&mut connection, &tenant, publication).await;
        checked.unwrap()
    };
    let fitting = check(publication(json!({"id": "in_1", "amount": 7}), Some(1))).await;
    let fitting = fitting.unwrap();
    let (key, now) = (IdempotencyKey::parse("k-1").unwrap(), fabric.now());
    let client: countersign_base::ClientId = "billing".parse().unwrap();
    let message = |publisher: Publisher<'_>, key: Option<&IdempotencyKey>, at| {
        let fitting = fitting.clone();
        fitting
            .into_message(fabric, &tenant, publisher, key, at)
            .unwrap()
    };
    let first = message(Publisher::Administrator, Some(&key), now);
    let later = message(
        Publisher::Administrator,
        Some(&key),
        now.plus(Duration::from_secs(60)),
    );
    assert_eq!(first.message.id, later.message.id);
    assert_eq!(first.message.digest, later.message.digest);
    assert_eq!(first.order_key, later.order_key);
    let of_client = message(Publisher::Client(&client), Some(&key), now);
    assert_ne!(
        first.message.id, of_client.message.id,
        "of another publisher"
    );
    let random = message(Publisher::Administrator, None, now);
    assert_ne!(first.message.id, random.message.id);
    let sealed = &first.message.sealed;
    assert!(!sealed.windows(4).any(|window| window == b"in_1"));
    let body = open_body(fabric, &first.message).unwrap();
    let body: Value = serde_json::from_slice(body.expose()).unwrap();
    let expected = json!({
        "type": "invoice.paid", "version": 1, "timestamp": now.0,
        "data": {"id": "in_1", "amount": 7},
    });
    assert_eq!(body, expected);
    let mut moved = first.message.clone();
    moved.id = random.message.id;
    assert!(open_body(fabric, &moved).is_err(), "bound to its row");
    let event = || {
        fabric.recorder().about_event(
            &tenant,
            None,
            countersign_audit::event::WebhookPublished {
                by: countersign_audit::event::Actor::System,
                event_type: "invoice.paid".parse().unwrap(),
                message: first.message.id,
                partner: None,
            },
        )
    };
    let accept = async |new| {
        let accepted = fabric.store().accept_message(new, event(), now).await;
        accepted.unwrap()
    };
    assert_eq!(accept(first.clone()).await, Accepted::New(0));
    assert_eq!(accept(later).await, Accepted::Again);
    let other = check(publication(json!({"id": "in_2"}), Some(1))).await;
    let other =
        other
            .unwrap()
            .into_message(fabric, &tenant, Publisher::Administrator, Some(&key), now);
    assert_eq!(accept(other.unwrap()).await, Accepted::KeyReused);
}

#[tokio::test]
async fn a_secret_is_sealed_and_shown_once() {
    let test = TestFabric::start(Declared::default()).await.unwrap();
    let (fabric, tenant) = (&test.fabric, tenant("default"));
    for (signing, kind, shown, kept) in [
        (WebhookSigning::V1, SecretKind::Hmac, "whsec_", "whsec_"),
        (WebhookSigning::V1a, SecretKind::Ed25519, "whpk_", "whsk_"),
        (
            WebhookSigning::HttpSignature,
            SecretKind::Ed25519,
            "whpk_",
            "whsk_",
        ),
    ] {
        let made = make_secret(fabric, &tenant, signing).unwrap();
        assert_eq!(made.stored.kind, kind);
        assert!(made.shown.expose().starts_with(shown));
        let id = made.stored.id;
        let place = Aad::row(&tenant, "webhook_secrets", "sealed", id.as_bytes());
        let sealed = Sealed::from_bytes(made.stored.sealed);
        let opened = envelope::open(&*fabric.secrets().keks(), &place, &sealed).unwrap();
        let text = String::from_utf8(opened.expose().clone()).unwrap();
        assert!(text.starts_with(kept));
        assert!(SigningSecret::parse(&Secret::new(text)).is_ok());
    }
}

#[test]
fn a_log_shows_ids_and_no_values() {
    let payload = json!({
        "type": "invoice.paid", "version": 1, "timestamp": 1_800_000_000,
        "data": {
            "id": "in_1", "customer_id": 7, "orderId": "o-1", "name": "Alice", "amount": 12.5,
            "paid": true, "note": null, "lines": [{"id": "l1", "text": "secret"}, "secret"],
            "card": {"number": "4111"}, "id_card": "x",
        },
    });
    let expected = json!({
        "type": "invoice.paid", "version": 1, "timestamp": 1_800_000_000,
        "data": {
            "id": "in_1", "customer_id": 7, "orderId": "o-1", "name": "***", "amount": "***",
            "paid": "***", "note": null, "lines": [{"id": "l1", "text": "***"}, "***"],
            "card": {"number": "***"}, "id_card": "***",
        },
    });
    assert_eq!(masked(&payload), expected);
    assert_eq!(masked_body(&Secret::new(b"no json".to_vec())), json!({}));
}

#[test]
fn what_is_called_an_id_and_is_none_is_not_shown() {
    let payload = json!({
        "id": "alice@example.com", "user_id": "Alice Meyer", "tax_id": "123-45-6789", "sessionId": "c2Vzc2lvbg",
        "order_id": "x".repeat(129), "alice@example.com": {"id": "u-1"}, "order-lines": [],
    });
    let expected = json!({
        "id": "***", "user_id": "***", "tax_id": "***", "sessionId": "***",
        "order_id": "***", "***": {"id": "u-1"}, "order-lines": [],
    });
    assert_eq!(masked(&payload), expected);
}

#[tokio::test]
async fn what_stands_beside_a_sealed_payload_cannot_be_tried_out() {
    let (tenant, key) = (tenant("default"), IdempotencyKey::parse("k-1").unwrap());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let test = TestFabric::start(Declared::default()).await.unwrap();
        let _tenant = with_types(&test).await;
        let mut connection = test.fabric.store().read().await.unwrap();
        let publication = publication(json!({"id": "in_1"}), Some(1));
        let checked = EventTypes::default()
            .check(&mut connection, &tenant, publication)
            .await;
        let (fitting, now) = (checked.unwrap().unwrap(), UnixTime(1_000));
        let by = Publisher::Administrator;
        let new = fitting.into_message(&test.fabric, &tenant, by, Some(&key), now);
        let new = new.unwrap();
        seen.push((new.message.id, new.message.digest, new.order_key));
    }
    let (first, second) = (&seen[0], &seen[1]);
    assert_ne!(first.0, second.0, "an id that anybody could compute");
    assert_ne!(first.1, second.1, "a digest that anybody could compute");
    assert_ne!(first.2, second.2);
}

#[test]
fn secrets_overlap_for_as_long_as_they_may() {
    let (now, day) = (UnixTime(1_000), 24 * 3600);
    let end = |seconds: Option<u64>| others_end(seconds.map(Duration::from_secs), now).0;
    assert_eq!(end(None), 1_000 + day);
    assert_eq!(end(Some(0)), 1_000);
    assert_eq!(end(Some(u64::try_from(30 * day).unwrap())), 1_000 + 7 * day);
}

#[test]
fn a_schema_that_leads_back_to_itself_is_none() {
    let types = EventTypes::default();
    for endless in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
    ] {
        let record = event_type(endless.clone(), Some(json!({})));
        assert!(types.check_record(record).is_err(), "{endless}");
    }
}

#[tokio::test]
async fn a_test_event_names_its_endpoint_and_is_one_for_each_key() {
    let test = TestFabric::start(Declared::default()).await.unwrap();
    let (fabric, tenant) = (&test.fabric, Tenant::default_tenant());
    let row = EndpointRow {
        id: EndpointId::from_bytes([7; 16]),
        partner: Some("acme".parse().unwrap()),
        state: EndpointState::Enabled,
        target: EndpointTarget::Receiver(Box::new(record("https://hooks.example/in"))),
        created: UnixTime(0),
        changed: UnixTime(0),
    };
    let person = |byte| Publisher::Person(UserId::from_bytes([byte; 16]));
    let message = |publisher: Publisher<'_>, key: &str| {
        let key = IdempotencyKey::parse(key).unwrap();
        let fitting = test_publication(&row).unwrap();
        let made = fitting.into_message(fabric, &tenant, publisher, Some(&key), fabric.now());
        made.unwrap().message
    };
    let first = message(person(1), "a");
    assert_eq!(first.event_type.as_str(), TEST_EVENT);
    assert!(is_built_in(&first.event_type));
    assert!(!is_built_in(&"webhook.tested".parse().unwrap()));
    assert_eq!(first.to, Addressee::Partner("acme".parse().unwrap()));
    let body = open_body(fabric, &first).unwrap();
    let body: Value = serde_json::from_slice(body.expose()).unwrap();
    let data = json!({"endpoint_id": row.id.to_string(), "test": true});
    assert_eq!((&body["data"], &body["version"]), (&data, &json!(1)));
    assert_eq!(message(person(1), "a").id, first.id);
    for other in [message(person(1), "b"), message(person(2), "a")] {
        assert_ne!(other.id, first.id);
    }
}
