//! Keys of sources of webhooks at an address: they count when they are published and no more when they are not, an address that does not answer stops nobody else, and
//! nobody makes the process fetch by making names of keys up.

use crate::key_server::KeyServer;
use crate::server::{Server, send};
use countersign_crypto::base64url;
use countersign_crypto::jose::PublicJwk;
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm, SignatureScheme, Signed};
use countersign_net::HttpClient;
use countersign_testkit::system_clock;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const BODY: &str = r#"{"type":"invoice.paid","id":"in_1"}"#;

/// A key of the provider, and what it publishes of it.
struct Key {
    kid: &'static str,
    pair: KeyPair,
    jwk: Value,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
        let x = pair.public_key().unwrap().ed25519_bytes().unwrap();
        let mut jwk = PublicJwk::from_ed25519(x).to_json();
        jwk["kid"] = kid.into();
        Self { kid, pair, jwk }
    }

    /// The detached JWS of the body under this name.
    fn jws_as(&self, kid: &str) -> String {
        let now = system_clock().now().0;
        let header = json!({ "alg": "EdDSA", "kid": kid, "iat": now }).to_string();
        let header = base64url::encode(header.as_bytes());
        let input = format!("{header}.{}", base64url::encode(BODY.as_bytes()));
        let what = Signed::Message(input.as_bytes());
        let signature = self.pair.sign(SignatureScheme::Ed25519, what).unwrap();
        format!("{header}..{}", base64url::encode(&signature))
    }

    fn jws(&self) -> String {
        self.jws_as(self.kid)
    }
}

fn configuration(url: &str) -> String {
    let source = |name: &str, url: &str| {
        format!(
            r#"
[[webhook_sources]]
name = "{name}"
scheme = "jws-detached"
signature = {{ field = "x-jws" }}
jwks_url = "{url}"
deliver = {{ upstream = "billing", path = "/webhooks" }}

[[routes]]
name = "{name}"
path = "/hooks/{name}"
webhook = "{name}"
"#
        )
    };
    let upstream = "[[upstreams]]\nname = \"billing\"\nurl = \"https://localhost:1\"\n";
    let egress = "[egress]\nallow = [\"localhost\"]\nca = \"keys-ca.pem\"\n";
    let here = source("provider", url);
    let away = source("away", "https://localhost:1/jwks");
    let inside = source("inside", &url.replace("localhost", "127.0.0.1"));
    [egress, upstream, &here, &away, &inside].concat()
}

struct Provider {
    server: Server,
    client: HttpClient,
    keys: KeyServer,
}

impl Provider {
    fn start(keys: KeyServer) -> Self {
        let server = Server::start(&configuration(&keys.url()), &[("keys-ca.pem", keys.ca())]);
        let client = server.client();
        Self {
            server,
            client,
            keys,
        }
    }

    fn post(&self, source: &str, jws: &str, event: &str) -> u16 {
        let url = self.server.url("gateway", &format!("/hooks/{source}"));
        let fields = [
            ("content-type", "application/json"),
            ("x-jws", jws),
            ("x-event", event),
        ];
        let fields = fields.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        let headers = HeaderMap::from_iter(fields);
        let answer = send(&self.client, Method::POST, &url, headers, BODY);
        answer.status.as_u16()
    }

    /// How often webhooks of which source were refused for what.
    fn refused(self) -> BTreeMap<(String, String), usize> {
        let ended = self.server.stop();
        let logs = ended.directory.path().join("data/audit");
        let logs = countersign_store::audit::find_logs(&logs).unwrap();
        let (records, _) = countersign_store::audit::tail(&logs[0], 0).unwrap();
        let mut refused = BTreeMap::new();
        for (_, record) in records {
            let record = serde_json::to_value(record).unwrap();
            if record["kind"] == "webhook.refused" {
                let text = |name: &str| record["detail"][name].as_str().unwrap().to_owned();
                *refused.entry((text("source"), text("reason"))).or_insert(0) += 1;
            }
        }
        refused
    }
}

#[test]
fn a_provider_rotates_keys_at_its_address_and_nobody_else_makes_us_fetch() {
    let (one, two, stranger) = (Key::new("one"), Key::new("two"), Key::new("three"));
    let provider = Provider::start(KeyServer::start(&[&one.jwk]));
    // A source whose address does not answer, or may not be reached, is refused; the others are not.
    assert_eq!(provider.post("away", &one.jws(), "1"), 503);
    assert_eq!(provider.post("inside", &one.jws(), "1"), 503);
    let first = one.jws();
    assert_eq!(provider.post("provider", &first, "1"), 202);
    assert_eq!(provider.post("provider", &first, "1"), 409, "the very same");
    // A name is not enough, and what everybody can read is no secret.
    assert_eq!(provider.post("provider", &stranger.jws_as("one"), "2"), 401);
    let asked = provider.keys.asked();
    // The next key appears while the first is there, and then the first one leaves.
    provider.keys.publishes(&[&two.jwk]);
    assert_eq!(provider.post("provider", &two.jws(), "3"), 202);
    assert_eq!(provider.keys.asked(), asked + 1);
    assert_eq!(provider.post("provider", &one.jws(), "4"), 401);
    // A storm of names that are made up: no fetch more, and the known key goes on.
    for number in 0..100 {
        let made_up = stranger.jws_as(&format!("bogus-{number}"));
        assert_eq!(provider.post("provider", &made_up, "5"), 401);
    }
    let last = two.jws_as("two");
    assert!([202, 409].contains(&provider.post("provider", &last, "6")));
    assert_eq!(provider.keys.asked(), asked + 1);
    let refused = provider.refused();
    let of = |source: &str, reason: &str| {
        let key = (source.to_owned(), reason.to_owned());
        refused.get(&key).copied().unwrap_or_default()
    };
    assert_eq!(of("away", "keys_away"), 1, "{refused:?}");
    assert_eq!(of("inside", "keys_away"), 1, "{refused:?}");
    assert_eq!(of("provider", "signature_wrong"), 1, "{refused:?}");
    // Above 20 a second from one address they are counted instead of kept.
    assert!(of("provider", "key_unknown") > 1, "{refused:?}");
}
