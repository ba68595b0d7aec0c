//! Sessions of browsers in a whole process, over real TLS on free ports: the gateway signs people in at our own issuer, keeps their tokens, and refuses what
//! somebody else's page, browser or cookie brings.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod started;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::run::Running;
use countersign_audit::Code;
use countersign_base::Duration;
use countersign_crypto::Random;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use countersign_net::tls::Alpn;
use countersign_net::{TlsClient, TrustRoots};
use countersign_testkit::{Answer, Caller, CookieJar, FakeClock, system_clock};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use started::{caller, parsed, started, url};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const LOGIN: &str = "/.countersign/portal/login";
const CALLBACK: &str = "/.countersign/portal/callback";
const LOGOUT: &str = "/.countersign/portal/logout";
const BACKCHANNEL: &str = "/.countersign/portal/backchannel-logout";
const NAVIGATION: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];

/// Signed in with, behind the gateway's own port.
fn configuration(origin: &str, backend: u16) -> String {
    format!(
        r#"
[[users]]
name = "alice"
password = {{ file = "alice.password" }}

[[clients]]
id = "portal"
jwks = "portal.jwks"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["{origin}{CALLBACK}", "{origin}/.countersign/other/callback", "{origin}/.countersign/brief/callback"]
scopes = ["openid", "orders.read"]
audiences = ["https://orders.test"]
consent = "implied"

[[browser_sessions]]
name = "portal"
client = "portal"
client_key = {{ file = "portal.pem" }}
client_key_id = "portal-1"
audience = "https://orders.test"
scopes = ["orders.read"]
idle = "10m"
absolute = "1h"

[[browser_sessions]]
name = "other"
client = "portal"
client_key = {{ file = "portal.pem" }}
client_key_id = "portal-1"
audience = "https://orders.test"
scopes = ["orders.read"]

[[browser_sessions]]
name = "brief"
client = "portal"
client_key = {{ file = "portal.pem" }}
client_key_id = "portal-1"
audience = "https://orders.test"
scopes = ["orders.read"]
idle = "2m"
absolute = "4m"

[[upstreams]]
name = "orders"
url = "http://127.0.0.1:{backend}"
plain_http_because = "the backend of a test speaks nothing else"

[[routes]]
name = "orders"
path = "/orders/{{*rest}}"
upstream = "orders"
audience = "https://orders.test"
session = "portal"
actions.GET = {{ action = "request", scopes = ["orders.read"] }}
actions.POST = {{ action = "request", scopes = ["orders.read"] }}

[[routes]]
name = "other"
path = "/other/{{*rest}}"
upstream = "orders"
audience = "https://orders.test"
session = "other"
actions.GET = {{ action = "request", scopes = ["orders.read"] }}

[[routes]]
name = "brief"
path = "/brief/{{*rest}}"
upstream = "orders"
audience = "https://orders.test"
session = "brief"
upgrade = "websocket"
actions.GET = {{ action = "request", scopes = ["orders.read"] }}
"#
    )
}

/// Answers that go on.
const SOCKET: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Asks for a WebSocket.
const SWITCH: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What the upstream was sent: heads of requests.
type Seen = Arc<Mutex<Vec<String>>>;

