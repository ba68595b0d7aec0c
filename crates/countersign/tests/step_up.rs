//! A step-up (RFC 9470) from end to end in a whole process, over real TLS on free ports: the gateway's challenge, the authorization request with just what it says, another sign-in, a new token, a permit.

#![expect(clippy::unwrap_used, reason = "tests")]

mod started;

use countersign::run::Running;
use countersign_audit::Code;
use countersign_base::{Duration, Secret};
use countersign_crypto::hotp;
use countersign_testkit::{Answer, Caller, CookieJar, FakeClock, basic, claims_of, system_clock};
use http::{StatusCode, header};
use started::{caller, parsed, started, url};
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const CALLBACK: &str = "https://app.test/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const PASSWORD: &str = "correct horse battery";
const SECRET: &str = "an-app-secret-of-forty-three-characters-00x";
const TWO_FACTORS: &str = "urn:countersign:acr:2";

const POLICY: &str = r#"
@id("payments-with-two-factors-of-now")
@step_up("acr=urn:countersign:acr:2 max_age=300")
forbid (principal, action == Action::"request", resource is Route)
unless { context has level && context.level >= 2 && context has age && context.age <= 300 };
"#;

fn configuration(upstream: u16) -> String {
    format!(
        r#"
[policies]
directory = "policies"

[[users]]
name = "alice"
password = {{ file = "alice.password" }}

[[clients]]
id = "app"
secret = {{ file = "app.secret" }}
grants = ["authorization_code"]
redirect_uris = ["{CALLBACK}"]
scopes = ["openid", "payments"]
audiences = ["https://pay.test"]
access_token_lifetime = "15m"
consent = "implied"

[[upstreams]]
name = "pay"
url = "http://127.0.0.1:{upstream}"
plain_http_because = "the upstream of a test speaks nothing else"

[[routes]]
name = "pay"
path = "/pay"
upstream = "pay"
audience = "https://pay.test"
proof = "any"
actions.GET = {{ action = "request", scopes = ["payments"] }}
"#
    )
}

/// Answers every request.
async fn upstream() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 8192];
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                while matches!(connection.read(&mut request).await, Ok(1..)) {
                    if connection.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

struct World {
    running: Running,
    clock: FakeClock,
    caller: Caller,
    directory: TempDir,
}

/// What an authenticator app knows.
struct App(Secret<[u8; 20]>);

impl App {
    fn read(page: &Answer) -> Self {
        let key = page.text.split("<code class=\"box big\">").nth(1).unwrap();
        let key = key.split('<').next().unwrap().replace(' ', "");
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for letter in key.bytes() {
            let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let digit = digits.iter().position(|known| *known == letter).unwrap();
            bits = (bits << 5) | u32::try_from(digit).unwrap();
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from((bits >> count) & 255).unwrap());
            }
        }
        Self(Secret::new(bytes.try_into().unwrap()))
    }

    fn code(&self, clock: &FakeClock) -> String {
        let step = u64::try_from(clock.clock().now().0 / 30).unwrap();
        format!("{:06}", hotp::value(&self.0, step))
    }
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        write("policies/payments.cedar", POLICY);
        write("alice.password", PASSWORD);
        write("app.secret", SECRET);
        let clock = FakeClock::at(system_clock().now().0);
        let config = parsed(directory.path(), &configuration(upstream().await));
        let running = started(directory.path(), config, None, clock.clock()).await;
        let caller = caller(&running, None);
        Self {
            running,
            clock,
            caller,
            directory,
        }
    }

    fn identity(&self, path: &str) -> Url {
        url(self.running.bound().identity.port(), path)
    }

    async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        let fabric = self.running.fabric();
        let (revocations, now) = (fabric.revocations(), fabric.now());
        revocations.refresh(fabric.store(), now).await.unwrap();
    }

    async fn get(&self, jar: &mut CookieJar, path: &str) -> Answer {
        let cookies = jar.header();
        let fields = [("cookie", cookies.as_str())];
        let answer = self.caller.get(&self.identity(path), &fields).await;
        jar.keep(&answer);
        answer
    }

    /// Fills in the form that begins behind `mark`.
    async fn submit(
        &self,
        jar: &mut CookieJar,
        page: &Answer,
        mark: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let (_, form) = page.text.split_once(mark).unwrap();
        let between = |mark: &str| {
            let (_, rest) = form.split_once(mark).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (action, ticket) = (between("action=\""), between("name=\"ticket\" value=\""));
        let fields = [&[("ticket", ticket.as_str())], fields].concat();
        let cookies = jar.header();
        let to = self.identity(&action);
        let answer = self
            .caller
            .post(&to, &[("cookie", &cookies)], &fields)
            .await;
        jar.keep(&answer);
        answer
    }

    /// Opens a page of the issuer and does what it asks for, until it asks for nothing more: the page, or the way back to the app.
    async fn arrive(&self, jar: &mut CookieJar, path: &str, app: Option<&App>) -> Answer {
        let mut answer = self.get(jar, path).await;
        for _ in 0..8 {
            if answer.status == StatusCode::SEE_OTHER {
                let location = answer.location().to_owned();
                if location.starts_with(CALLBACK) {
                    return answer;
                }
                answer = self.get(jar, &location).await;
            } else if answer.text.contains("name=\"password\"") {
                let fields = [("username", "alice"), ("password", PASSWORD)];
                answer = self.submit(jar, &answer, "<main", &fields).await;
            } else if let Some(app) = app
                && answer.text.contains("name=\"code\"")
            {
                let code = app.code(&self.clock);
                answer = self.submit(jar, &answer, "<main", &[("code", &code)]).await;
            } else {
                return answer;
            }
        }
        assert_eq!(answer.text, "", "it asks for ever");
        answer
    }

    /// A token of a sign-in that meets what else the request says.
    async fn token(&self, jar: &mut CookieJar, more: &[(&str, &str)], app: Option<&App>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", "app")
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("scope", "openid payments")
            .append_pair("state", "s")
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        let path = format!("/authorize?{}", query.finish());
        let back = self.arrive(jar, &path, app).await;
        assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &back.redirected("code")),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let credentials = basic("app", SECRET);
        let fields = [("authorization", credentials.as_str())];
        let to = self.identity("/token");
        let answer = self.caller.post(&to, &fields, &form).await;
        answer.field("access_token")
    }

    async fn pay(&self, token: &str) -> Answer {
        let at = url(self.running.bound().gateway.port(), "/pay");
        let bearer = format!("Bearer {token}");
        self.caller.get(&at, &[("authorization", &bearer)]).await
    }
}

