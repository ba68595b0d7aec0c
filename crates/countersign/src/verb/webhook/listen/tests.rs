use super::{Receiver, answer, received, shown, source};
use crate::cli::WebhookListen;
use crate::verb::Output;
use countersign_base::UnixTime;
use countersign_crypto::random::Random;
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
        status: 503,
        retry_after: Some(30),
        count: None,
    }
}

fn receiver(secrets: Vec<String>) -> Receiver {
    Receiver {
        source: source(&args(secrets)).unwrap(),
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
    assert!(source(&args(vec!["v1,whsec_abc".to_owned()])).is_err());
    assert!(source(&args(vec!["hello".to_owned()])).is_err());
}

#[test]
fn no_terminal_obeys_what_strangers_send() {
    assert_eq!(
        shown("a\u{1b}[2Jb\r\nc\u{9b}"),
        "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}"
    );
}