async fn backend() -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let (mut head, mut byte) = (Vec::new(), [0; 1]);
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut byte).await {
                        Ok(1) => head.push(byte[0]),
                        Ok(_) | Err(_) => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
                let goes_on = match head.split(' ').nth(1).unwrap() {
                    "/brief/socket" => Some(SOCKET),
                    "/brief/stream" => Some(STREAM),
                    _ => None,
                };
                told.lock().unwrap().push(head);
                if let Some(answer) = goes_on {
                    stream.write_all(answer).await.unwrap();
                    // Until its peer ends it.
                    let _ = stream.read(&mut byte).await;
                    return;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (port, seen)
}

struct Portal {
    running: Running,
    clock: FakeClock,
    seen: Seen,
    caller: Caller,
    _directory: TempDir,
}

/// The configuration is taken twice: the second time with the port that the gateway got.
async fn portal() -> Portal {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("alice.password", "correct horse");
    let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
    let key: SigningKey<ClientAssertion> =
        SigningKey::from_pkcs8(Algorithm::Es256, "portal-1".parse().unwrap(), &pkcs8).unwrap();
    let body = STANDARD.encode(pkcs8.expose());
    write(
        "portal.pem",
        &format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
    );
    let jwk = key
        .public_jwk()
        .to_published_json(key.kid(), Algorithm::Es256);
    write("portal.jwks", &json!({ "keys": [jwk] }).to_string());
    let (backend, seen) = backend().await;
    let clock = FakeClock::at(system_clock().now().0);
    let begun = parsed(
        directory.path(),
        &configuration("https://localhost:1", backend),
    );
    let running = started(directory.path(), begun, None, clock.clock()).await;
    let origin = format!("https://localhost:{}", running.bound().gateway.port());
    let config = parsed(directory.path(), &configuration(&origin, backend));
    running.reload(&config).await.unwrap();
    let caller = caller(&running, None);
    Portal {
        running,
        clock,
        seen,
        caller,
        _directory: directory,
    }
}

impl Portal {
    fn at(&self, path: &str) -> Url {
        url(self.running.bound().gateway.port(), path)
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.running.bound().gateway.port())
    }

    fn identity(&self, path: &str) -> Url {
        url(self.running.bound().identity.port(), path)
    }

    /// Opens a page of the gateway as a browser does.
    async fn open(&self, jar: &mut CookieJar, target: &str) -> Answer {
        let cookies = jar.header();
        let mut fields = NAVIGATION.to_vec();
        fields.push(("cookie", &cookies));
        let answer = self.caller.get(&self.at(target), &fields).await;
        jar.keep(&answer);
        answer
    }

    /// A call of a page of the portal.
    async fn call(&self, jar: &CookieJar, method: Method, path: &str) -> Answer {
        let (cookies, origin) = (jar.header(), self.origin());
        let fields = [
            ("cookie", cookies.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("origin", origin.as_str()),
        ];
        self.caller
            .send(method, &self.at(path), &fields, String::new())
            .await
    }

    /// Signs alice in at the issuer, and gives the address of the gateway that the browser is sent back to.
    async fn at_the_issuer(&self, jar: &mut CookieJar, start: &str) -> Url {
        let cookies = jar.header();
        let page = self
            .caller
            .get(&Url::parse(start).unwrap(), &[("cookie", &cookies)])
            .await;
        jar.keep(&page);
        let action = self.identity(page.quoted("action=\""));
        let ticket = page.quoted("name=\"ticket\" value=\"").to_owned();
        let form = [
            ("ticket", ticket.as_str()),
            ("username", "alice"),
            ("password", "correct horse"),
        ];
        let cookies = jar.header();
        let signed_in = self
            .caller
            .post(&action, &[("cookie", &cookies)], &form)
            .await;
        assert_eq!(
            signed_in.status,
            StatusCode::SEE_OTHER,
            "{}",
            signed_in.text
        );
        jar.keep(&signed_in);
        let resume = self.identity(signed_in.location());
        let cookies = jar.header();
        let answer = self.caller.get(&resume, &[("cookie", &cookies)]).await;
        jar.keep(&answer);
        Url::parse(answer.location()).unwrap()
    }

    /// From the beginning of a sign-in to the address that the browser is sent back to.
    async fn until_the_callback(&self, jar: &mut CookieJar, login: &str) -> Url {
        let sent = self.open(jar, login).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        self.at_the_issuer(jar, sent.location()).await
    }

    /// A browser that is signed in.
    async fn signed_in(&self) -> CookieJar {
        self.signed_in_at(LOGIN).await
    }

    async fn signed_in_at(&self, login: &str) -> CookieJar {
        let mut jar = CookieJar::default();
        let back = self.until_the_callback(&mut jar, login).await;
        let arrived = self.open(&mut jar, &target(&back)).await;
        assert_eq!(arrived.status, StatusCode::SEE_OTHER, "{}", arrived.text);
        jar
    }

    /// Something that goes on in a session, once its head has come.
    async fn open_ended(&self, jar: &CookieJar, path: &str, fields: &str) -> OpenEnded {
        let pem = self.running.fabric().authority().certificate_pem();
        let roots = TrustRoots::from_pem(pem.as_bytes()).unwrap();
        let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
        let port = self.running.bound().gateway.port();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = tls.connector().connect(name, stream).await.unwrap();
        let (origin, cookies) = (self.origin(), jar.header());
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: {origin}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookies}\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 101") || answer.starts_with("HTTP/1.1 200"),
            "{answer}"
        );
        // Ready when it has ended, with what came until then.
        OpenEnded(tokio::spawn(async move {
            let mut rest = Vec::new();
            // A reset is an end too.
            let _ = stream.read_to_end(&mut rest).await;
            rest
        }))
    }

    /// A socket and a stream of the session.
    async fn both_open(&self, jar: &CookieJar) -> [OpenEnded; 2] {
        [
            self.open_ended(jar, "/brief/socket", SWITCH).await,
            self.open_ended(jar, "/brief/stream", "").await,
        ]
    }

    /// In steps, so that what is known of revocations is never old.
    async fn advance_by_steps(&self, seconds: u64) {
        for _ in 0..seconds / 20 {
            self.advance(20).await;
        }
    }

    async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        let fabric = self.running.fabric();
        fabric
            .revocations()
            .refresh(fabric.store(), fabric.now())
            .await
            .unwrap();
    }

    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Ends the process, and gives what its log says.
    async fn log(self) -> Vec<Value> {
        self.running.stop(Code::of("test")).await;
        let data = self._directory.path().join("data/audit");
        let log = countersign_store::audit::find_logs(&data).unwrap();
        let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
        records
            .iter()
            .map(|(_, record)| serde_json::to_value(record).unwrap())
            .collect()
    }
}

