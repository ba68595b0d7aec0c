//! Routes with an OpenAPI document: what does not fit is refused before anybody decides, and answers are cut down to what is declared.

use crate::routes::spec;
use crate::world::World;
use bytes::Bytes;
use countersign_gateway::routes::ActionSpec;
use countersign_gateway::schema::{ContractSpec, Document, Mode};
use countersign_net::ClientResponse;
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn document(answer: &Value) -> Value {
    let order = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["item", "count"],
        "properties": {
            "item": { "type": "string", "pattern": "^[a-z]+$" },
            "count": { "type": "integer", "maximum": 10 },
            "owner": { "type": "string", "readOnly": true },
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "orders", "version": "1" },
        "paths": { "/typed/{order}": {
            "parameters": [{ "name": "order", "in": "path", "required": true, "schema": { "type": "integer" } }],
            "post": {
                "parameters": [
                    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 5 } },
                    { "name": "tag", "in": "query", "schema": { "type": "array", "items": { "type": "string" }, "maxItems": 2 } },
                    { "name": "X-Kind", "in": "header", "schema": { "enum": ["a", "b"] } },
                ],
                "requestBody": { "required": true, "content": { "application/json": { "schema": order } } },
                "responses": { "200": { "description": "", "content": answer } },
            },
            "get": { "responses": { "200": { "description": "", "content": answer } } },
        } },
    })
}

fn world(mode: Mode, answer: &Value) -> World {
    let world = World::start();
    let bytes = serde_json::to_vec(&document(answer)).unwrap();
    let document = Document::parse("orders.json", &bytes).unwrap();
    let action = ActionSpec {
        action: "request".to_owned(),
        scopes: "orders.read".parse().unwrap(),
    };
    world.reload(|specs| {
        let mut typed = spec("typed", "/typed/{id}");
        typed.contract = Some(ContractSpec { document, mode });
        typed.actions = ["GET", "POST"]
            .map(|method| (method.to_owned(), action.clone()))
            .into();
        specs.push(typed);
    });
    world
}

fn any() -> Value {
    json!({ "*/*": {} })
}

async fn post(world: &World, path: &str, fields: &[(&str, &str)], body: &str) -> ClientResponse {
    let bearer = world.bearer(|_| {});
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(fields);
    let body = Bytes::copy_from_slice(body.as_bytes());
    world
        .send(&world.client(None), Method::POST, path, &all, body)
        .await
}

const JSON: (&str, &str) = ("content-type", "application/json");
const GOOD: &str = r#"{"item":"tea","count":3}"#;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_request_that_does_not_fit_is_told_where_and_never_with_a_value() {
    let world = world(Mode::Enforce, &any());
    let gzip = ("content-encoding", "gzip");
    for (path, fields, body, status, place, pointer, keyword) in [
        ("/typed/x7", vec![JSON], GOOD, 400, "path", "/order", "type"),
        (
            "/typed/7?limit=6",
            vec![JSON],
            GOOD,
            400,
            "query",
            "/limit",
            "maximum",
        ),
        (
            "/typed/7?limit=1&limit=2",
            vec![JSON],
            GOOD,
            400,
            "query",
            "/limit",
            "repeated",
        ),
        (
            "/typed/7?admin=1",
            vec![JSON],
            GOOD,
            400,
            "query",
            "/admin",
            "unknown",
        ),
        (
            "/typed/7?tag=a&tag=b&tag=c",
            vec![JSON],
            GOOD,
            400,
            "query",
            "/tag",
            "maxItems",
        ),
        (
            "/typed/7",
            vec![JSON, ("x-kind", "c")],
            GOOD,
            400,
            "header",
            "/x-kind",
            "enum",
        ),
        // Mass assignment: a member that the schema does not have, and one that is not the caller's to set.
        (
            "/typed/7",
            vec![JSON],
            r#"{"item":"tea","count":3,"role":"admin"}"#,
            400,
            "body",
            "/role",
            "additionalProperties",
        ),
        (
            "/typed/7",
            vec![JSON],
            r#"{"item":"tea","count":3,"owner":"bob"}"#,
            400,
            "body",
            "/owner",
            "falseSchema",
        ),
        (
            "/typed/7",
            vec![JSON],
            r#"{"item":"tea","count":11}"#,
            400,
            "body",
            "/count",
            "maximum",
        ),
        (
            "/typed/7",
            vec![JSON],
            r#"{"item":"tea","count":3,"count":99}"#,
            400,
            "body",
            "/count",
            "duplicate",
        ),
        (
            "/typed/7",
            vec![JSON],
            r#"{"item":"tea","count":1e999}"#,
            400,
            "body",
            "/count",
            "number",
        ),
        ("/typed/7", vec![JSON], "", 400, "body", "", "required"),
        (
            "/typed/7",
            vec![("content-type", "text/plain")],
            GOOD,
            415,
            "body",
            "",
            "mediaType",
        ),
        (
            "/typed/7",
            vec![JSON, gzip],
            GOOD,
            415,
            "body",
            "",
            "encoding",
        ),
    ] {
        let answer = post(&world, path, &fields, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}");
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let expected = (json!(place), json!(pointer));
        assert_eq!(
            (told["in"].clone(), told["pointer"].clone()),
            expected,
            "{path} {body}: {told}"
        );
        if keyword != "falseSchema" {
            assert_eq!(told["keyword"], keyword, "{path} {body}");
        }
    }
    assert!(world.upstream.take().is_empty());
    let answer = post(
        &world,
        "/typed/7?limit=5&tag=a&tag=b",
        &[JSON, ("x-kind", "a")],
        GOOD,
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(world.upstream.take_one().body.unwrap(), GOOD);
    let log = world.log_text().await;
    for code in [
        "schema_body",
        "schema_header",
        "schema_path",
        "schema_query",
    ] {
        World::assert_logged(&log, code);
    }
    assert!(
        !log.contains("bob"),
        "what a caller wrote is not in the log"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_body_where_the_document_has_none_is_refused() {
    let world = world(Mode::Enforce, &any());
    let bearer = world.bearer(|_| {});
    let fields = [("authorization", bearer.as_str()), JSON];
    let client = world.client(None);
    let with = world.send(
        &client,
        Method::GET,
        "/typed/7",
        &fields,
        Bytes::from_static(b"{}"),
    );
    assert_eq!(with.await.status, StatusCode::BAD_REQUEST);
    let without = world.send(&client, Method::GET, "/typed/7", &fields, Bytes::new());
    assert_eq!(without.await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn in_report_mode_everything_goes_on_and_is_recorded() {
    let world = world(Mode::Report, &any());
    let bad = r#"{"item":"tea","count":99}"#;
    let answer = post(&world, "/typed/7?admin=1", &[JSON], GOOD).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = post(&world, "/typed/7", &[JSON], bad).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(world.upstream.take().len(), 2);
    let log = world.log_text().await;
    World::assert_logged(&log, "query: unknown");
    World::assert_logged(&log, "body: maximum");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_the_document_does_not_have_is_not_passed_on() {
    let typed = json!({ "application/problem+json": { "schema": { "type": "object" } } });
    let strict = world(Mode::Enforce, &typed);
    let answer = post(&strict, "/typed/7", &[JSON], GOOD).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    World::assert_logged(&strict.log_text().await, "answer_undeclared");
    strict.stop().await;
    let lenient = world(Mode::Report, &typed);
    let answer = post(&lenient, "/typed/7", &[JSON], GOOD).await;
    assert_eq!(answer.status, StatusCode::OK);
    lenient.stop().await;
}
