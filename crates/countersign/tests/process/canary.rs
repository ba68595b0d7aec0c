//! The canary scanner: marked personal data and secrets go through every flow, and then everything that the program wrote is searched for them.
//!
//! Marked are an e-mail address, a name, a card number and a token; they stand in every place of a request that takes text, where they belong and
//! where they do not. What the program issues itself (codes, tokens, cookies, secrets) is marked too as soon as it is seen. None of it may be in what was
//! printed, in the operational log, in the metrics, or in a byte of the audit directory; and no secret in clear anywhere in the data directory.

use crate::server::{Server, files_below, send};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_crypto::digest::sha256_base64url;
use countersign_net::{ClientResponse, HttpClient};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;
use url::form_urlencoded::Serializer;

const EMAIL: &str = "zelda.q7kx2@canary-mail.example";
const NAME: &str = "Zeldamara-Quexington";
const CARD: &str = "4929518273640917";
const TOKEN: &str = "cnry9f3kTokenmark7Qz2vLw8Yp4";
/// In `state` and `nonce`, which a client chooses and the database may keep until they are answered.
const CHOSEN: &str = "cnryChosenmark-8Kd2-vRz";
const PASSWORD: &str = "cnryPassmark-5tGh81-Wq";
const VERIFIER: &str = "cnryVerifiermark-0123456789-abcdefghijklmnopqr";

const CONFIGURATION: &str = r#"
[telemetry]
level = "debug"

[[users]]
name = "zelda.q7kx2@canary-mail.example"
password = { file = "secrets/zelda" }
attributes = { full_name = "Zeldamara-Quexington", card = "4929518273640917" }

[[tenants]]
name = "default"
[[tenants.audiences]]
audience = "https://orders.example"
attributes = ["full_name"]

[[clients]]
id = "portal"
name = "Zeldamara-Quexington"
secret = { file = "secrets/portal" }
grants = ["authorization_code", "refresh_token", "client_credentials", "token_exchange"]
redirect_uris = ["https://portal.example/callback"]
scopes = ["openid", "orders.read"]
audiences = ["https://orders.example"]
serves = ["https://orders.example"]

[[upstreams]]
name = "orders"
url = "https://localhost:1"

[[routes]]
name = "orders"
path = "/orders/{order}"
proof = "any"
upstream = "orders"
audience = "https://orders.example"
actions.GET = { action = "request", scopes = ["orders.read"] }
actions.POST = { action = "request", scopes = ["orders.read"] }
"#;

/// What must not be found, and whether it may rest in the database: a username has to, a secret must not.
struct Marks {
    personal: Vec<String>,
    secret: Vec<String>,
}

impl Marks {
    fn new() -> Self {
        let owned = |marks: &[&str]| marks.iter().map(|mark| (*mark).to_owned()).collect();
        Self {
            personal: owned(&[EMAIL, NAME, CARD, CHOSEN]),
            secret: owned(&[TOKEN, PASSWORD, VERIFIER]),
        }
    }

    /// Something that the program gave out and that gives access.
    fn secret(&mut self, value: &str) -> String {
        assert!(value.len() >= 16, "too short to be searched for: {value}");
        self.secret.push(value.to_owned());
        value.to_owned()
    }
}

/// Every form in which a mark is looked for: as it is, in other cases, escaped, and inside base64 at each of its three alignments.
fn forms(mark: &str) -> Vec<Vec<u8>> {
    let escaped: String = url::form_urlencoded::byte_serialize(mark.as_bytes()).collect();
    let hex: String = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![mark.to_owned(), escaped, hex];
    for lead in 0..3 {
        for engine in [&STANDARD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode([&b"\0\0"[..lead], mark.as_bytes()].concat());
            // Without the characters that depend on what stands before and behind.
            let whole = &encoded.trim_end_matches('=')[if lead == 0 { 0 } else { lead + 1 }..];
            forms.push(whole[..whole.len() - 2].to_owned());
        }
    }
    forms
        .into_iter()
        .map(|form| form.to_ascii_lowercase().into_bytes())
        .collect()
}