/// What reads to the end.
struct OpenEnded(tokio::task::JoinHandle<Vec<u8>>);

/// Both have ended, each in its way.
async fn ended([socket, stream]: [OpenEnded; 2]) {
    let ended = async { tokio::join!(socket.0, stream.0) };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), ended);
    let (socket, stream) = ended.await.unwrap();
    assert!(socket.unwrap().starts_with(&[0x88, 2, 0x03, 0xf0]), "1008");
    assert_eq!(stream.unwrap(), b"", "no last chunk");
}

fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The value of the one cookie of the session.
fn session_of(jar: &CookieJar) -> String {
    let header = jar.header();
    let cookie = header
        .split("; ")
        .find_map(|cookie| cookie.strip_prefix("__Host-session-gw.portal="));
    cookie.unwrap_or_default().to_owned()
}

fn with_session(value: &str) -> String {
    format!("__Host-session-gw.portal={value}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_opened_after_a_sign_in_and_no_token_reaches_the_browser_or_the_upstream() {
    let portal = portal().await;
    let mut jar = CookieJar::default();
    let sent = portal.open(&mut jar, "/orders/1?page=2").await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(
        sent.location(),
        format!("{LOGIN}?return_to=%2Forders%2F1%3Fpage%3D2")
    );
    let login = sent.location().to_owned();
    let begun = portal.open(&mut jar, &login).await;
    let cookie = begun.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-browser-gw.portal="));
    let authorize = Url::parse(begun.location()).unwrap();
    let names: Vec<String> = authorize
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(names, ["client_id", "request_uri"], "pushed (RFC 9126)");
    let back = portal.at_the_issuer(&mut jar, begun.location()).await;
    let arrived = portal.open(&mut jar, &target(&back)).await;
    assert_eq!(arrived.location(), "/orders/1?page=2");
    for cookie in arrived.headers.get_all(header::SET_COOKIE) {
        let text = cookie.to_str().unwrap();
        assert!(
            text.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"),
            "{text}"
        );
        assert!(!text.contains("Domain") && !text.contains("eyJ"), "{text}");
    }
    let page = portal.open(&mut jar, "/orders/1?page=2").await;
    assert_eq!(page.status, StatusCode::OK);
    let heads = portal.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].contains("countersign-subject: "), "{}", heads[0]);
    for secret in ["__host-", "authorization", "eyj"] {
        assert!(!heads[0].contains(secret), "{}", heads[0]);
    }
    assert_eq!(
        portal.call(&jar, Method::POST, "/orders/1").await.status,
        StatusCode::OK
    );
    // A program without a session is told so, and not sent anywhere.
    let nobody = CookieJar::default();
    let call = portal.call(&nobody, Method::GET, "/orders/1").await;
    assert_eq!(call.status, StatusCode::UNAUTHORIZED);
    assert!(call.headers.get(header::LOCATION).is_none());
    let log = portal.log().await;
    assert!(
        log.iter()
            .any(|record| record["kind"] == "browser_session.began")
    );
}

