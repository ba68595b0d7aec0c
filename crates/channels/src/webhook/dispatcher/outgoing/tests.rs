use super::{Outgoing, to_receiver, to_service};
use crate::webhook::dispatcher::Service;
use crate::webhook::dispatcher::endpoints::ToReceiver;
use crate::webhook::dispatcher::to_service::ToService;
use countersign_base::{MessageId, Secret, UnixTime};
use countersign_crypto::jose::{
    ContentEncryption, DecryptionKey, EncryptionKeyType, Jwe, JweRules, KeyManagement,
};
use countersign_crypto::random::Random;
use countersign_crypto::{base64, base64url};
use countersign_net::tls::Alpn;
use countersign_net::{
    DeliveryLimits, DeliveryPool, EgressPolicy, Receiver, Schemes, TlsClient, TrustRoots,
};
use countersign_store::tables::webhook_endpoints::{WebhookPayload, WebhookSigning};
use countersign_store::webhooks::{Addressee, WebhookMessage};
use countersign_testkit::{FakeInternet, tenant};
use countersign_wire::HeadView;
use countersign_wire::webhook::standard::{self, SecretKind, SigningSecret};
use countersign_wire::webhook::{
    EventIdRule, HttpSignatureRules, KeyText, OtherSchemes, Scheme, Source, SourceRules,
    TOLERANCE_DEFAULT, WebhookRefusal,
};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: UnixTime = UnixTime(1_800_000_000);
const BODY: &[u8] = br#"{"type":"invoice.paid","data":{"amount":"12"}}"#;

fn message() -> WebhookMessage {
    WebhookMessage {
        tenant: tenant("default"),
        id: MessageId::from_bytes([7; 16]),
        event_type: "invoice.paid".parse().unwrap(),
        version: 3,
        to: Addressee::Everyone,
        digest: [0; 32],
        sealed: Vec::new(),
        created: UnixTime(1_799_999_000),
    }
}

fn id() -> String {
    super::webhook_id(message().id)
}

fn receiver(secrets: Vec<SigningSecret>) -> ToReceiver {
    ToReceiver {
        receiver: Receiver::new("https://rp.test/hook".parse().unwrap()),
        key_ids: (0..secrets.len())
            .map(|number| number.to_string())
            .collect(),
        secrets,
        signing: WebhookSigning::V1,
        payload: WebhookPayload::Full,
        encryption: None,
    }
}

fn secret(kind: SecretKind) -> SigningSecret {
    SigningSecret::generate(kind, &Random::system()).unwrap()
}

fn made(to: &ToReceiver) -> Result<Outgoing, &'static str> {
    let body = Secret::new(BODY.to_vec());
    to_receiver(to, &message(), (&id(), &body), &Random::system(), NOW)
}

fn header(outgoing: &Outgoing, name: &str) -> String {
    outgoing.headers[name].to_str().unwrap().to_owned()
}

#[test]
fn every_secret_in_force_signs_the_id_the_time_of_the_attempt_and_the_very_body() {
    let to = receiver(vec![secret(SecretKind::Hmac), secret(SecretKind::Ed25519)]);
    let outgoing = made(&to).unwrap();
    assert_eq!(&outgoing.body[..], BODY);
    assert_eq!(header(&outgoing, "webhook-id"), id());
    assert!(id().starts_with("msg_") && !id().contains('.'));
    assert_eq!(header(&outgoing, "webhook-timestamp"), "1800000000");
    assert_eq!(header(&outgoing, "content-type"), "application/json");
    let list = header(&outgoing, "webhook-signature");
    let entries: Vec<&str> = list.split(' ').collect();
    let alone: Vec<String> = to
        .secrets
        .iter()
        .map(|one| standard::sign(std::slice::from_ref(one), &id(), NOW, BODY).unwrap())
        .collect();
    assert_eq!(entries, alone);
    assert!(entries[0].starts_with("v1,") && entries[1].starts_with("v1a,"));
}

#[test]
fn nothing_goes_out_unsigned() {
    assert_eq!(made(&receiver(Vec::new())).err(), Some("secret_missing"));
}

#[test]
fn a_thin_payload_has_ids_and_nothing_that_was_published() {
    let to = ToReceiver {
        payload: WebhookPayload::Thin,
        ..receiver(vec![secret(SecretKind::Hmac)])
    };
    let outgoing = made(&to).unwrap();
    let said: Value = serde_json::from_slice(&outgoing.body).unwrap();
    let expected = json!({
        "type": "invoice.paid",
        "version": 3,
        "timestamp": 1_799_999_000,
        "data": { "id": id() },
    });
    assert_eq!(said, expected);
    let signed = standard::sign(&to.secrets, &id(), NOW, &outgoing.body).unwrap();
    assert_eq!(header(&outgoing, "webhook-signature"), signed);
}

