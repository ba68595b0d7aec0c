//! Who publishes what: the table of authorization cases, and what becomes of a publication.

use super::{AUDIENCE, ENDPOINTS, MESSAGES, SCOPE, router};
use crate::token_caller::{Answered, Caller, ORIGIN, OTHER_AUDIENCE, send};
use axum::Router;
use axum::body::Body;
use countersign_audit::event::{Actor, WebhookEventTypeChanged};
use countersign_audit::{Code, Count};
use countersign_base::{Bounded, Duration};
use countersign_control::Declared;
use countersign_control::webhooks::{PublishingRate, WebhookRules};
use countersign_store::Write;
use countersign_store::tables::webhook_event_types::{EventTypeRecord, EventTypeRow};
use countersign_store::webhooks::WebhookWrite;
use countersign_testkit::tenant;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;

struct World {
    caller: Caller,
    webhooks: Router,
}

impl World {
    async fn with(policies: &[(&str, &str)]) -> Self {
        let scopes = format!("{SCOPE} other");
        let of = (AUDIENCE, scopes.as_str());
        let caller = Caller::start("billing", of, Declared::default(), policies).await;
        let fabric = Arc::clone(&caller.test.fabric);
        let world = Self {
            webhooks: router(fabric, &ORIGIN.parse().unwrap()),
            caller,
        };
        world.add_event_type().await;
        world
    }

    async fn start() -> Self {
        Self::with(&countersign_policy::defaults::POLICIES).await
    }

    /// In the default tenant alone.
    async fn add_event_type(&self) {
        let fabric = &self.caller.test.fabric;
        let row = EventTypeRow {
            name: "invoice.paid".parse().unwrap(),
            version: 1,
            record: EventTypeRecord {
                description: Bounded::parse("An invoice was paid.").unwrap(),
                schema: Some(json!({ "type": "object", "required": ["invoice_id"] })),
                example: None,
                retired: false,
            },
            created: fabric.now(),
        };
        let event = WebhookEventTypeChanged {
            by: Actor::System,
            change: Code::of("added"),
            name: row.name.clone(),
            version: Some(Count::of(1)),
        };
        let event = fabric
            .recorder()
            .about_event(&tenant("default"), None, event);
        let write = Write::Webhook(Box::new(WebhookWrite::AddEventType(Box::new(row))));
        let store = fabric.store();
        store
            .change(&tenant("default"), vec![write], event, fabric.now())
            .await
            .unwrap();
    }

    async fn token_of(&self, of: &str, audience: &str, scopes: &str) -> String {
        self.caller.token_of(of, audience, scopes).await
    }

    async fn post(&self, token: Option<&str>, key: Option<&str>, body: &Value) -> Answered {
        let mut request = Request::post(MESSAGES).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        send(&self.webhooks, request).await
    }
}

fn paid(invoice: &str) -> Value {
    json!({ "type": "invoice.paid", "everyone": true, "data": { "invoice_id": invoice } })
}

