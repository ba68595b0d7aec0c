//! Routes with an OpenAPI document in a whole process, over real TLS on free ports: what a configuration directory says of a document is what callers and upstreams see.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod started;

use countersign::run::Running;
use countersign_audit::Code;
use countersign_testkit::{Answer, Caller, basic, system_clock};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use started::{caller, parsed, started, url};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the upstream answers, whoever asks: two columns more than the document has.
const ROW: &str =
    r#"{"id":7,"total":12.50,"lines":[{"item":"tea","cost":3}],"card":"4929004412873301"}"#;
/// And what of it the document has, digit by digit.
const DECLARED: &str = r#"{"id":7,"total":12.50,"lines":[{"item":"tea"}]}"#;
const GOOD: &str = r#"{"item":"tea","count":3}"#;
const TEXT: (&str, &str) = ("content-type", "text/plain");
const JSON: (&str, &str) = ("content-type", "application/json");

fn document(count_max: u64) -> Value {
    let order = json!({
        "parameters": [{ "name": "order", "in": "path", "required": true, "schema": { "type": "integer" } }],
        "put": {
            "parameters": [{ "name": "notify", "in": "query", "schema": { "type": "boolean" } }],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object",
                "additionalProperties": false,
                "required": ["item"],
                "properties": {
                    "item": { "type": "string", "pattern": "^[a-z]+$" },
                    "count": { "type": "integer", "maximum": count_max },
                    "owner": { "type": "string", "readOnly": true },
                },
            } } } },
            "responses": { "200": { "description": "", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } } } },
        },
    });
    let line = json!({ "type": "object", "properties": { "item": { "type": "string" } } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "orders", "version": "1" },
        "paths": { "/enforced/{order}": order, "/reported/{order}": order },
        "components": { "schemas": { "Order": {
            "type": "object",
            "required": ["id"],
            "properties": { "id": { "type": "integer" }, "total": { "type": "number" }, "lines": { "type": "array", "items": line } },
        } } },
    })
}

/// The same route three times: with its document, with one that only reports, and with none.
fn configuration(upstream: u16) -> String {
    let route = |name: &str, schema: &str| {
        format!(
            r#"
[[routes]]
name = "{name}"
path = "/{name}/{{order}}"
upstream = "orders"
audience = "https://orders.test"
proof = "any"
unowned = "the orders of this test are nobody's"
actions.PUT = {{ action = "request", scopes = ["orders.write"] }}
{schema}
"#
        )
    };
    format!(
        r#"
[[clients]]
id = "partner"
secret = {{ file = "partner.secret" }}
grants = ["client_credentials"]
scopes = ["orders.write"]
audiences = ["https://orders.test"]

[[upstreams]]
name = "orders"
url = "http://127.0.0.1:{upstream}"
plain_http_because = "the upstream of a test speaks nothing else"
{}{}{}"#,
        route(
            "enforced",
            r#"schema = { document = "orders.openapi.json" }"#
        ),
        route(
            "reported",
            r#"schema = { document = "orders.openapi.json", mode = "report" }"#
        ),
        route("bare", ""),
    )
}

/// Bodies that arrived at the upstream.
type Arrived = Arc<Mutex<Vec<String>>>;

async fn upstream() -> (u16, Arrived) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let arrived = Arrived::default();
    let told = Arc::clone(&arrived);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, Arc::clone(&told)));
        }
    });
    (port, arrived)
}

async fn answer(mut stream: TcpStream, arrived: Arrived) {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    arrived
        .lock()
        .unwrap()
        .push(String::from_utf8(body).unwrap());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{ROW}",
        ROW.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

struct Gateway {
    running: Running,
    caller: Caller,
    bearer: String,
    upstream: u16,
    arrived: Arrived,
    directory: TempDir,
}

impl Gateway {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secret = "a-secret-of-this-test-0123456789";
        std::fs::write(directory.path().join("partner.secret"), secret).unwrap();
        write_document(&directory, &document(10));
        let (upstream, arrived) = upstream().await;
        let config = parsed(directory.path(), &configuration(upstream));
        let running = started(directory.path(), config, None, system_clock()).await;
        let caller = caller(&running, None);
        let token = url(running.bound().identity.port(), "/token");
        let authorization = basic("partner", secret);
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "orders.write"),
        ];
        let told = caller
            .post(&token, &[("authorization", &authorization)], &form)
            .await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        let bearer = format!("Bearer {}", told.field("access_token"));
        Self {
            running,
            caller,
            bearer,
            upstream,
            arrived,
            directory,
        }
    }

    async fn put(&self, target: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("authorization", self.bearer.as_str())];
        all.extend(fields);
        let at = url(self.running.bound().gateway.port(), target);
        self.caller
            .send(Method::PUT, &at, &all, body.to_owned())
            .await
    }

    fn arrived(&self) -> Vec<String> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }

    /// Ends the process, and gives what its log says.
    async fn log(self) -> String {
        self.running.stop(Code::of("test")).await;
        let data = self.directory.path().join("data/audit");
        let log = countersign_store::audit::find_logs(&data).unwrap();
        let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
        records
            .iter()
            .map(|(_, record)| serde_json::to_string(record).unwrap())
            .collect()
    }
}

