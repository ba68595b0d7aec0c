//! Partners who write messages through the gateway of the whole program to a service: what reaches it, what comes back, every class of refusal in the log under its own name,
//! and keys at a partner's address that follow one another.

use crate::key_server::KeyServer;
use crate::server::{Server, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::jose::{
    Algorithm, ContentForm, EncryptionKey, EncryptionKeyType, JwkSet, KeyAlgorithm, KeyManagement,
    PrivateJwk,
};
use countersign_net::{ClientResponse, HttpClient};
use countersign_testkit::system_clock;
use countersign_wire::message::{
    AnswerMark, Draft, Made, Occasion, Party, Receiving, danger, open, seal, sign, verify,
    verify_receipt,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

const SECRET: &str = "of-this-test-alone-0123456789";
const CONTENT: &str = r#"{"order":1}"#;

fn generated(algorithm: KeyAlgorithm, kid: &str) -> PrivateJwk {
    PrivateJwk::generate(algorithm, Some(kid.parse().unwrap())).unwrap()
}

fn signer(algorithm: Algorithm, kid: &str) -> PrivateJwk {
    generated(KeyAlgorithm::Signature(algorithm), kid)
}

fn opener(kid: &str) -> PrivateJwk {
    generated(KeyAlgorithm::Encryption(EncryptionKeyType::P256), kid)
}

fn party(name: &str) -> Party {
    format!("https://{name}.example").parse().unwrap()
}

/// A service that answers with what it got: the body, and what the gateway said of it.
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    address
}

fn answer(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut partner) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if let Some(value) = line.strip_prefix("countersign-message-partner:") {
                value.trim().clone_into(&mut partner);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let got = String::from_utf8(body).ok()?;
        let text = json!({ "got": got, "partner": partner }).to_string();
        let head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length";
        write!(&mut &*stream, "{head}: {}\r\n\r\n{text}", text.len()).ok()?;
    }
}

/// The keys of everybody.
struct Keys {
    acme: PrivateJwk,
    acme_next: PrivateJwk,
    acme_opens: PrivateJwk,
    globex: PrivateJwk,
    ours: PrivateJwk,
    ours_open: PrivateJwk,
}

fn configuration(service: &str) -> String {
    let route = |name: &str| {
        format!(
            r#"
[[routes]]
name = "{name}"
path = "/{name}"
upstream = "orders"
audience = "https://orders.example"
proof = "any"
unowned = "the orders of this test are nobody's"
actions.POST = {{ action = "request", scopes = ["orders.write"] }}
"#
        )
    };
    let head = format!(
        r#"
[listeners]
issuer_base = "https://id.example"

[egress]
allow = ["localhost"]
ca = "keys-ca.pem"

[messages]
party = "https://us.example"
signing_key = {{ file = "secrets/ours.jwk" }}
opening_keys = {{ file = "secrets/ours-open.jwk" }}

[[clients]]
id = "acme"
secret = {{ file = "secrets/client" }}
grants = ["client_credentials"]
scopes = ["orders.write"]
audiences = ["https://orders.example"]

[[upstreams]]
name = "orders"
url = "{service}"
plain_http_because = "it is this test"
"#
    );
    let routes = ["orders", "sealed", "globex", "away"].map(route).concat();
    format!("{head}{routes}")
}

fn partner(party: &str, keys: &str, routes: &[(&str, &str, &str)]) -> String {
    let routes = routes.iter().map(|(route, request, answer)| {
        format!(
            "[[routes]]\nroute = \"{route}\"\nrequest = \"{request}\"\nanswer = \"{answer}\"\nreceipt = \"given\"\n"
        )
    });
    let routes: String = routes.collect();
    format!("party = \"https://{party}.example\"\n{keys}\n{routes}")
}

struct World {
    server: Server,
    client: HttpClient,
    bearer: String,
    published: KeyServer,
    keys: Keys,
}

impl World {
    fn start() -> Self {
        let keys = Keys {
            acme: signer(Algorithm::EdDsa, "acme-1"),
            acme_next: signer(Algorithm::Es256, "acme-2"),
            acme_opens: opener("acme-seal"),
            globex: signer(Algorithm::EdDsa, "acme-1"),
            ours: signer(Algorithm::Es256, "ours-1"),
            ours_open: opener("ours-seal"),
        };
        let published = KeyServer::start(&[keys.acme.public(), keys.acme_opens.public()]);
        let private = |key: &PrivateJwk| key.to_private_json().unwrap().expose().clone();
        let acme = partner(
            "acme",
            &format!("jwks_url = \"{}\"", published.url()),
            &[
                ("orders", "signed", "signed"),
                ("sealed", "sealed", "sealed"),
            ],
        );
        let globex = partner(
            "globex",
            "jwks = \"globex.jwks\"",
            &[("globex", "signed", "signed")],
        );
        let away = partner(
            "away",
            "jwks_url = \"https://localhost:1/jwks\"",
            &[("away", "signed", "signed")],
        );
        let globex_keys = json!({ "keys": [keys.globex.public()] }).to_string();
        let files = [
            ("keys-ca.pem", published.ca()),
            ("secrets/client", SECRET),
            ("secrets/ours.jwk", &private(&keys.ours)),
            ("secrets/ours-open.jwk", &private(&keys.ours_open)),
            ("partners/acme.toml", &acme),
            ("partners/globex.toml", &globex),
            ("partners/globex.jwks", &globex_keys),
            ("partners/away.toml", &away),
        ];
        let server = Server::start(&configuration(&service()), &files);
        let client = server.client();
        let bearer = format!("Bearer {}", token(&server));
        Self {
            server,
            client,
            bearer,
            published,
            keys,
        }
    }

