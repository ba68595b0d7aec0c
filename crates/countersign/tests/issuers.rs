//! Tokens of issuers that are not ours, through the whole server: configuration, keys, gateway, reload.

#![expect(clippy::unwrap_used, reason = "tests")]

mod started;

use countersign::config;
use countersign::run::Running;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{self, AccessToken, SigningKey};
use countersign_testkit::system_clock;
use http::StatusCode;
use serde_json::{Value, json};
use started::{caller, parsed, started, url};
use std::path::Path;
use tempfile::TempDir;

const PARTNER: &str = "https://login.partner.test";
const ORDERS: &str = "https://orders.test";

/// Nobody listens where the upstream is: a token that is taken ends in 502, one that is not in 401.
const CONFIGURATION: &str = r#"
[[gateway.issuers]]
name = "partner"
issuer = "https://login.partner.test"
keys = { file = "partner.json" }
algorithms = ["ES256"]
scopes = ["orders.read"]

[[gateway.issuers]]
name = "away"
issuer = "https://login.away.test"
keys = { url = "https://localhost:1/jwks.json", reach = "private" }

[[upstreams]]
name = "orders"
url = "https://localhost:1"

[[routes]]
name = "orders"
path = "/orders"
upstream = "orders"
audience = "https://orders.test"
proof = "any"
actions.GET = { action = "request", scopes = ["orders.read"] }
issuers = ["own", "partner", "away"]

[[routes]]
name = "own"
path = "/own"
upstream = "orders"
audience = "https://orders.test"
proof = "any"
actions.GET = { action = "request", scopes = ["orders.read"] }
"#;

fn key() -> SigningKey<AccessToken> {
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, "partner-1".parse().unwrap(), &pkcs8).unwrap()
}

struct Server {
    directory: TempDir,
    running: Running,
    key: SigningKey<AccessToken>,
}

impl Server {
    async fn start() -> Self {
        let (directory, key) = (tempfile::tempdir().unwrap(), key());
        publish(directory.path(), &key);
        let config = parsed(directory.path(), CONFIGURATION);
        Self {
            running: started(directory.path(), config, None, system_clock()).await,
            directory,
            key,
        }
    }

    fn token(&self, key: &SigningKey<AccessToken>, change: impl FnOnce(&mut Value)) -> String {
        let now = self.running.fabric().now().0;
        let mut claims = json!({
            "iss": PARTNER, "sub": "someone@partner.test", "aud": ORDERS, "iat": now, "exp": now + 300, "jti": "1", "client_id": "portal",
            "scope": "orders.read orders.write",
        });
        change(&mut claims);
        sign_jwt(key, &claims).unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> StatusCode {
        let bearer = format!("Bearer {token}");
        let url = url(self.running.bound().gateway.port(), path);
        let caller = caller(&self.running, None);
        let answer = caller.get(&url, &[("authorization", &bearer)]).await;
        answer.status
    }

    async fn reload(&self, text: &str) -> Result<u64, countersign::run::RunError> {
        let file = Path::new("countersign.toml");
        let config = config::parse(self.directory.path(), file, text).unwrap();
        self.running.reload(&config).await
    }
}

fn publish(directory: &Path, key: &SigningKey<AccessToken>) {
    let jwk = key
        .public_jwk()
        .to_published_json(key.kid(), Algorithm::Es256);
    let set = json!({ "keys": [jwk] }).to_string();
    std::fs::write(directory.join("partner.json"), set).unwrap();
}

#[tokio::test]
async fn tok_5_tok_6_a_partners_token_is_taken_while_its_key_and_its_entry_are_there() {
    let server = Server::start().await;
    let good = server.token(&server.key, |_| ());
    assert_eq!(server.get("/orders", &good).await, StatusCode::BAD_GATEWAY);
    assert_eq!(server.get("/own", &good).await, StatusCode::UNAUTHORIZED);
    let unknown = server.token(&server.key, |claims| {
        claims["iss"] = "https://login.unknown.test".into();
    });
    assert_eq!(
        server.get("/orders", &unknown).await,
        StatusCode::UNAUTHORIZED
    );
    // In the name of our own issuer, under their key.
    let base = server.running.issuer_base().to_owned();
    let ours = server.token(&server.key, |claims| claims["iss"] = base.into());
    assert_eq!(server.get("/orders", &ours).await, StatusCode::UNAUTHORIZED);

    // The key is withdrawn: what was verified a moment ago is not any more.
    let next = key();
    publish(server.directory.path(), &next);
    server.reload(CONFIGURATION).await.unwrap();
    assert_eq!(server.get("/orders", &good).await, StatusCode::UNAUTHORIZED);
    let renewed = server.token(&next, |_| ());
    assert_eq!(
        server.get("/orders", &renewed).await,
        StatusCode::BAD_GATEWAY
    );
    // The scope is not theirs to give any more.
    let narrower = CONFIGURATION.replacen("[\"orders.read\"]", "[\"billing.read\"]", 1);
    server.reload(&narrower).await.unwrap();
    assert_eq!(server.get("/orders", &renewed).await, StatusCode::FORBIDDEN);
    // Nor are they trusted at all.
    let gone = CONFIGURATION.replace("\"partner\", ", "");
    server.reload(&gone).await.unwrap();
    assert_eq!(
        server.get("/orders", &renewed).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn g55_an_issuer_whose_keys_cannot_be_had_is_not_trusted_and_harms_no_other() {
    let server = Server::start().await;
    let away = server.token(&server.key, |claims| {
        claims["iss"] = "https://login.away.test".into();
    });
    for _ in 0..2 {
        assert_eq!(
            server.get("/orders", &away).await,
            StatusCode::SERVICE_UNAVAILABLE
        );
        let good = server.token(&server.key, |_| ());
        assert_eq!(server.get("/orders", &good).await, StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn an_entry_in_the_name_of_our_own_issuer_is_refused_whole() {
    let server = Server::start().await;
    let base = server.running.issuer_base().to_owned();
    let ours = CONFIGURATION.replace(PARTNER, &base);
    let refused = server.reload(&ours).await.unwrap_err().to_string();
    assert!(
        refused.contains("is the issuer of our own tenant"),
        "{refused}"
    );
    let good = server.token(&server.key, |_| ());
    assert_eq!(
        server.get("/orders", &good).await,
        StatusCode::BAD_GATEWAY,
        "all of the old configuration stays"
    );
}
