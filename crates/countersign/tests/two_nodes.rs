//! Two server processes that share one PostgreSQL database: what is ended at one, the other refuses within two seconds, wherever it is shown.
//!
//! Without `COUNTERSIGN_TEST_POSTGRES`, the URL of a server on which databases may be made, there is nothing to test with, and a line says so.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod started;

use countersign::run::{Running, system_clock};
use countersign_control::administrator::AdministratorKey;
use countersign_crypto::Random;
use countersign_testkit::{Answer, CookieJar, basic, claims_of as claims};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;
use started::{caller, parsed, started, url};
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const CALLBACK: &str = "https://portal.test/cb";
const ORDERS: &str = "https://orders.test";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const PASSWORD: &str = "correct horse battery";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// How long the other process may go on believing.
const LIMIT: Duration = Duration::from_secs(2);

fn configuration(upstream: &str) -> String {
    format!(
        r#"
[[clients]]
id = "orders"
secret = {{ file = "orders.secret" }}
grants = ["token_exchange"]
scopes = ["orders.read"]
audiences = ["https://billing.test"]
serves = ["https://orders.test"]

[[upstreams]]
name = "orders"
url = "{upstream}"
plain_http_because = "it is this test"

[[routes]]
name = "orders"
path = "/orders"
upstream = "orders"
audience = "https://orders.test"
proof = "any"
actions.GET = {{ action = "request", scopes = ["orders.read"] }}
"#
    )
}

/// Answers every request.
async fn upstream() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 8192];
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|read| read > 0)
                {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if connection.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

/// A database of our own, if there is a server.
async fn database() -> Option<String> {
    let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
        eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
        return None;
    };
    let name = format!("nodes_{}", Random::system().event_id());
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.into())
}

/// One server process, in all but the process: its own listeners, snapshots and tables of revocations.
struct Node {
    running: Running,
    directory: TempDir,
}

impl Node {
    /// Starts one; the second takes the root key and the epoch key of the first.
    async fn start(database: &str, upstream: &str, first: Option<&Self>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::write(directory.path().join("orders.secret"), "orders-secret").unwrap();
        if let Some(first) = first {
            let keys = data.join("keys");
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&keys)
                .unwrap();
            for name in ["root.key", "epochs"] {
                let key = first.directory.path().join("data/keys").join(name);
                std::fs::copy(key, keys.join(name)).unwrap();
            }
        }
        let text = configuration(upstream);
        Self {
            running: started(
                directory.path(),
                parsed(directory.path(), &text),
                Some(database),
                system_clock(),
            )
            .await,
            directory,
        }
    }

    async fn post(
        &self,
        path: &str,
        (id, secret): (&str, &str),
        form: &[(&str, &str)],
        cookies: &str,
    ) -> Answer {
        let authorization = basic(id, secret);
        let mut headers = Vec::new();
        if !id.is_empty() {
            headers.push(("authorization", authorization.as_str()));
        }
        if !cookies.is_empty() {
            headers.push(("cookie", cookies));
        }
        let url = url(self.running.bound().identity.port(), path);
        caller(&self.running, None).post(&url, &headers, form).await
    }

    async fn get(&self, path: &str, cookies: &str) -> Answer {
        let url = url(self.running.bound().identity.port(), path);
        let headers = [("cookie", cookies)];
        caller(&self.running, None).get(&url, &headers).await
    }

    /// Through the control API of this node.
    async fn administer(&self, rest: &str, body: Option<&Value>) -> Value {
        let now = self.running.fabric().now();
        let key = AdministratorKey::read(&self.directory.path().join("data"), now).unwrap();
        let path = format!("/admin/v1/tenants/default/{rest}");
        let proven = key.prove(&Method::POST, &path, &Random::system(), now);
        let proven = proven.unwrap();
        let headers: Vec<(&str, &str)> = proven
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .chain([("content-type", "application/json")])
            .collect();
        let url = url(self.running.bound().control.port(), &path);
        let answer = caller(&self.running, None)
            .send(
                Method::POST,
                &url,
                &headers,
                body.map(Value::to_string).unwrap_or_default(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{rest}: {}", answer.text);
        answer.json()
    }

    async fn is_active(&self, token: &str) -> bool {
        let orders = ("orders", "orders-secret");
        let answer = self
            .post("/introspect", orders, &[("token", token)], "")
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["active"].as_bool().unwrap()
    }

    /// What the gateway answers to a request with this token.
    async fn through_gateway(&self, token: &str) -> StatusCode {
        let bearer = format!("Bearer {token}");
        let url = url(self.running.bound().gateway.port(), "/orders");
        let headers = [("authorization", bearer.as_str())];
        caller(&self.running, None).get(&url, &headers).await.status
    }

    async fn exchange(&self, token: &str) -> Answer {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", "https://billing.test"),
        ];
        let orders = ("orders", "orders-secret");
        self.post("/token", orders, &form, "").await
    }

    /// The ids that services are told of.
    async fn told(&self) -> String {
        let orders = ("orders", "orders-secret");
        let page = self.post("/revocations", orders, &[], "").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        claims(&page.text)["revoked"].to_string()
    }
}

/// A client and a person of their own, signed in at one node.
struct Party {
    id: String,
    secret: String,
    username: String,
    access: String,
    refresh: String,
}