    fn post(&self, path: &str, media_type: &str, body: &str) -> ClientResponse {
        let fields = [
            ("authorization", &*self.bearer),
            ("content-type", media_type),
        ];
        let fields = fields.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        let url = self.server.url("gateway", path);
        let headers = HeaderMap::from_iter(fields);
        send(&self.client, Method::POST, &url, headers, body)
    }

    fn message(&self, path: &str, text: &str) -> ClientResponse {
        self.post(path, "application/jose", text)
    }

    /// What the answer to a message holds, as the partner reads it.
    fn read(&self, answer: &ClientResponse, to: &Made) -> Value {
        let keys = JwkSet::single(self.keys.ours.verifying_key().unwrap());
        let (us, acme) = (party("us"), party("acme"));
        let receiving = Receiving {
            issuer: &us,
            keys: &keys,
            audience: &acme,
            occasion: &Occasion::AnswerTo(to.sent.id.clone()),
        };
        let body = std::str::from_utf8(&answer.body).unwrap();
        let opening = self.keys.acme_opens.decryption_key().unwrap();
        let read = match body.matches('.').count() {
            4 => open(body, [&opening], &receiving, now()),
            _ => verify(body, &receiving, now()),
        };
        serde_json::from_slice(danger::spent(read.unwrap()).content()).unwrap()
    }
}