/// What comes to the callback is what was begun in this browser, once (RFC 9700 §4, RFC 9207).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one attack after the other")]
async fn a60_stolen_mixed_up_injected_and_replayed_answers_sign_nobody_in() {
    let portal = portal().await;
    let (mut victim, mut attacker) = (CookieJar::default(), CookieJar::default());
    let stolen = portal.until_the_callback(&mut attacker, LOGIN).await;
    let own = portal.until_the_callback(&mut victim, LOGIN).await;
    let changed = |name: &str, value: Option<&str>| {
        let mut url = own.clone();
        let pairs: Vec<(String, String)> = own
            .query_pairs()
            .into_owned()
            .filter(|(known, _)| known != name)
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
        target(&url)
    };
    let code = |url: &Url| {
        let found = url.query_pairs().find(|(name, _)| name == "code");
        found.unwrap().1.into_owned()
    };
    let mut refused = vec![
        // Somebody else's answer, in a browser that began one of its own, and in one that began none (login CSRF).
        (target(&stolen), victim.header()),
        (target(&stolen), String::new()),
        // Nothing that a sign-in waits for.
        (changed("state", None), victim.header()),
        (changed("state", Some(&"A".repeat(43))), victim.header()),
        (
            format!("{CALLBACK}?error=access_denied&state=x"),
            victim.header(),
        ),
    ];
    for (target, cookies) in refused.drain(..) {
        let mut fields = NAVIGATION.to_vec();
        fields.push(("cookie", &cookies));
        let answer = portal.caller.get(&portal.at(&target), &fields).await;
        assert!(
            answer.status.is_client_error() || answer.status.is_server_error(),
            "{target}: {}",
            answer.status
        );
        assert!(answer.headers.get(header::SET_COOKIE).is_none(), "{target}");
    }
    // To the address of other sessions.
    let mut third = CookieJar::default();
    let misled = portal.until_the_callback(&mut third, LOGIN).await;
    let cookies = third.header().replace("gw.portal", "gw.other");
    let mut fields = NAVIGATION.to_vec();
    fields.push(("cookie", &cookies));
    let misled = target(&misled).replace("/portal/", "/other/");
    let answer = portal.caller.get(&portal.at(&misled), &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // Its own answer still counts, once.
    let arrived = portal.open(&mut victim, &target(&own)).await;
    assert_eq!(arrived.status, StatusCode::SEE_OTHER, "{}", arrived.text);
    let again = portal.open(&mut victim, &target(&own)).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    // A code of another browser, and another issuer's name, each in an answer that is otherwise right; and the twin.
    for (name, value) in [
        ("code", Some(code(&stolen))),
        ("iss", Some("https://evil.example".to_owned())),
        ("iss", None),
        ("nothing", None),
    ] {
        let mut browser = CookieJar::default();
        let own = portal.until_the_callback(&mut browser, LOGIN).await;
        let mut url = own.clone();
        let pairs: Vec<(String, String)> = own
            .query_pairs()
            .into_owned()
            .filter(|(known, _)| known != name)
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        if let Some(value) = &value {
            url.query_pairs_mut().append_pair(name, value);
        }
        let answer = portal.open(&mut browser, &target(&url)).await;
        let expected = if name == "nothing" {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::BAD_REQUEST
        };
        assert_eq!(answer.status, expected, "{name} {value:?} {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a61_g38_g42_only_the_cookie_of_this_sign_in_is_a_session() {
    let portal = portal().await;
    let jar = portal.signed_in().await;
    let value = session_of(&jar);
    let get = async |cookies: &str, path: &str| {
        let fields = [("cookie", cookies), ("sec-fetch-site", "same-origin")];
        portal.caller.get(&portal.at(path), &fields).await.status
    };
    assert_eq!(
        get(&with_session(&value), "/orders/1").await,
        StatusCode::OK
    );
    let random = Random::system().token();
    for (cookies, path) in [
        (with_session(random.expose()), "/orders/1"),
        (with_session("short"), "/orders/1"),
        (format!("__Host-session-default={value}"), "/orders/1"),
        // The cookie of one kind of session is nothing at another.
        (with_session(&value), "/other/1"),
        (format!("__Host-session-gw.other={value}"), "/other/1"),
    ] {
        assert_eq!(
            get(&cookies, path).await,
            StatusCode::UNAUTHORIZED,
            "{cookies} {path}"
        );
    }
    let two = format!("{}; {}", with_session(&value), with_session(&value));
    assert_eq!(get(&two, "/orders/1").await, StatusCode::BAD_REQUEST);
    let cookies = with_session(&value);
    // A token beside it: which one counts would be anybody's guess.
    let fields = [
        ("cookie", cookies.as_str()),
        ("authorization", "Bearer a.b.c"),
    ];
    let answer = portal.caller.get(&portal.at("/orders/1"), &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);

    // Who signs in again has a new session, and the old one is over; a value that was there before is never taken up.
    let mut planted = CookieJar::default();
    let back = portal.until_the_callback(&mut planted, LOGIN).await;
    let chosen = Random::system().token();
    let cookies = format!("{}; {}", planted.header(), with_session(chosen.expose()));
    let mut fields = NAVIGATION.to_vec();
    fields.push(("cookie", &cookies));
    let arrived = portal.caller.get(&portal.at(&target(&back)), &fields).await;
    planted.keep(&arrived);
    assert_ne!(session_of(&planted), *chosen.expose());
    assert_eq!(
        get(&with_session(chosen.expose()), "/orders/1").await,
        StatusCode::UNAUTHORIZED
    );
    let first = session_of(&planted);
    let back = portal.open(&mut planted, LOGIN).await;
    let cookies = planted.header();
    let answer = portal
        .caller
        .get(
            &Url::parse(back.location()).unwrap(),
            &[("cookie", &cookies)],
        )
        .await;
    let back = Url::parse(answer.location()).unwrap();
    portal.open(&mut planted, &target(&back)).await;
    let second = session_of(&planted);
    assert_ne!(first, second);
    assert_eq!(
        get(&with_session(&first), "/orders/1").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        get(&with_session(&second), "/orders/1").await,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_other_pages_send_are_refused() {
    let portal = portal().await;
    let jar = portal.signed_in().await;
    let (cookies, origin) = (jar.header(), portal.origin());
    let send = async |method: Method, path: &str, fields: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookies.as_str())];
        all.extend_from_slice(fields);
        portal
            .caller
            .send(method, &portal.at(path), &all, String::new())
            .await
            .status
    };
    let ours = [
        ("sec-fetch-site", "same-origin"),
        ("origin", origin.as_str()),
    ];
    for (method, path) in [(Method::POST, "/orders/1"), (Method::POST, LOGOUT)] {
        for foreign in [
            vec![],
            vec![("origin", "https://evil.example")],
            vec![
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://evil.example"),
            ],
            vec![("sec-fetch-site", "same-site"), ("origin", origin.as_str())],
            vec![("origin", "null")],
        ] {
            let status = send(method.clone(), path, &foreign).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {foreign:?}");
        }
    }
    let cross = [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(
        send(Method::GET, "/orders/1", &cross).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(send(Method::POST, "/orders/1", &ours).await, StatusCode::OK);
    assert_eq!(send(Method::GET, "/orders/1", &ours).await, StatusCode::OK);
    assert_eq!(
        send(Method::GET, LOGOUT, &ours).await,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        send(Method::POST, LOGIN, &ours).await,
        StatusCode::METHOD_NOT_ALLOWED
    );
    // Nobody is led elsewhere.
    for path in [
        "//evil.example",
        "https://evil.example/",
        "/%5Cevil.example",
        "/a%0d%0ab",
    ] {
        let query = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
        let path = format!("{LOGIN}?return_to={query}");
        let navigation = NAVIGATION.to_vec();
        let answer = portal.caller.get(&portal.at(&path), &navigation).await;
        let refused = answer.status == StatusCode::BAD_REQUEST;
        let at_issuer = answer.status == StatusCode::SEE_OTHER
            && answer.location().starts_with(portal.identity("/").as_str());
        assert!(refused || at_issuer, "{path} {}", answer.status);
    }
    let away = format!("{LOGIN}?return_to=%2F%2Fevil.example");
    let answer = portal.caller.get(&portal.at(&away), &NAVIGATION).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_requests_at_once_cause_one_refresh() {
    let portal = portal().await;
    let jar = portal.signed_in().await;
    assert_eq!(
        portal.call(&jar, Method::GET, "/orders/1").await.status,
        StatusCode::OK
    );
    portal.advance(290).await;
    let calls = (0..20).map(|_| portal.call(&jar, Method::GET, "/orders/1"));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let log = portal.log().await;
    let refreshes = log
        .iter()
        .filter(|record| {
            record["kind"] == "token" && record["detail"].to_string().contains("refresh_token")
        })
        .count();
    assert_eq!(refreshes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_by_sign_out_and_by_time() {
    let portal = portal().await;
    let status = async |jar: &CookieJar| portal.call(jar, Method::GET, "/orders/1").await.status;
    let jar = portal.signed_in().await;
    let out = portal.call(&jar, Method::POST, LOGOUT).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "{}", out.text);
    assert!(
        out.location().starts_with(portal.identity("/").as_str()),
        "{}",
        out.location()
    );
    assert!(out.location().contains("id_token_hint="));
    let cookie = out.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Max-Age=0"));
    assert_eq!(status(&jar).await, StatusCode::UNAUTHORIZED);
    // With the stale cookie, and with none.
    for jar in [&jar, &CookieJar::default()] {
        let again = portal.call(jar, Method::POST, LOGOUT).await;
        assert_eq!(
            (again.status, again.location()),
            (StatusCode::SEE_OTHER, "/")
        );
    }
    // Unused for too long, and used until its time is over.
    let jar = portal.signed_in().await;
    assert_eq!(status(&jar).await, StatusCode::OK);
    portal.advance(601).await;
    assert_eq!(status(&jar).await, StatusCode::UNAUTHORIZED, "idle");
    let jar = portal.signed_in().await;
    for _ in 0..7 {
        portal.advance(500).await;
        assert_eq!(status(&jar).await, StatusCode::OK);
    }
    portal.advance(101).await;
    assert_eq!(
        status(&jar).await,
        StatusCode::UNAUTHORIZED,
        "its time is over"
    );
    let jar = portal.signed_in().await;
    assert_eq!(status(&jar).await, StatusCode::OK);
    // A logout token of nobody ends nothing.
    let form = [("logout_token", "e30.e30.e30")];
    let forged = portal
        .caller
        .post(&portal.at(BACKCHANNEL), &[], &form)
        .await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    assert_eq!(status(&jar).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_ends_with_its_session() {
    const LOGIN: &str = "/.countersign/brief/login";
    const LOGOUT: &str = "/.countersign/brief/logout";
    let portal = portal().await;
    let status = async |jar: &CookieJar| portal.call(jar, Method::GET, "/brief/1").await.status;
    let running = |open: &[OpenEnded; 2]| open.iter().all(|one| !one.0.is_finished());

    let jar = portal.signed_in_at(LOGIN).await;
    let open = portal.both_open(&jar).await;
    let out = portal.call(&jar, Method::POST, LOGOUT).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "{}", out.text);
    ended(open).await;

    // Nobody uses it. What passes does not count as use, nor does what asks whether it goes on.
    let jar = portal.signed_in_at(LOGIN).await;
    let open = portal.both_open(&jar).await;
    portal.advance_by_steps(100).await;
    assert!(running(&open), "the twin: not idle for long enough");
    portal.advance_by_steps(40).await;
    ended(open).await;
    assert_eq!(status(&jar).await, StatusCode::UNAUTHORIZED);

    // Used until its time is over, and before the token's is.
    let jar = portal.signed_in_at(LOGIN).await;
    let open = portal.both_open(&jar).await;
    for _ in 0..2 {
        portal.advance_by_steps(100).await;
        assert_eq!(status(&jar).await, StatusCode::OK);
    }
    assert!(running(&open), "the twin: used, and not over");
    portal.advance_by_steps(60).await;
    ended(open).await;
    let log = portal.log().await;
    let over = log
        .iter()
        .filter(|record| record.to_string().contains("session_over"))
        .count();
    assert!(over >= 4, "a socket and a stream, twice: {over}");
}