impl Party {
    async fn join(node: &Node, name: &str) -> Self {
        let (id, username) = (format!("portal-{name}"), format!("alice-{name}"));
        let client = json!({
            "id": id, "method": "secret", "grants": ["authorization_code", "refresh_token"], "redirect_uris": [CALLBACK],
            "scopes": ["openid", "orders.read"], "audiences": [ORDERS], "consent": "implied",
        });
        let secret = node.administer("clients", Some(&client)).await["client_secret"]
            .as_str()
            .unwrap()
            .to_owned();
        let person = json!({ "username": username, "password": PASSWORD });
        node.administer("users", Some(&person)).await;
        let mut party = Self {
            id,
            secret,
            username,
            access: String::new(),
            refresh: String::new(),
        };
        let code = party.sign_in(node).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let tokens = node.post("/token", party.credentials(), &form, "").await;
        party.take(&tokens);
        party
    }

    fn credentials(&self) -> (&str, &str) {
        (&self.id, &self.secret)
    }

    fn take(&mut self, tokens: &Answer) {
        self.access = tokens.field("access_token");
        self.refresh = tokens.field("refresh_token");
    }

    async fn sign_in(&self, node: &Node) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", self.id.as_str()),
                ("redirect_uri", CALLBACK),
                ("response_type", "code"),
                ("scope", "openid orders.read"),
                ("state", "s"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        let mut jar = CookieJar::default();
        let page = node.get(&format!("/authorize?{query}"), "").await;
        jar.keep(&page);
        let form = [
            ("ticket", page.quoted("name=\"ticket\" value=\"")),
            ("username", &self.username),
            ("password", PASSWORD),
        ];
        let action = page.quoted("action=\"");
        let signed_in = node.post(action, ("", ""), &form, &jar.header()).await;
        assert_eq!(
            signed_in.status,
            StatusCode::SEE_OTHER,
            "{}",
            signed_in.text
        );
        jar.keep(&signed_in);
        let answer = node.get(signed_in.location(), &jar.header()).await;
        answer.redirected("code")
    }

    async fn refreshed(&self, node: &Node) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh.as_str()),
        ];
        node.post("/token", self.credentials(), &form, "").await
    }
}

/// Asks until the answer is the expected one, for two seconds from `since` at most.
async fn within_limit(what: &str, since: Instant, ask: impl AsyncFn() -> bool) {
    loop {
        let asked = since.elapsed();
        if ask().await {
            return;
        }
        assert!(asked < LIMIT, "{what} after {asked:?}");
        tokio::task::yield_now().await;
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Client,
    Grant,
    Session,
    User,
}

async fn end(node: &Node, party: &Party, end: End) {
    let told = claims(&party.access);
    let (rest, body) = match end {
        End::Client => (
            "clients/disable".to_owned(),
            Some(json!({ "id": party.id })),
        ),
        End::Grant => {
            let grant = told["grant_id"].as_str().unwrap();
            (format!("grants/{grant}/revoke"), None)
        }
        End::Session => {
            let session = told["sid"].as_str().unwrap();
            (format!("sessions/{session}/end"), None)
        }
        End::User => (
            "users/disable".to_owned(),
            Some(json!({ "username": party.username })),
        ),
    };
    node.administer(&rest, body.as_ref()).await;
}

/// The id that the list of revocations has to name.
fn named(party: &Party, end: End) -> String {
    let told = claims(&party.access);
    let claim = |name: &str| told[name].as_str().unwrap().to_owned();
    match end {
        End::Client => party.id.clone(),
        End::Grant => claim("grant_id"),
        End::Session => claim("sid"),
        End::User => claim("sub"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r42_rt_15_a19_what_is_ended_at_one_process_the_other_refuses_within_two_seconds() {
    let Some(database) = database().await else {
        return;
    };
    let upstream = upstream().await;
    let here = Node::start(&database, &upstream, None).await;
    let there = Node::start(&database, &upstream, Some(&here)).await;
    for kind in [End::Grant, End::Session, End::User, End::Client] {
        let name = format!("{kind:?}").to_lowercase();
        let mut party = Party::join(&here, &name).await;
        // The twin: the other process takes all of it.
        let next = party.refreshed(&there).await;
        party.take(&next);
        assert!(there.is_active(&party.access).await, "{kind:?}");
        let passed = there.through_gateway(&party.access).await;
        assert_eq!(passed, StatusCode::OK, "{kind:?}");
        let exchanged = there.exchange(&party.access).await;
        assert_eq!(
            exchanged.status,
            StatusCode::OK,
            "{kind:?}: {}",
            exchanged.text
        );
        let child = exchanged.field("access_token");

        end(&here, &party, kind).await;
        let since = Instant::now();
        let (there, party) = (&there, &party);
        within_limit(&format!("still active: {kind:?}"), since, async || {
            !there.is_active(&party.access).await
        })
        .await;
        // What another client got for a token of a disabled one is that other client's: it ends with the grant, the session or the person.
        let ended_too = match kind {
            End::Client => false,
            End::Grant | End::Session | End::User => true,
        };
        within_limit(&format!("what came of it: {kind:?}"), since, async || {
            let form = [("token", child.as_str())];
            let orders = ("orders", "orders-secret");
            let answer = there.post("/introspect", orders, &form, "").await;
            answer.json()["active"] != ended_too
        })
        .await;
        within_limit(&format!("still let through: {kind:?}"), since, async || {
            there.through_gateway(&party.access).await == StatusCode::UNAUTHORIZED
        })
        .await;
        within_limit(
            &format!("services are not told: {kind:?}"),
            since,
            async || there.told().await.contains(&named(party, kind)),
        )
        .await;
        // What reads the store itself knows at once.
        let refused = party.refreshed(there).await;
        let expected = match kind {
            End::Client => (StatusCode::UNAUTHORIZED, "invalid_client"),
            End::Grant | End::Session | End::User => (StatusCode::BAD_REQUEST, "invalid_grant"),
        };
        assert_eq!(
            (refused.status, refused.field("error").as_str()),
            expected,
            "{kind:?}"
        );
        let refused = there.exchange(&party.access).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    }
}