/// The marks that are in `haystack`.
pub(crate) fn found(haystack: &[u8], marks: &[String]) -> Vec<String> {
    let haystack = haystack.to_ascii_lowercase();
    let holds = |form: &[u8]| haystack.windows(form.len()).any(|window| window == form);
    marks
        .iter()
        .filter(|mark| forms(mark).iter().any(|form| holds(form)))
        .cloned()
        .collect()
}

#[test]
fn the_scanner_finds_a_mark_in_every_form() {
    let marks = [EMAIL.to_owned(), TOKEN.to_owned()];
    for hidden in [
        format!("user={EMAIL}&"),
        EMAIL.to_uppercase(),
        "x=zelda.q7kx2%40canary-mail.example".to_owned(),
        format!("Basic {}", STANDARD.encode(format!("{EMAIL}:x"))),
        format!("Basic {}", STANDARD.encode(format!("a:{EMAIL}"))),
        URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"{EMAIL}\"}}")),
    ] {
        assert_eq!(found(hidden.as_bytes(), &marks), [EMAIL], "{hidden}");
    }
    assert!(found(b"zelda@canary-mail.example", &marks).is_empty());
}

struct Visitor<'a> {
    server: &'a Server,
    client: HttpClient,
    cookies: BTreeMap<String, String>,
    marks: Marks,
}

impl Visitor<'_> {
    /// The headers of every request: marks wherever a header takes text.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("user-agent", format!("Browser/1.0 ({NAME}; {EMAIL})")),
            ("referer", format!("https://mail.example/?to={EMAIL}")),
            ("x-forwarded-for", CARD.to_owned()),
            ("x-request-id", TOKEN.to_owned()),
            ("traceparent", format!("00-{CARD}{CARD}-{CARD}-01")),
            ("accept-language", NAME.to_owned()),
            ("x-customer", EMAIL.to_owned()),
            ("from", EMAIL.to_owned()),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).unwrap(),
            );
        }
        headers
    }

    fn send(&self, method: Method, url: &Url, headers: HeaderMap, body: &str) -> ClientResponse {
        send(&self.client, method, url, headers, body)
    }

    fn get(&self, url: &Url) -> ClientResponse {
        self.send(Method::GET, url, self.headers(), "")
    }

    fn post(&self, path: &str, form: &[(&str, &str)], credential: Option<&str>) -> ClientResponse {
        let mut headers = self.headers();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some(credential) = credential {
            headers.insert(header::AUTHORIZATION, credential.parse().unwrap());
        }
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(
            Method::POST,
            &self.server.url("identity", path),
            headers,
            &body,
        )
    }

    fn browse(&mut self, method: Method, url: &Url, form: Option<String>) -> ClientResponse {
        let mut headers = self.headers();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        if form.is_some() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            let origin = url.origin().ascii_serialization();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        }
        let response = self.send(method, url, headers, &form.unwrap_or_default());
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.len() >= 16 {
                self.marks.secret(value);
            }
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }

    /// Follows redirects of the authorization server itself; gives back the page or the redirect that leaves it.
    fn follow(&mut self, mut url: Url, mut response: ClientResponse) -> (Url, Arrived) {
        for _ in 0..10 {
            let Some(location) = response.headers.get(header::LOCATION) else {
                let text = String::from_utf8(response.body.to_vec()).unwrap();
                return (url, Arrived::Page(text));
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.host_str() == Some("portal.example") {
                let leaves = url.clone();
                return (url, Arrived::Client(leaves));
            }
            response = self.browse(Method::GET, &url, None);
        }
        panic!("too many redirects");
    }

    /// Fills the form of a page in, and presses the button.
    fn submit(&mut self, page: &(Url, Arrived), filled: &[(&str, &str)]) -> (Url, Arrived) {
        let (url, Arrived::Page(text)) = page else {
            panic!("there is no page")
        };
        let form = text.split("<form").nth(1).expect(text);
        let attribute = |tag: &str, name: &str| {
            let rest = tag.split(&format!("{name}=\"")).nth(1).unwrap();
            rest.split('"')
                .next()
                .unwrap()
                .replace("&amp;", "&")
                .replace("&#38;", "&")
        };
        let action = url.join(&attribute(form, "action")).unwrap();
        let hidden = form.split("<input").nth(1).unwrap();
        let ticket = attribute(hidden, "value");
        let body = Serializer::new(String::new())
            .append_pair("ticket", &ticket)
            .extend_pairs(filled)
            .finish();
        let response = self.browse(Method::POST, &action, Some(body));
        self.follow(action, response)
    }
}

