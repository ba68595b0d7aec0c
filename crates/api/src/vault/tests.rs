//! Who is answered at the vault's door, and in which form.

use super::{AUDIENCE, router};
use axum::Router;
use axum::body::Body;
use countersign_base::{Duration, Secret, Tenant, UnixTime};
use countersign_control::vault::{Vault, VaultSeal};
use countersign_control::{Declared, DeclaredClient};
use countersign_oauth::client::Origin;
use countersign_oauth::{ClientAuthentication, ClientRecord, TenantRecord};
use countersign_testkit::{TestFabric, tenant};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;

struct Setting {
    test: TestFabric,
    vault: Arc<Vault>,
    router: Router,
    root: Secret<String>,
}

struct Said {
    status: StatusCode,
    kind: Option<String>,
    body: Value,
}

fn declared() -> Declared {
    let record =
        |name: &str, issuer: &str| TenantRecord::new(tenant(name), issuer.parse().unwrap());
    let mut client = ClientRecord::new(
        "billing".parse().unwrap(),
        tenant("default"),
        ClientAuthentication::Public,
        UnixTime(0),
    );
    client.origin = Origin::Configuration;
    client.audiences = [AUDIENCE.parse().unwrap()].into();
    Declared {
        tenants: vec![
            record("default", "https://id.example"),
            record("other", "https://id.example/t/other"),
        ],
        clients: vec![DeclaredClient {
            record: client,
            secret: None,
        }],
        ..Declared::default()
    }
}