fn write_document(directory: &TempDir, document: &Value) {
    let path = directory.path().join("orders.openapi.json");
    std::fs::write(path, serde_json::to_vec(document).unwrap()).unwrap();
}

/// Each is the request that goes through but for one thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_document_is_refused_before_the_upstream_and_goes_through_without_one() {
    let gateway = Gateway::start().await;
    let assigned = r#"{"item":"tea","count":3,"role":"admin"}"#;
    let owned = r#"{"item":"tea","count":3,"owner":"mallory"}"#;
    for (order, fields, body, status, place, pointer) in [
        ("x", &[JSON][..], GOOD, 400, "path", "/order"),
        ("7?notify=maybe", &[JSON], GOOD, 400, "query", "/notify"),
        ("7?admin=true", &[JSON], GOOD, 400, "query", "/admin"),
        ("7", &[JSON], assigned, 400, "body", "/role"),
        ("7", &[JSON], owned, 400, "body", "/owner"),
        ("7", &[JSON], "", 400, "body", ""),
        ("7", &[TEXT], GOOD, 415, "body", ""),
    ] {
        let target = format!("/enforced/{order}");
        let told = gateway.put(&target, fields, body).await;
        assert_eq!(told.status.as_u16(), status, "{order} {body} {}", told.text);
        let said = (told.field("in"), told.field("pointer"));
        assert_eq!(
            said,
            (place.to_owned(), pointer.to_owned()),
            "{order} {body}"
        );
        assert!(!told.text.contains("mallory") && !told.text.contains("maybe"));
        assert_eq!(gateway.arrived().len(), 0, "{order} {body}");
        let told = gateway.put(&format!("/bare/{order}"), fields, body).await;
        assert_eq!(told.status, StatusCode::OK, "{order} {body}: {}", told.text);
        assert_eq!(gateway.arrived(), [body]);
    }
    let told = gateway.put("/enforced/7?notify=true", &[JSON], GOOD).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(gateway.arrived(), [GOOD]);
    let log = gateway.log().await;
    assert!(log.contains("schema_body") && log.contains("schema_query"));
    assert!(!log.contains("mallory"), "no value of a caller is recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_answer_says_beyond_the_document_stays_behind_the_gateway() {
    let gateway = Gateway::start().await;
    let told = gateway.put("/enforced/7", &[JSON], GOOD).await;
    assert_eq!(
        (told.status, told.text.as_str()),
        (StatusCode::OK, DECLARED)
    );
    assert_eq!(
        told.headers["content-length"],
        DECLARED.len().to_string().as_str()
    );
    let told = gateway.put("/bare/7", &[JSON], GOOD).await;
    assert_eq!((told.status, told.text.as_str()), (StatusCode::OK, ROW));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_report_mode_request_and_answer_go_on_and_are_recorded() {
    let gateway = Gateway::start().await;
    let assigned = r#"{"item":"tea","role":"admin"}"#;
    let told = gateway.put("/reported/7", &[JSON], assigned).await;
    assert_eq!((told.status, told.text.as_str()), (StatusCode::OK, ROW));
    assert_eq!(gateway.arrived(), [assigned]);
    let log = gateway.log().await;
    for recorded in ["body: additionalProperties", "answer: undeclared members"] {
        assert!(log.contains(recorded), "`{recorded}` in {log}");
    }
    // Nothing is reported of what fits, but for the answer.
    let gateway = Gateway::start().await;
    let told = gateway.put("/reported/7", &[JSON], GOOD).await;
    assert_eq!(told.status, StatusCode::OK);
    let log = gateway.log().await;
    assert!(!log.contains("body: "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_the_new_document_and_one_that_cannot_be_used_changes_nothing() {
    let gateway = Gateway::start().await;
    let many = r#"{"item":"tea","count":30}"#;
    let status = async || gateway.put("/enforced/7", &[JSON], many).await.status;
    assert_eq!(status().await, StatusCode::BAD_REQUEST);
    let text = configuration(gateway.upstream);
    let mut broken = document(100);
    broken["paths"]["/enforced/{order}"] = json!({ "$ref": "https://elsewhere.test/orders" });
    write_document(&gateway.directory, &broken);
    let config = parsed(gateway.directory.path(), &text);
    assert!(gateway.running.reload(&config).await.is_err());
    assert_eq!(status().await, StatusCode::BAD_REQUEST);
    write_document(&gateway.directory, &document(100));
    let config = parsed(gateway.directory.path(), &text);
    gateway.running.reload(&config).await.unwrap();
    assert_eq!(status().await, StatusCode::OK);
}