/// What a challenge asks for, as parameters of an authorization request (RFC 9470 §4).
fn demanded(answer: &Answer) -> Vec<(&'static str, String)> {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text);
    let challenges = answer.headers.get_all(header::WWW_AUTHENTICATE);
    let mut bearer = challenges.iter().map(|value| value.to_str().unwrap());
    let bearer = bearer.find(|value| value.starts_with("Bearer ")).unwrap();
    assert!(bearer.contains("error=\"insufficient_user_authentication\""));
    let value = |name: &'static str| {
        let (_, rest) = bearer.split_once(&format!("{name}=\""))?;
        Some((name, rest.split_once('"')?.0.to_owned()))
    };
    ["acr_values", "max_age"]
        .into_iter()
        .filter_map(value)
        .collect()
}

fn borrowed<'a>(all: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    all.iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn logged(directory: &Path) -> String {
    let logs = countersign_store::audit::find_logs(&directory.join("data/audit")).unwrap();
    let all = logs.iter().flat_map(|log| {
        let (records, _) = countersign_store::audit::tail(log, 0).unwrap();
        records.into_iter()
    });
    all.map(|(_, record)| serde_json::to_string(&record).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_carried_to_the_issuer_and_its_token_is_permitted() {
    let world = World::start().await;
    let mut jar = CookieJar::default();
    let weak = world.token(&mut jar, &[], None).await;
    assert_ne!(claims_of(&weak).get("acr").unwrap(), TWO_FACTORS);
    let refused = world.pay(&weak).await;
    let asked = demanded(&refused);
    let expected = [("acr_values", TWO_FACTORS), ("max_age", "300")];
    assert_eq!(borrowed(&asked), expected);

    let page = world.arrive(&mut jar, "/account/security/app", None).await;
    let app = App::read(&page);
    let code = [("code", app.code(&world.clock))];
    let code = borrowed(&code);
    let done = world.submit(&mut jar, &page, "id=\"second\"", &code).await;
    assert!(!done.status.is_client_error(), "{}", done.text);

    // The same person, the same browser, just what the challenge says.
    world.advance(30).await;
    let strong = world.token(&mut jar, &borrowed(&asked), Some(&app)).await;
    assert_eq!(claims_of(&strong).get("acr").unwrap(), TWO_FACTORS);
    assert_eq!(world.pay(&strong).await.status, StatusCode::OK);
    assert_eq!(
        demanded(&world.pay(&weak).await),
        asked,
        "the old token is no better"
    );

    // What was fresh grows old: the same round once more, with a sign-in of now.
    world.advance(301).await;
    let old = world.pay(&strong).await;
    assert_eq!(demanded(&old), asked);
    let fresh = world.token(&mut jar, &borrowed(&asked), Some(&app)).await;
    let at = |token: &str| claims_of(token).get("auth_time").unwrap().as_i64().unwrap();
    assert!(at(&fresh) >= at(&strong) + 301, "they signed in again");
    assert_eq!(world.pay(&fresh).await.status, StatusCode::OK);

    let World {
        running, directory, ..
    } = world;
    running.stop(Code::of("test")).await;
    let log = logged(directory.path());
    assert!(log.contains("step_up_required"));
    assert!(log.contains("payments.cedar#payments-with-two-factors-of-now"));
}