#[tokio::test]
async fn authz_matrix_of_publishing() {
    let paths: Vec<&str> = ENDPOINTS.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, [MESSAGES]);
    let world = World::start().await;
    let body = paid("in_1");
    let refused = async |token: Option<&str>| {
        let answered = world.post(token, None, &body).await;
        (
            answered.status.as_u16(),
            answered.body["error"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(refused(None).await.0, 401);
    let bad = refused(Some("AAAA")).await;
    assert_eq!((bad.0, bad.1.as_str()), (401, "invalid_token"));
    let token = world.token_of("default", OTHER_AUDIENCE, SCOPE).await;
    let audience = refused(Some(&token)).await;
    assert_eq!((audience.0, audience.1.as_str()), (401, "invalid_token"));
    let token = world.token_of("default", AUDIENCE, "other").await;
    let scope = refused(Some(&token)).await;
    assert_eq!((scope.0, scope.1.as_str()), (403, "insufficient_scope"));
    // A client of another tenant publishes there, where there is no such type.
    let token = world.token_of("acme", AUDIENCE, SCOPE).await;
    let elsewhere = refused(Some(&token)).await;
    assert_eq!((elsewhere.0, elsewhere.1.as_str()), (422, "payload"));
    let token = world.token_of("default", AUDIENCE, SCOPE).await;
    let good = world.post(Some(&token), None, &body).await;
    assert_eq!(good.status, StatusCode::ACCEPTED, "{good:?}");
}

#[tokio::test]
async fn policy_decides_who_publishes() {
    let without: Vec<(&str, &str)> = countersign_policy::defaults::POLICIES
        .into_iter()
        .filter(|(name, _)| *name != "webhooks.cedar")
        .collect();
    let world = World::with(&without).await;
    let token = world.token_of("default", AUDIENCE, SCOPE).await;
    let denied = world.post(Some(&token), None, &paid("in_1")).await;
    assert_eq!(
        (denied.status, denied.body["error"].as_str()),
        (StatusCode::FORBIDDEN, Some("denied"))
    );
}

#[tokio::test]
async fn the_same_key_publishes_once() {
    let world = World::start().await;
    let token = world.token_of("default", AUDIENCE, SCOPE).await;
    let post = async |key: &str, body: &Value| world.post(Some(&token), Some(key), body).await;
    let first = post("\"k-1\"", &paid("in_1")).await;
    assert_eq!(
        (
            first.status,
            &first.body["version"],
            &first.body["endpoints"]
        ),
        (StatusCode::ACCEPTED, &json!(1), &json!(0))
    );
    for key in ["\"k-1\"", "k-1"] {
        let again = post(key, &paid("in_1")).await;
        assert_eq!(again.status, StatusCode::ACCEPTED);
        assert_eq!(again.body["message"], first.body["message"], "{key}");
    }
    let reused = post("k-1", &paid("in_2")).await;
    assert_eq!(
        (reused.status, reused.body["error"].as_str()),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("idempotency_key_reused")
        )
    );
    let other = post("k-2", &paid("in_1")).await;
    assert_ne!(other.body["message"], first.body["message"]);
    for bad in ["", "\"\"", "\"a", "a b", "a\"b", &"k".repeat(256)] {
        let refused = post(bad, &paid("in_1")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let mut unfit = paid("in_1");
    unfit["data"] = json!({ "secret": "value" });
    let unfit = post("k-3", &unfit).await;
    assert_eq!(unfit.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!unfit.body.to_string().contains("value"), "{unfit:?}");
    let mut nobody = paid("in_1");
    nobody["everyone"] = json!(false);
    let nobody = post("k-4", &nobody).await;
    assert_eq!(nobody.status, StatusCode::BAD_REQUEST);
}

/// Rules under which a client publishes so many a minute.
fn a_minute(requests: u32) -> WebhookRules {
    WebhookRules {
        publishing: PublishingRate {
            requests,
            per: Duration::from_secs(60),
        },
        ..WebhookRules::default()
    }
}

#[tokio::test]
async fn a_client_publishes_only_so_much() {
    let world = World::start().await;
    let test = &world.caller.test;
    test.fabric.replace_webhook_rules(a_minute(3));
    let token = world.token_of("default", AUDIENCE, SCOPE).await;
    let post = async || world.post(Some(&token), None, &paid("in_1")).await;
    for _ in 0..3 {
        assert_eq!(post().await.status, StatusCode::ACCEPTED);
    }
    let refused = post().await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.body["error"], "rate_limited");
    assert_eq!(refused.headers[header::RETRY_AFTER], "20");
    let messages = refused.body["message"].as_str().unwrap();
    assert!(messages.contains("publishes too much"), "{messages}");
    // A second before it gains one it has none, and then one.
    test.clock.advance(Duration::from_secs(19));
    let refused = post().await;
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(post().await.status, StatusCode::ACCEPTED);
    assert_eq!(post().await.status, StatusCode::TOO_MANY_REQUESTS);
    // Another client is not held up by it: its type is what it lacks.
    let other = world.token_of("acme", AUDIENCE, SCOPE).await;
    let answered = world.post(Some(&other), None, &paid("in_1")).await;
    assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY);
    // A reload changes it.
    test.fabric.replace_webhook_rules(a_minute(60));
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(post().await.status, StatusCode::ACCEPTED);
    assert_eq!(post().await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn who_may_not_publish_uses_nothing_up() {
    let world = World::start().await;
    let test = &world.caller.test;
    test.fabric.replace_webhook_rules(a_minute(1));
    let without = world.token_of("default", AUDIENCE, "other").await;
    for _ in 0..3 {
        let refused = world.post(Some(&without), None, &paid("in_1")).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    let token = world.token_of("default", AUDIENCE, SCOPE).await;
    let good = world.post(Some(&token), None, &paid("in_1")).await;
    assert_eq!(good.status, StatusCode::ACCEPTED, "{good:?}");
}