enum Arrived {
    Client(Url),
    Page(String),
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn json(response: &ClientResponse) -> Value {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| panic!("{}: {:?}", response.status, response.body))
}

/// Signs in as the marked person, after two attempts that fail, and comes back with a code.
fn sign_in(visitor: &mut Visitor<'_>) -> String {
    let mut url = visitor.server.url("identity", "/authorize");
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "portal"),
        ("redirect_uri", "https://portal.example/callback"),
        ("scope", "openid orders.read"),
        ("resource", "https://orders.example"),
        ("state", &format!("{CARD}-{CHOSEN}")),
        ("nonce", &format!("{NAME}-{CHOSEN}")),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("login_hint", EMAIL),
        ("claims_locales", NAME),
    ]);
    let response = visitor.browse(Method::GET, &url, None);
    let page = visitor.follow(url, response);
    let unknown = format!("other.{EMAIL}");
    let page = visitor.submit(&page, &[("username", &unknown), ("password", PASSWORD)]);
    let page = visitor.submit(&page, &[("username", EMAIL), ("password", TOKEN)]);
    let mut page = visitor.submit(&page, &[("username", EMAIL), ("password", PASSWORD)]);
    if matches!(page.1, Arrived::Page(_)) {
        page = visitor.submit(&page, &[("answer", "allow")]);
    }
    let (_, Arrived::Client(url)) = page else {
        panic!("no redirect to the client")
    };
    let answer: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(answer["state"], format!("{CARD}-{CHOSEN}"));
    visitor.marks.secret(&answer["code"])
}

/// Code, tokens, refresh, userinfo, introspection, exchange, revocation; gives back an access token.
fn use_tokens(visitor: &mut Visitor<'_>, code: &str, portal: &str) -> String {
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "https://portal.example/callback"),
        ("code_verifier", VERIFIER),
    ];
    let first = json(&visitor.post("/token", &redeem, Some(portal)));
    let text = |value: &Value, name: &str| value[name].as_str().expect(name).to_owned();
    let access = visitor.marks.secret(&text(&first, "access_token"));
    let refresh = visitor.marks.secret(&text(&first, "refresh_token"));
    visitor.marks.secret(&text(&first, "id_token"));
    let refreshing = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    let second = json(&visitor.post("/token", &refreshing, Some(portal)));
    visitor.marks.secret(&text(&second, "access_token"));
    visitor.marks.secret(&text(&second, "refresh_token"));
    let introspected = json(&visitor.post("/introspect", &[("token", &access)], Some(portal)));
    assert_eq!(introspected["active"], true);
    let exchange = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token", access.as_str()),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("resource", "https://orders.example"),
        ("scope", "orders.read"),
    ];
    let exchanged = visitor.post("/token", &exchange, Some(portal));
    if let Some(token) = json(&exchanged)["access_token"].as_str() {
        visitor.marks.secret(token);
    }
    let bearer = format!("Bearer {access}");
    for (path, status) in [
        // Nobody listens where the route leads to: the request was permitted, and its end is on record.
        (format!("/orders/{CARD}?email={EMAIL}&token={TOKEN}"), 502),
        (format!("/{NAME}"), 404),
    ] {
        let mut headers = visitor.headers();
        headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
        let url = visitor.server.url("gateway", &path);
        let body = format!("{{\"card\":\"{CARD}\"}}");
        let answer = visitor.send(Method::POST, &url, headers, &body);
        assert_eq!(answer.status.as_u16(), status, "{:?}", answer.body);
    }
    visitor.post("/userinfo", &[], Some(&bearer));
    visitor.post("/revoke", &[("token", &access)], Some(portal));
    // A code that comes again takes its family along.
    visitor.post("/token", &redeem, Some(portal));
    access
}

