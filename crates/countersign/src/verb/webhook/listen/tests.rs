use super::{Receiver, address, answer, received, shown, sources};
use crate::cli::WebhookListen;
use crate::verb::Output;
use countersign_base::UnixTime;
use countersign_crypto::random::Random;
use countersign_wire::HeadView;
use countersign_wire::webhook::http_signature::{SecretAs, headers};
use countersign_wire::webhook::standard::{self, SecretKind, SigningSecret};
use http::{Request, StatusCode, header};
use serde_json::json;

const NOW: UnixTime = UnixTime(1_800_000_000);
const BODY: &[u8] = br#"{"type":"invoice.paid"}"#;

fn args(secrets: Vec<String>) -> WebhookListen {
    WebhookListen {
        port: 0,
        secrets,
        secret_files: Vec::new(),
        url: None,
        status: 503,
        retry_after: Some(30),
        count: None,
    }
}

fn receiver(secrets: Vec<String>) -> Receiver {
    Receiver {
        sources: sources(&args(secrets)).unwrap(),
        address: None,
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: Some(30),
        output: Output::Json,
        received: tokio::sync::watch::channel(0).0,
    }
}

fn head(secret: &SigningSecret, time: UnixTime) -> http::request::Parts {
    let mut request = Request::post("/hook");
    let fields = standard::headers(std::slice::from_ref(secret), "msg_1", time, BODY).unwrap();
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn what_verifies_is_answered_as_told_and_what_does_not_is_refused() {
    for kind in [SecretKind::Hmac, SecretKind::Ed25519] {
        let secret = SigningSecret::generate(kind, &Random::system()).unwrap();
        let other = SigningSecret::generate(kind, &Random::system()).unwrap();
        let texts = |secret: &SigningSecret| vec![secret.to_verifying_text().expose().clone()];
        let good = receiver(texts(&secret));
        let taken = received(&good, &head(&secret, NOW), BODY, NOW);
        assert_eq!(taken.verified, Some(Ok(())));
        let answered = answer(&good, &taken);
        assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answered.headers()[header::RETRY_AFTER], "30");
        let expected = json!({
            "id": "msg_1",
            "timestamp": "1800000000",
            "verified": true,
            "refusal": null,
            "body": {"type": "invoice.paid"},
        });
        assert_eq!(taken.json(), expected);

        let wrong = receiver(texts(&other));
        let refused = received(&wrong, &head(&secret, NOW), BODY, NOW);
        assert_eq!(refused.verified, Some(Err("signature_wrong")));
        assert_eq!(answer(&wrong, &refused).status(), StatusCode::UNAUTHORIZED);
        let old = received(&good, &head(&secret, UnixTime(NOW.0 - 301)), BODY, NOW);
        assert_eq!(old.verified, Some(Err("timestamp_old")));
        assert_eq!(old.json()["refusal"], "timestamp_old");
    }
}

/// The head of a webhook that is signed by RFC 9421, for that address.
fn http_signed(secret: &SigningSecret, address: [&str; 3], time: UnixTime) -> http::request::Parts {
    let [scheme, authority, path] = address;
    let fields: [(&str, &[u8]); 2] = [
        ("content-type", b"application/json"),
        ("webhook-id", b"msg_1"),
    ];
    let head = HeadView {
        method: "POST",
        scheme,
        authority,
        path_and_query: path,
        fields: &fields,
    };
    let secrets = [SecretAs { id: "1", secret }];
    let signed = headers(&secrets, &head, BODY, &Random::system(), time).unwrap();
    let mut request = Request::post(path).header("host", authority);
    for (name, value) in fields {
        request = request.header(name, value);
    }
    for (name, value) in signed {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn http_message_signatures_are_verified_as_well() {
    let secret = SigningSecret::generate(SecretKind::Ed25519, &Random::system()).unwrap();
    let texts = || vec![secret.to_verifying_text().expose().clone()];
    let here = ["http", "127.0.0.1:8787", "/hook?a=b"];
    let head = || http_signed(&secret, here, NOW);
    let good = receiver(texts());
    let judged = |receiver: &Receiver, head: &http::request::Parts, body: &[u8]| {
        received(receiver, head, body, NOW).verified
    };
    assert_eq!(judged(&good, &head(), BODY), Some(Ok(())));
    let taken = received(&good, &head(), BODY, NOW);
    assert_eq!(taken.json()["id"], "msg_1");
    // Each flaw, and above its twin without one.
    assert_eq!(judged(&good, &head(), b"{}"), Some(Err("digest_wrong")));
    let other = SigningSecret::generate(SecretKind::Ed25519, &Random::system()).unwrap();
    let forged = http_signed(&other, here, NOW);
    assert_eq!(judged(&good, &forged, BODY), Some(Err("signature_wrong")));
    let old = http_signed(&secret, here, UnixTime(NOW.0 - 301));
    assert_eq!(judged(&good, &old, BODY), Some(Err("timestamp_old")));
    let mut stripped = head();
    stripped.headers.remove("signature");
    let refused = judged(&good, &stripped, BODY);
    assert!(matches!(refused, Some(Err(_))), "{refused:?}");
    let mut elsewhere = head();
    elsewhere.uri = "/other".parse().unwrap();
    let refused = judged(&good, &elsewhere, BODY);
    assert_eq!(refused, Some(Err("signature_wrong")));
    // A shared secret says nothing about these.
    let shared = SigningSecret::generate(SecretKind::Hmac, &Random::system()).unwrap();
    let shared = receiver(vec![shared.to_verifying_text().expose().clone()]);
    assert_eq!(judged(&shared, &head(), BODY), Some(Err("key_unknown")));
}

#[test]
fn behind_a_tunnel_the_address_of_the_tunnel_is_what_was_called() {
    let secret = SigningSecret::generate(SecretKind::Ed25519, &Random::system()).unwrap();
    let texts = || vec![secret.to_verifying_text().expose().clone()];
    let tunnel = ["https", "tunnel.example", "/hook?a=b"];
    let mut head = http_signed(&secret, tunnel, NOW);
    head.headers
        .insert("host", "127.0.0.1:8787".parse().unwrap());
    head.uri = "/?a=b".parse().unwrap();
    let judged = |receiver: &Receiver| received(receiver, &head, BODY, NOW).verified;
    assert_eq!(judged(&receiver(texts())), Some(Err("signature_wrong")));
    let mut told = receiver(texts());
    let mut named = args(texts());
    named.url = Some("https://tunnel.example/hook?a=b".parse().unwrap());
    told.address = address(&named);
    assert_eq!(judged(&told), Some(Ok(())));
}

#[test]
fn without_a_secret_nothing_is_said_to_be_verified() {
    let secret = SigningSecret::generate(SecretKind::Hmac, &Random::system()).unwrap();
    let open = receiver(Vec::new());
    let taken = received(&open, &head(&secret, NOW), BODY, NOW);
    assert_eq!(taken.verified, None);
    assert!(taken.text().contains("not verified"));
    assert_eq!(taken.json()["verified"], json!(null));
}

#[test]
fn a_secret_that_is_none_is_said_at_once() {
    assert!(sources(&args(vec!["v1,whsec_abc".to_owned()])).is_err());
    assert!(sources(&args(vec!["hello".to_owned()])).is_err());
}

#[test]
fn no_terminal_obeys_what_strangers_send() {
    assert_eq!(
        shown("a\u{1b}[2Jb\r\nc\u{9b}"),
        "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}"
    );
}