fn token(server: &Server) -> String {
    let basic = format!("Basic {}", STANDARD.encode(format!("acme:{SECRET}")));
    let form = "application/x-www-form-urlencoded";
    let headers = HeaderMap::from_iter([
        (http::header::AUTHORIZATION, basic.parse().unwrap()),
        (http::header::CONTENT_TYPE, HeaderValue::from_static(form)),
    ]);
    let body =
        "grant_type=client_credentials&scope=orders.write&resource=https%3A%2F%2Forders.example";
    let url = server.url("identity", "/token");
    let answer = send(&server.client(), Method::POST, &url, headers, body);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn now() -> UnixTime {
    system_clock().now()
}

fn draft(from: &str, to: &str) -> Draft {
    Draft {
        issuer: party(from),
        audience: party(to),
        occasion: Occasion::Own,
        mark: AnswerMark::Critical,
        content_type: "application/json".parse().unwrap(),
        lifetime: Duration::from_secs(60),
    }
}

fn made(key: &PrivateJwk, draft: &Draft, at: UnixTime) -> Made {
    let key = key.signing_key().unwrap();
    let (content, random) = (CONTENT.as_bytes(), Random::system());
    sign(&key, draft, content, ContentForm::Attached, &random, at).unwrap()
}

/// A message of acme's by this key.
fn signed(key: &PrivateJwk) -> String {
    made(key, &draft("acme", "us"), now()).text
}

fn sealed(key: &PrivateJwk, to: &PrivateJwk) -> Made {
    let key = key.signing_key().unwrap();
    let receiver = EncryptionKey::parse(to.public()).unwrap();
    let to = (&receiver, KeyManagement::EcdhEs);
    let (draft, random) = (draft("acme", "us"), Random::system());
    let made = seal(&key, &draft, CONTENT.as_bytes(), to, &random, now());
    made.unwrap()
}

fn goes_through(world: &World) {
    let keys = &world.keys;
    let sent = made(&keys.acme, &draft("acme", "us"), now());
    let answer = world.message("/orders", &sent.text);
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    assert_eq!(
        world.read(&answer, &sent),
        json!({ "got": CONTENT, "partner": "acme" })
    );
    let receipt = answer.headers["message-receipt"].to_str().unwrap();
    let ours = JwkSet::single(keys.ours.verifying_key().unwrap());
    verify_receipt(receipt, &ours, &sent.sent, now()).unwrap();
    let hidden = sealed(&keys.acme, &keys.ours_open);
    let answer = world.message("/sealed", &hidden.text);
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    assert_eq!(world.read(&answer, &hidden)["got"], CONTENT);
    let again = world.message("/orders", &sent.text);
    assert_eq!(again.status.as_u16(), 409, "{again:?}");
}

/// Each class of refusal: where to, what, the status, and the reason in the log.
fn refusals(keys: &Keys) -> Vec<(&'static str, String, u16, &'static str)> {
    let acme = &keys.acme;
    let good = signed(acme);
    let drafted = |draft: &Draft, at: UnixTime| made(acme, draft, at).text;
    let before = now().minus(Duration::from_secs(120));
    let later = now().plus(Duration::from_secs(120));
    let another = signed(acme);
    let (head, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = another.rsplit_once('.').unwrap();
    let moved = format!("{head}.{signature}");
    let ours = draft("acme", "us");
    vec![
        ("/orders", moved, 400, "message_signature_wrong"),
        ("/orders", "no message".to_owned(), 400, "message_malformed"),
        (
            "/orders",
            signed(&signer(Algorithm::EdDsa, "stranger")),
            400,
            "message_key_unknown",
        ),
        // Another partner has a key of that name.
        (
            "/orders",
            signed(&keys.globex),
            400,
            "message_signature_wrong",
        ),
        ("/globex", good, 400, "message_signature_wrong"),
        (
            "/globex",
            made(&keys.globex, &ours, now()).text,
            400,
            "message_issuer_other",
        ),
        (
            "/orders",
            signed(&signer(Algorithm::Es256, "acme-1")),
            400,
            "message_algorithm_other",
        ),
        (
            "/orders",
            drafted(&draft("acme", "them"), now()),
            400,
            "message_audience_other",
        ),
        ("/orders", drafted(&ours, before), 400, "message_expired"),
        (
            "/orders",
            drafted(&ours, later),
            400,
            "message_issued_later",
        ),
        (
            "/sealed",
            sealed(acme, &opener("ours-seal")).text,
            400,
            "message_does_not_open",
        ),
        ("/sealed", signed(acme), 400, "message_malformed"),
        (
            "/orders",
            sealed(acme, &keys.ours_open).text,
            400,
            "message_malformed",
        ),
        ("/away", signed(acme), 503, "message_keys_away"),
    ]
}

/// How often requests were refused for what.
fn reasons(server: Server) -> BTreeMap<String, usize> {
    let ended = server.stop();
    let logs = ended.directory.path().join("data/audit");
    let logs = countersign_store::audit::find_logs(&logs).unwrap();
    let (records, _) = countersign_store::audit::tail(&logs[0], 0).unwrap();
    let mut reasons = BTreeMap::new();
    for (_, record) in records {
        let record = serde_json::to_value(record).unwrap();
        let denied = record["kind"] == "decision" || record["kind"] == "message.received";
        if denied && record["detail"]["decision"] == "denied" {
            let reason = record["detail"]["reason"].as_str().unwrap_or_default();
            *reasons.entry(reason.to_owned()).or_insert(0) += 1;
        }
    }
    reasons
}

#[test]
fn partners_write_through_the_gateway_and_what_does_not_hold_is_refused_under_its_name() {
    let world = World::start();
    goes_through(&world);
    let plain = world.post("/orders", "application/json", CONTENT);
    assert_eq!(plain.status.as_u16(), 415);
    let mut expected = BTreeMap::from([
        ("message_media_type".to_owned(), 1),
        ("message_replayed".to_owned(), 1),
    ]);
    for (path, text, status, reason) in refusals(&world.keys) {
        let answer = world.message(path, &text);
        assert_eq!(answer.status.as_u16(), status, "{reason}: {answer:?}");
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!said.contains("message_"), "{reason}: {said}");
        *expected.entry(reason.to_owned()).or_default() += 1;
    }
    let reasons = reasons(world.server);
    for (reason, times) in expected {
        assert_eq!(
            reasons.get(&reason),
            Some(&times),
            "{reason} in {reasons:?}"
        );
    }
}

#[test]
fn a_partner_rotates_keys_at_its_address() {
    let world = World::start();
    let Keys {
        acme,
        acme_next,
        acme_opens,
        ..
    } = &world.keys;
    let status = |text: &str| world.message("/orders", text).status.as_u16();
    assert_eq!(status(&signed(acme)), 201);
    let asked = world.published.asked();
    // The next key is published, of another algorithm and with another key to seal to, and the one before leaves.
    let sealed_to = opener("acme-seal-2");
    let published = [acme_next.public(), sealed_to.public()];
    world.published.publishes(&published);
    assert_eq!(status(&signed(acme_next)), 201);
    assert_eq!(status(&signed(acme)), 400);
    let sent = sealed(acme_next, &world.keys.ours_open);
    let answer = world.message("/sealed", &sent.text);
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    let body = std::str::from_utf8(&answer.body).unwrap();
    let header = body.split('.').next().unwrap();
    let header = countersign_crypto::base64url::decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["kid"], "acme-seal-2");
    let before = acme_opens.decryption_key().unwrap();
    let ours = JwkSet::single(world.keys.ours.verifying_key().unwrap());
    let (us, them) = (party("us"), party("acme"));
    let receiving = Receiving {
        issuer: &us,
        keys: &ours,
        audience: &them,
        occasion: &Occasion::AnswerTo(sent.sent.id),
    };
    assert!(open(body, [&before], &receiving, now()).is_err());
    let after = sealed_to.decryption_key().unwrap();
    assert!(open(body, [&after], &receiving, now()).is_ok());
    // Names that are made up fetch nothing.
    for number in 0..50 {
        let stranger = signer(Algorithm::EdDsa, &format!("bogus-{number}"));
        assert_eq!(status(&signed(&stranger)), 400);
    }
    assert_eq!(world.published.asked(), asked + 1);
}