/// Forms that no endpoint takes.
fn refused_forms<'a>(client_id: &'a str, assertion: &'a str) -> Vec<Vec<(&'a str, &'a str)>> {
    vec![
        vec![("grant_type", NAME), ("code", TOKEN)],
        vec![
            ("grant_type", "authorization_code"),
            ("code", TOKEN),
            ("code_verifier", VERIFIER),
            ("redirect_uri", EMAIL),
        ],
        vec![("grant_type", "refresh_token"), ("refresh_token", TOKEN)],
        vec![
            ("grant_type", "client_credentials"),
            ("scope", NAME),
            (
                "resource",
                "https://zelda.q7kx2.canary-mail.example/4929518273640917",
            ),
        ],
        vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", TOKEN),
        ],
        vec![
            ("grant_type", "client_credentials"),
            ("client_assertion", assertion),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ],
        vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", assertion),
            ("subject_token_type", EMAIL),
        ],
        vec![("token", TOKEN), ("token_type_hint", NAME)],
        vec![("token", assertion)],
        vec![
            ("response_type", "code"),
            ("client_id", "portal"),
            ("redirect_uri", "https://zelda.example/4929518273640917"),
            ("state", TOKEN),
        ],
        vec![
            ("username", EMAIL),
            ("password", PASSWORD),
            ("ticket", TOKEN),
        ],
        vec![
            ("username", EMAIL),
            ("username", NAME),
            ("password", PASSWORD),
        ],
        vec![(EMAIL, CARD)],
    ]
}

/// What the flows leave in the log.
const KINDS: [&str; 13] = [
    "admin.action",
    "authorization.refused",
    "client.added",
    "client.authentication",
    "code.issued",
    "consent",
    "decision",
    "grant.revoked",
    "introspected",
    "outcome",
    "sign_in",
    "token",
    "user.added",
];

/// An authorization that is refused, with marks in every place. It comes before the many: of a source's refusals the log tells the first of each second one by one, and counts the others.
fn refused_authorization(visitor: &Visitor<'_>) {
    let path = format!("/authorize?client_id={NAME}&state={CARD}&request_uri={TOKEN}");
    visitor.get(&visitor.server.url("identity", &path));
}

/// Requests that are refused, with marks in every place.
fn knock(visitor: &Visitor<'_>, portal: &str) {
    let assertion = format!(
        "{}.{}.{TOKEN}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#),
        URL_SAFE_NO_PAD.encode(format!("{{\"iss\":\"{EMAIL}\",\"sub\":\"{NAME}\"}}"))
    );
    let client_id = format!("{NAME}/{TOKEN}");
    let credentials = [
        None,
        Some(portal.to_owned()),
        Some(basic("portal", TOKEN)),
        Some(basic(&client_id, PASSWORD)),
        Some(format!("Bearer {TOKEN}")),
        Some(format!("DPoP {assertion}")),
        Some(format!("{NAME} {TOKEN}")),
    ];
    let forms = refused_forms(&client_id, &assertion);
    for path in [
        "/token",
        "/par",
        "/introspect",
        "/revoke",
        "/userinfo",
        "/sign-in",
        "/consent",
        "/authorize",
        "/zelda.q7kx2@canary-mail.example",
    ] {
        for form in &forms {
            for credential in &credentials {
                visitor.post(path, form, credential.as_deref());
            }
        }
    }
    wander(visitor, &assertion);
}

/// Addresses that do not exist, or are asked wrongly, on every listener.
fn wander(visitor: &Visitor<'_>, assertion: &str) {
    for surface in ["identity", "gateway", "control", "telemetry"] {
        for path in [
            format!("/{EMAIL}/{CARD}?name={NAME}&token={TOKEN}"),
            format!("/orders/{CARD}?{EMAIL}"),
            format!("/t/{NAME}/token"),
            format!("/authorize?client_id={NAME}&state={CARD}&request_uri={TOKEN}"),
            format!(
                "/authorize?client_id=portal&scope={NAME}&redirect_uri=https://portal.example/callback&response_type=code&state={CARD}"
            ),
            format!("/admin/v1/tenants/{NAME}/users"),
        ] {
            let url = visitor.server.url(surface, &path);
            visitor.get(&url);
            let mut headers = visitor.headers();
            headers.insert(
                header::AUTHORIZATION,
                format!("DPoP {TOKEN}").parse().unwrap(),
            );
            headers.insert("dpop", assertion.parse().unwrap());
            headers.insert(
                header::COOKIE,
                format!("__Host-session={TOKEN}; {NAME}={CARD}")
                    .parse()
                    .unwrap(),
            );
            visitor.send(
                Method::POST,
                &url,
                headers,
                &format!("{{\"username\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"}}"),
            );
        }
    }
}

