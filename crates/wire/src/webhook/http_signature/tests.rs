use super::super::tests::{NOW, Sent, moved, rules};
use super::super::{KeyText, Scheme, Source, WebhookRefusal};
use super::{HttpSignatureRules, SecretAs, headers};
use crate::head::HeadView;
use crate::http_signature::{Component, KeyAs, Message, SIGNATURE, SIGNATURE_INPUT, Signing, sign};
use crate::signature_key::SigningKey;
use crate::webhook::standard::{SecretKind, SigningSecret};
use countersign_base::{Secret, UnixTime};
use countersign_crypto::{Random, base64};

const BODY: &[u8] = br#"{"type":"invoice.paid"}"#;
const DIGEST: &str = "content-digest";
const ID: &str = "webhook-id";
const TYPE: &str = "content-type";

fn secret(kind: SecretKind, byte: u8) -> SigningSecret {
    SigningSecret::generate(kind, &Random::from_fn(move |buffer| buffer.fill(byte))).unwrap()
}

/// What the receiver has of [`secret`].
fn key(id: Option<&str>, kind: SecretKind, byte: u8) -> KeyText {
    let text = match kind {
        SecretKind::Hmac => format!("base64:{}", base64::encode(&[byte; 32])),
        SecretKind::Ed25519 => {
            let text = secret(kind, byte).to_verifying_text();
            let encoded = text.expose().strip_prefix("whpk_").unwrap();
            let x = base64::decode(encoded).unwrap();
            format!(
                r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
                countersign_crypto::base64url::encode(&x)
            )
        }
    };
    KeyText {
        id: id.map(str::to_owned),
        text: Secret::new(text),
    }
}

fn source_of(rules_of: HttpSignatureRules, keys: Vec<KeyText>) -> Source {
    let mut rules = rules(Scheme::HttpSignature(rules_of), &[]);
    rules.keys = keys;
    Source::new(rules).unwrap()
}

fn source(keys: Vec<KeyText>) -> Source {
    source_of(HttpSignatureRules::webhook(), keys)
}

fn head<'a>(fields: &'a [(&'a str, &'a [u8])]) -> HeadView<'a> {
    HeadView {
        method: "POST",
        scheme: "https",
        authority: "hooks.example.com",
        path_and_query: "/hooks?from=tests",
        fields,
    }
}

const FIELDS: [(&str, &[u8]); 2] = [(TYPE, b"application/json"), (ID, b"msg_1")];

fn sent_by(secrets: &[SecretAs<'_>], keys: Vec<KeyText>) -> Sent {
    let signed = headers(secrets, &head(&FIELDS), BODY, &Random::system(), NOW).unwrap();
    let mut sent = Sent::new(source(keys), signed, BODY);
    for (name, value) in FIELDS {
        sent = sent.with(name, value);
    }
    sent
}

fn sent(kind: SecretKind) -> Sent {
    let secret = secret(kind, 7);
    let secrets = [SecretAs {
        id: "one",
        secret: &secret,
    }];
    sent_by(&secrets, vec![key(Some("one"), kind, 7)])
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    for kind in [SecretKind::Hmac, SecretKind::Ed25519] {
        let sent = || sent(kind);
        let receipt = sent().receipt();
        assert_eq!(receipt.event_id(), "msg_1");
        assert_eq!(receipt.timestamp(), Some(NOW));
        sent()
            .to(source(vec![key(Some("one"), kind, 8)]))
            .refused(Why::SignatureWrong);
        sent()
            .to(source(vec![key(Some("two"), kind, 7)]))
            .refused(Why::KeyUnknown);
        sent().body(b"{}").refused(Why::DigestWrong);
        // The digest of the other body along with it: the signature covers the field.
        let other =
            crate::content_digest::value(crate::content_digest::DigestAlgorithm::Sha256, b"{}");
        sent()
            .body(b"{}")
            .with(DIGEST, other.clone())
            .refused(Why::SignatureWrong);
        sent().with(DIGEST, other).refused(Why::DigestWrong);
        sent().without(DIGEST).refused(Why::DigestMissing);
        sent().with(DIGEST, "md5=:AA==:").refused(Why::DigestWrong);
        sent().with(ID, "msg_2").refused(Why::SignatureWrong);
        sent().without(ID).refused(Why::IdMissing);
        sent().twice(ID).refused(Why::IdMalformed);
        sent().with(TYPE, "text/plain").refused(Why::SignatureWrong);
        sent().without(TYPE).refused(Why::ComponentsMissing);
        let mut elsewhere = sent();
        elsewhere.path = "/other";
        elsewhere.refused(Why::SignatureWrong);
        sent().without(SIGNATURE).refused(Why::SignatureMalformed);
        sent()
            .without(SIGNATURE)
            .without(SIGNATURE_INPUT)
            .refused(Why::SignatureMissing);
        sent()
            .without(SIGNATURE)
            .without(SIGNATURE_INPUT)
            .with("x-hub-signature-256", "sha256=00")
            .refused(Why::SchemeOther);
        sent()
            .with("x-hub-signature-256", "sha256=00")
            .refused(Why::SchemeOther);
        sent().twice(SIGNATURE).refused(Why::SignatureSeveral);
        let input = sent().value(SIGNATURE_INPUT).to_owned();
        let changed = |from: &str, to: &str| {
            assert!(input.contains(from), "{input}");
            sent().with(SIGNATURE_INPUT, input.replace(from, to))
        };
        let created = format!("created={NOW}");
        changed(&created, &format!("created={}", moved(1))).refused(Why::SignatureWrong);
        changed(&format!(";{created}"), "").refused(Why::TimestampMissing);
        changed(" \"content-digest\"", "").refused(Why::ComponentsMissing);
        changed(" \"webhook-id\"", "").refused(Why::ComponentsMissing);
        changed("tag=\"webhook\"", "tag=\"other\"").refused(Why::SignatureMissing);
        changed("tag=", "alg=\"rsa-v1_5-sha256\";tag=").refused(Why::AlgorithmUnknown);
        changed("tag=", "alg=\"rsa-pss-sha512\";tag=").refused(Why::AlgorithmUnknown);
        sent().at(moved(300)).accepted();
        sent().at(moved(301)).refused(Why::TimestampOld);
        sent().at(moved(-300)).accepted();
        sent().at(moved(-301)).refused(Why::TimestampFuture);
    }
}

#[test]
fn a_signature_that_expired_is_refused_within_the_tolerance_too() {
    let mut tolerant = rules(Scheme::HttpSignature(HttpSignatureRules::webhook()), &[]);
    tolerant.keys = vec![key(None, SecretKind::Hmac, 7)];
    tolerant.tolerance = countersign_base::Duration::from_secs(600);
    let sent = sent(SecretKind::Hmac).to(Source::new(tolerant).unwrap());
    let sent = sent.at(moved(300));
    sent.accepted();
    sent.at(moved(301)).refused(WebhookRefusal::Expired);
}

#[test]
fn old_and_new_key_sign_and_either_gives_the_same_attempt() {
    let (old, new) = (secret(SecretKind::Hmac, 7), secret(SecretKind::Ed25519, 8));
    let secrets = [
        SecretAs {
            id: "old",
            secret: &old,
        },
        SecretAs {
            id: "new",
            secret: &new,
        },
    ];
    let by_old = vec![key(Some("old"), SecretKind::Hmac, 7)];
    let sent = sent_by(&secrets, by_old);
    let first = sent.receipt();
    let second = sent
        .to(source(vec![key(Some("new"), SecretKind::Ed25519, 8)]))
        .receipt();
    assert_eq!(first.attempt(), second.attempt());
}

/// A sender that signs twice, the second time something else: whoever strips one of them gets no other attempt.
#[test]
fn signatures_that_say_different_things_are_refused() {
    let key_of = SigningKey::hmac_sha256(&Secret::new(vec![7; 32]));
    let sent = sent(SecretKind::Hmac);
    let fields: Vec<(&str, &[u8])> = sent
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_slice()))
        .collect();
    let components: Vec<Component> = HttpSignatureRules::webhook().components;
    let other = sign(
        &Message::Request(head(&fields)),
        &[KeyAs {
            id: "one",
            key: &key_of,
        }],
        &Signing {
            label: "other",
            components: &components,
            created: UnixTime(NOW.0 + 1),
            expires: None,
            nonce: None,
            tag: Some("webhook"),
        },
    )
    .unwrap();
    let input = format!("{}, {}", sent.value(SIGNATURE_INPUT), other.input);
    let signature = format!("{}, {}", sent.value(SIGNATURE), other.signature);
    sent.with(SIGNATURE_INPUT, input)
        .with(SIGNATURE, signature)
        .refused(WebhookRefusal::SignatureSeveral);
}