async fn setting() -> Setting {
    let test = TestFabric::start(declared()).await.unwrap();
    let vault = Vault::start(&test.fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    let root = vault
        .root_token(&Tenant::default_tenant(), Duration::from_secs(3600))
        .await
        .unwrap();
    let origin = "https://localhost:8445".parse().unwrap();
    let router = router(Arc::clone(&test.fabric), Arc::clone(&vault), &origin);
    Setting {
        test,
        vault,
        router,
        root,
    }
}

impl Setting {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Said {
        let mut request = Request::builder().method(method).uri(format!("/v1/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Said {
            status,
            kind,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn as_root(&self, method: &str, path: &str, body: Value) -> Said {
        let token = self.root.expose().clone();
        self.send(method, path, &[("x-vault-token", &token)], body)
            .await
    }

    async fn with_secret() -> Self {
        let setting = setting().await;
        let body = json!({ "data": { "password": "canary" } });
        let written = setting.as_root("POST", "secret/data/app", body).await;
        assert_eq!(written.status, StatusCode::OK, "{}", written.body);
        setting
    }
}

#[tokio::test]
async fn a_secret_is_written_and_read_by_the_root_token_as_header_and_as_bearer() {
    let setting = Setting::with_secret().await;
    let read = setting.as_root("GET", "secret/data/app", Value::Null).await;
    assert_eq!(read.status, StatusCode::OK);
    assert_eq!(read.kind.as_deref(), Some("application/json"));
    assert_eq!(read.body["data"]["data"]["password"], "canary");
    for member in ["request_id", "lease_id", "lease_duration", "renewable"] {
        assert!(!read.body[member].is_null(), "{member}");
    }
    let bearer = format!("Bearer {}", setting.root.expose());
    let read = setting
        .send(
            "GET",
            "secret/data/app",
            &[("authorization", &bearer)],
            Value::Null,
        )
        .await;
    assert_eq!(read.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_without_a_good_token_is_answered_and_nothing_is_told() {
    let setting = Setting::with_secret().await;
    let root = setting.root.expose().clone();
    let unknown: String = root.chars().rev().collect();
    let unknown = format!("hvs.{unknown}");
    let twice = [("x-vault-token", root.as_str()), ("x-vault-token", &root)];
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[("x-vault-token", &unknown)],
        &[("x-vault-token", "hvs.")],
        &[("x-vault-token", "root")],
        &[("authorization", "Basic cm9vdDpyb290")],
        &[("authorization", "Bearer ")],
        &twice,
        &[("x-vault-token", "a.b.c")],
    ];
    for headers in cases {
        for path in ["secret/data/app", "secret/data/none", "nowhere/at/all"] {
            let said = setting.send("GET", path, headers, Value::Null).await;
            assert_eq!(said.status, StatusCode::FORBIDDEN, "{headers:?} {path}");
            assert_eq!(said.body, json!({ "errors": ["permission denied"] }));
        }
    }
}

#[tokio::test]
async fn ghsa_mwr2_wmgp_crj6_a_namespace_is_a_tenant_in_every_spelling_or_nobodys() {
    let setting = Setting::with_secret().await;
    let root = setting.root.expose().clone();
    for (namespace, expected) in [
        ("", StatusCode::OK),
        ("root", StatusCode::OK),
        ("root/", StatusCode::OK),
        ("/root", StatusCode::OK),
        ("default", StatusCode::OK),
        ("other", StatusCode::FORBIDDEN),
        ("nobody", StatusCode::FORBIDDEN),
        ("root/other", StatusCode::FORBIDDEN),
    ] {
        let headers = [
            ("x-vault-token", root.as_str()),
            ("x-vault-namespace", namespace),
        ];
        let said = setting
            .send("GET", "secret/data/app", &headers, Value::Null)
            .await;
        assert_eq!(said.status, expected, "{namespace}");
    }
    let said = setting
        .as_root("GET", "other/secret/data/app", Value::Null)
        .await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn each_tenant_has_a_vault_of_its_own() {
    let setting = Setting::with_secret().await;
    let other = setting
        .vault
        .root_token(&tenant("other"), Duration::from_secs(60))
        .await
        .unwrap();
    let headers = [
        ("x-vault-token", other.expose().as_str()),
        ("x-vault-namespace", "other/"),
    ];
    let said = setting
        .send("GET", "secret/data/app", &headers, Value::Null)
        .await;
    assert_eq!(said.status, StatusCode::NOT_FOUND);
    let said = setting
        .send("GET", "secret/data/app", &headers[..1], Value::Null)
        .await;
    assert_eq!(said.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn cve_2026_3605_relative_paths_are_refused_before_anybody_is_known() {
    let setting = Setting::with_secret().await;
    for path in ["secret/data/%2e%2e/app", "secret/%252e%252e/app"] {
        let said = setting.as_root("GET", path, Value::Null).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(said.body["errors"][0], "relative paths not supported");
    }
}

#[tokio::test]
async fn cve_2023_6337_bodies_are_bounded_and_smaller_for_strangers() {
    let setting = setting().await;
    let body = json!({ "data": { "long": "x".repeat(100_000) } });
    let said = setting
        .send("POST", "auth/approle/login", &[], body.clone())
        .await;
    assert_eq!(said.status, StatusCode::PAYLOAD_TOO_LARGE);
    let said = setting.as_root("POST", "secret/data/app", body).await;
    assert_eq!(said.status, StatusCode::OK);
    let body = json!({ "data": { "long": "x".repeat(9_000_000) } });
    let said = setting.as_root("POST", "secret/data/app", body).await;
    assert_eq!(said.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn cve_2024_8185_a_body_that_never_comes_is_waited_for_of_nobody_unknown() {
    let setting = setting().await;
    let answered = async |token: &str| {
        let endless = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let request = Request::post("/v1/secret/data/app")
            .header("x-vault-token", token)
            .body(Body::from_stream(endless))
            .unwrap();
        let answer = setting.router.clone().oneshot(request);
        tokio::time::timeout(Duration::from_secs(5), answer).await
    };
    let stranger = answered("hvs.nobody").await.unwrap().unwrap();
    assert_eq!(stranger.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answered(setting.root.expose()).await.is_err(), "waited for");
}

#[tokio::test]
async fn cve_2025_4166_what_is_malformed_is_never_repeated() {
    let setting = setting().await;
    let token = setting.root.expose().clone();
    let request = Request::post("/v1/secret/data/app")
        .header("x-vault-token", &token)
        .body(Body::from("{\"data\": {\"password\": canary}}"))
        .unwrap();
    let response = setting.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("canary"));
}

#[tokio::test]
async fn health_and_seal_status_are_told_to_everybody_without_the_envelope() {
    let setting = setting().await;
    for (path, member, expected) in [
        ("sys/health", "sealed", json!(false)),
        ("sys/health", "performance_standby", json!(false)),
        ("sys/seal-status", "initialized", json!(true)),
        ("sys/init", "initialized", json!(true)),
        ("sys/leader", "is_self", json!(true)),
    ] {
        let said = setting.send("GET", path, &[], Value::Null).await;
        assert_eq!(said.status, StatusCode::OK, "{path}");
        assert_eq!(said.body[member], expected, "{path}");
    }
    let said = setting
        .send("GET", "sys/health?activecode=299", &[], Value::Null)
        .await;
    assert_eq!(said.status.as_u16(), 299);
}

#[tokio::test]
async fn what_is_written_stands_sealed_in_the_database() {
    let setting = Setting::with_secret().await;
    let file = setting.test.data.path().join("state.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut rows = connection
        .prepare("SELECT name, sealed FROM vault_entries")
        .unwrap();
    let rows: Vec<(String, Vec<u8>)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(rows.len() > 2);
    let token = setting.root.expose().as_bytes();
    for (name, sealed) in rows {
        for canary in [b"canary".as_slice(), b"password", token] {
            let found = sealed.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "{name}");
            assert!(
                !name
                    .as_bytes()
                    .windows(canary.len())
                    .any(|window| window == canary)
            );
        }
        assert_eq!(sealed[0], 0xC5, "{name}");
    }
}

/// Every byte below a directory.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn cve_2025_62513_no_secret_of_a_request_or_an_answer_stands_in_the_audit_log() {
    let setting = Setting::with_secret().await;
    let nested = json!({ "data": { "list": [{ "deep": "canary" }], "bytes": "Y2FuYXJ5" } });
    for (method, path, body) in [
        ("POST", "secret/data/nested", nested),
        ("GET", "secret/data/nested", Value::Null),
        (
            "POST",
            "transit/encrypt/k",
            json!({ "plaintext": "Y2FuYXJ5" }),
        ),
        (
            "POST",
            "auth/token/create",
            json!({ "meta": { "of": "canary" } }),
        ),
    ] {
        let said = setting.as_root(method, path, body).await;
        assert_eq!(said.status, StatusCode::OK, "{path}: {}", said.body);
    }
    let root = setting.root.expose().clone();
    let Setting {
        test,
        vault,
        router,
        ..
    } = setting;
    drop((vault, router));
    let data = test.stop().await;
    let log = bytes_below(&data.path().join("audit"));
    let holds = |text: &str| {
        log.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    // What is looked for would be found: the calls themselves are there.
    assert!(holds("vault_read") && holds("VaultPath secret/"));
    for secret in ["canary", "Y2FuYXJ5", "hvs.", root.as_str()] {
        assert!(!holds(secret), "{secret}");
    }
}