/// What administrators type.
fn administer(visitor: &mut Visitor<'_>) {
    let server = visitor.server;
    let users = server.url("control", "/admin/v1/tenants/default/users");
    let body = format!("{{\"username\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"}}");
    let refused = visitor.send(Method::POST, &users, visitor.headers(), &body);
    assert_eq!(refused.status.as_u16(), 401);
    let other = format!("second.{EMAIL}");
    let attribute = format!("card={CARD}");
    let add = [
        "--json",
        "user",
        "add",
        &other,
        "--password-stdin",
        "--attribute",
        &attribute,
    ];
    let added = server.administer_with(&add, PASSWORD);
    assert!(added.status.success(), "{added:?}");
    server.administer_with(&add, PASSWORD);
    assert!(
        server
            .administer(&["user", "disable", &other])
            .status
            .success()
    );
    let client = [
        "--json",
        "client",
        "add",
        "batch",
        "--secret",
        "--grant",
        "client_credentials",
    ];
    let added = server.administer(&client);
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    visitor
        .marks
        .secret(added["client_secret"].as_str().unwrap());
    let credential = std::fs::read(server.data().join("admin.json")).unwrap();
    let credential: Value = serde_json::from_slice(&credential).unwrap();
    for name in ["access_token", "private_key"] {
        visitor.marks.secret(credential[name].as_str().unwrap());
    }
}

#[test]
fn no_personal_data_and_no_secret_is_in_anything_that_is_written() {
    let portal_secret = format!("{TOKEN}-portal");
    let files = [
        ("secrets/zelda", PASSWORD),
        ("secrets/portal", portal_secret.as_str()),
    ];
    let server = Server::start(CONFIGURATION, &files);
    let mut visitor = Visitor {
        client: server.client(),
        server: &server,
        cookies: BTreeMap::new(),
        marks: Marks::new(),
    };
    let portal = basic("portal", &portal_secret);
    refused_authorization(&visitor);
    let code = sign_in(&mut visitor);
    use_tokens(&mut visitor, &code, &portal);
    administer(&mut visitor);
    knock(&visitor, &portal);
    let metrics = visitor.get(&server.url("telemetry", "/metrics")).body;
    assert!(!metrics.is_empty());

    let marks = visitor.marks;
    let left = server.stop();
    let both: Vec<String> = [marks.personal.as_slice(), &marks.secret].concat();
    let none: Vec<String> = Vec::new();
    assert!(
        String::from_utf8_lossy(&left.printed).contains("fabric_ready"),
        "there is a log"
    );
    assert_eq!(
        found(&left.printed, &both),
        none,
        "printed: {}",
        String::from_utf8_lossy(&left.printed)
    );
    assert_eq!(found(&metrics, &both), none, "metrics");
    let data = left.directory.path().join("data");
    let audit = files_below(&data.join("audit"));
    let log = countersign_store::audit::find_logs(&data.join("audit")).unwrap();
    let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
    let kinds: BTreeSet<&str> = records
        .iter()
        .map(|(_, record)| record.event.kind())
        .collect();
    for kind in KINDS {
        assert!(
            kinds.contains(kind),
            "the flows are in the log: {kind} in {kinds:?}"
        );
    }
    for (path, content) in audit {
        assert_eq!(found(&content, &both), none, "{}", path.display());
    }
    for (path, content) in files_below(&data) {
        // The administrator's own credential is the one secret in clear, in a file that only its owner may read.
        if !path.ends_with("admin.json") {
            assert_eq!(found(&content, &marks.secret), none, "{}", path.display());
        }
    }
}