#[test]
fn an_encrypted_payload_is_for_its_key_and_signed_as_it_is_sent() {
    for (kind, number) in [
        (EncryptionKeyType::P256, "one"),
        (EncryptionKeyType::X25519, "two"),
        (EncryptionKeyType::Rsa, "three"),
    ] {
        let private = kind.generate().unwrap();
        let kid = number.parse().unwrap();
        let key = DecryptionKey::from_private(kind, kid, &private).unwrap();
        let to = ToReceiver {
            encryption: Some(key.public().clone()),
            ..receiver(vec![secret(SecretKind::Hmac)])
        };
        let outgoing = made(&to).unwrap();
        assert_eq!(header(&outgoing, "content-type"), "application/jose");
        let text = std::str::from_utf8(&outgoing.body).unwrap();
        assert!(!text.contains("invoice"));
        let signed = standard::sign(&to.secrets, &id(), NOW, &outgoing.body).unwrap();
        assert_eq!(header(&outgoing, "webhook-signature"), signed);
        let rules = JweRules {
            key_management: &KeyManagement::ALL,
            content: &[ContentEncryption::A256Gcm],
        };
        let opened = Jwe::parse(text, &rules).unwrap().decrypt([&key]).unwrap();
        assert_eq!(opened.expose(), BODY);
    }
}

#[test]
fn a_service_gets_what_came_in_with_a_key_that_names_it() {
    let body = Secret::new(BODY.to_vec());
    let internet = FakeInternet::new();
    let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
    let tls = TlsClient::new(&roots, None, Alpn::Http1).unwrap();
    let policy = EgressPolicy::public_only();
    let pool = DeliveryPool::new(tls, policy, Schemes::HttpToo, DeliveryLimits::default());
    let unsigned = Service {
        receiver: Receiver::new("http://orders.test/".parse().unwrap()),
        also: Vec::new(),
        signing: Arc::default(),
        media_type: "application/cloudevents+json".to_owned(),
        rate: None,
        concurrency: 1,
        retries: "service".to_owned(),
    };
    let to = ToService::new(&pool, &unsigned);
    let outgoing = to_service(&to, (&id(), &body), NOW).unwrap();
    assert_eq!(header(&outgoing, "content-type"), to.media_type());
    assert!(!outgoing.headers.contains_key("webhook-signature"));
    assert_eq!(&outgoing.body[..], BODY);
    assert_eq!(
        header(&outgoing, "idempotency-key"),
        format!("\"{}\"", id())
    );
    assert_eq!(header(&outgoing, "webhook-id"), id());
    // The twin that is signed: by each of its secrets, as a receiver elsewhere would verify it.
    let secrets = [SecretKind::Hmac, SecretKind::Hmac].map(secret);
    let texts: Vec<_> = secrets
        .iter()
        .map(SigningSecret::to_verifying_text)
        .collect();
    let signing = secrets.into();
    let to = ToService::new(
        &pool,
        &Service {
            signing,
            ..unsigned
        },
    );
    let outgoing = to_service(&to, (&id(), &body), NOW).unwrap();
    for text in texts {
        let source = Source::new(SourceRules {
            scheme: Scheme::StandardWebhooks,
            keys: vec![KeyText { id: None, text }],
            tolerance: TOLERANCE_DEFAULT,
            event_id: EventIdRule::Signed,
            others: OtherSchemes::Refused,
        });
        let source = source.unwrap();
        let fields: Vec<(&str, &[u8])> = outgoing
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let head = HeadView {
            method: "POST",
            scheme: "http",
            authority: "orders.test",
            path_and_query: "/",
            fields: &fields,
        };
        let looked = source.look(&head, NOW).unwrap();
        assert!(source.verify(looked, &outgoing.body, NOW).is_ok());
    }
}

#[test]
fn an_http_signature_covers_where_it_goes_and_what_is_sent() {
    let to = ToReceiver {
        signing: WebhookSigning::HttpSignature,
        ..receiver(vec![
            secret(SecretKind::Ed25519),
            secret(SecretKind::Ed25519),
        ])
    };
    let outgoing = made(&to).unwrap();
    assert!(!outgoing.headers.contains_key("webhook-signature"));
    let input = header(&outgoing, "signature-input");
    for covered in [
        "\"@method\"",
        "\"@target-uri\"",
        "\"content-digest\"",
        "\"webhook-id\"",
    ] {
        assert!(input.contains(covered), "{input}");
    }
    assert!(
        input.contains("keyid=\"0\"") && input.contains("keyid=\"1\""),
        "{input}"
    );
    // A receiver that has the public half of either key takes it, at this address and with this body alone.
    for (number, secret) in to.secrets.iter().enumerate() {
        let public = secret.to_verifying_text();
        let encoded = public.expose().strip_prefix("whpk_").unwrap();
        let x = base64url::encode(&base64::decode(encoded).unwrap());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let key = KeyText {
            id: Some(number.to_string()),
            text: Secret::new(jwk.to_string()),
        };
        let source = Source::new(SourceRules {
            scheme: Scheme::HttpSignature(HttpSignatureRules::webhook()),
            keys: vec![key],
            tolerance: TOLERANCE_DEFAULT,
            event_id: EventIdRule::Signed,
            others: OtherSchemes::Refused,
        })
        .unwrap();
        let verified = |path: &str, body: &[u8]| {
            let fields: Vec<(&str, &[u8])> = outgoing
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes()))
                .collect();
            let head = HeadView {
                method: "POST",
                scheme: "https",
                authority: "rp.test",
                path_and_query: path,
                fields: &fields,
            };
            let looked = source.look(&head, NOW)?;
            source.verify(looked, body, NOW).map(drop)
        };
        assert_eq!(verified("/hook", BODY), Ok(()));
        let wrong = Err(WebhookRefusal::SignatureWrong);
        assert_eq!(verified("/other", BODY), wrong);
        assert_eq!(verified("/hook", b"{}"), Err(WebhookRefusal::DigestWrong));
    }
}