#[test]
fn signatures_of_others_along_the_way_are_passed_over() {
    let sent = sent(SecretKind::Hmac);
    let input = format!(
        "proxy=(\"@method\");created={NOW};tag=\"proxy\", {}",
        sent.value(SIGNATURE_INPUT)
    );
    let signature = format!("proxy=:AAAA:, {}", sent.value(SIGNATURE));
    sent.with(SIGNATURE_INPUT, input)
        .with(SIGNATURE, signature)
        .accepted();
}

#[test]
fn a_source_without_an_id_tells_events_apart_by_what_was_signed() {
    let mut rules = HttpSignatureRules::webhook();
    rules.id = None;
    let receipt = sent(SecretKind::Hmac)
        .to(source_of(rules, vec![key(None, SecretKind::Hmac, 7)]))
        .receipt();
    assert_eq!(receipt.identity(), receipt.attempt());
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";
    let build = |key: &str| {
        Source::new(rules(
            Scheme::HttpSignature(HttpSignatureRules::webhook()),
            &[key],
        ))
        .is_ok()
    };
    assert!(build(pem));
    assert!(build("base64:c2VjcmV0"));
    assert!(!build("secret"));
}

#[test]
fn what_is_covered_has_to_be_there_when_we_sign() {
    let secret = secret(SecretKind::Hmac, 7);
    let secrets = [SecretAs {
        id: "one",
        secret: &secret,
    }];
    let signed = headers(&secrets, &head(&FIELDS[..1]), BODY, &Random::system(), NOW);
    assert!(signed.is_err());
    assert!(headers(&[], &head(&FIELDS), BODY, &Random::system(), NOW).is_err());
}

/// The public key as an endpoint shows it.
#[test]
fn a_key_is_read_as_an_endpoint_shows_it_and_a_shared_secret_is_none() {
    let secret = secret(SecretKind::Ed25519, 7);
    let secrets = [SecretAs {
        id: "one",
        secret: &secret,
    }];
    let shown = KeyText {
        id: None,
        text: secret.to_verifying_text(),
    };
    sent_by(&secrets, vec![shown]).accepted();
    for text in [
        secret.to_text(),
        self::secret(SecretKind::Hmac, 7).to_text(),
    ] {
        let mut rules = rules(Scheme::HttpSignature(HttpSignatureRules::webhook()), &[]);
        rules.keys = vec![KeyText { id: None, text }];
        assert!(Source::new(rules).is_err());
    }
}
