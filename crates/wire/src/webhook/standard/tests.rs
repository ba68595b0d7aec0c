use super::super::tests::{NOW, Sent, moved, source};
use super::super::{Scheme, WebhookRefusal};
use super::{ID, SIGNATURE, SecretKind, SignError, SigningSecret, TIMESTAMP, headers, sign};
use countersign_base::{Secret, UnixTime};
use countersign_crypto::Random;
use proptest::prelude::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn secret(text: &str) -> SigningSecret {
    SigningSecret::parse(&Secret::new(text.to_owned())).unwrap()
}

fn ed25519() -> SigningSecret {
    SigningSecret::generate(
        SecretKind::Ed25519,
        &Random::from_fn(|buffer| buffer.fill(7)),
    )
    .unwrap()
}

fn sent_by(secrets: &[SigningSecret], keys: &[&str]) -> Sent {
    Sent::new(
        source(Scheme::StandardWebhooks, keys),
        headers(secrets, MESSAGE, NOW, BODY).unwrap(),
        BODY,
    )
}

fn sent() -> Sent {
    sent_by(&[secret(SECRET)], &[SECRET])
}

/// The vectors of the libraries' own tests (standard-webhooks, `libraries/`: "sign function works" in most of them, `test_sign` in Rust).
#[test]
fn the_signature_is_the_one_of_the_libraries() {
    assert_eq!(
        sign(&[secret(SECRET)], MESSAGE, UnixTime(1_614_265_330), BODY).unwrap(),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    assert_eq!(
        sign(
            &[secret(OTHER)],
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            UnixTime(1_649_367_553),
            br#"{"email":"test@example.com","username":"test_user"}"#,
        )
        .unwrap(),
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    );
}

#[test]
fn what_is_sent_is_taken() {
    let receipt = sent().receipt();
    assert_eq!(receipt.event_id(), MESSAGE);
    assert_eq!(receipt.timestamp(), Some(NOW));
    let public = ed25519().to_verifying_text();
    assert!(public.expose().starts_with("whpk_"));
    sent_by(&[ed25519()], &[public.expose()]).accepted();
}

#[test]
fn a_retry_is_the_same_event_by_another_attempt() {
    let first = sent().receipt();
    let mut retry = sent().at(moved(5));
    for (name, value) in headers(&[secret(SECRET)], MESSAGE, moved(5), BODY).unwrap() {
        retry = retry.with(name, value);
    }
    let retry = retry.receipt();
    assert_eq!(first.identity(), retry.identity());
    assert_eq!(first.body_digest(), retry.body_digest());
    assert_ne!(first.attempt(), retry.attempt());
    let replay = sent().at(moved(5)).receipt();
    assert_eq!(first.attempt(), replay.attempt());
}

#[test]
fn the_same_attempt_under_another_key_is_the_same_attempt() {
    let both = || [secret(OTHER), secret(SECRET)];
    let new = sent_by(&both(), &[OTHER]).receipt();
    let old = sent_by(&both(), &[SECRET]).receipt();
    assert_eq!(new.attempt(), old.attempt());
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    sent().accepted();
    let refused = |why, forged: Sent| forged.refused(why);
    let good = sent().value(SIGNATURE).to_owned();
    refused(
        Why::SignatureWrong,
        sent().to(source(Scheme::StandardWebhooks, &[OTHER])),
    );
    refused(Why::SignatureWrong, sent().body(br#"{"test": 2432232315}"#));
    refused(
        Why::SignatureWrong,
        sent().with(TIMESTAMP, moved(1).to_string()),
    );
    refused(Why::SignatureWrong, sent().with(ID, "msg_other"));
    refused(Why::SignatureMissing, sent().without(SIGNATURE));
    refused(Why::SignatureSeveral, sent().twice(SIGNATURE));
    refused(
        Why::SchemeOther,
        sent()
            .without(SIGNATURE)
            .with("x-hub-signature-256", "sha256=00"),
    );
    refused(
        Why::SchemeOther,
        sent().with("x-hub-signature-256", "sha256=00"),
    );
    refused(Why::TimestampMissing, sent().without(TIMESTAMP));
    refused(Why::TimestampMalformed, sent().twice(TIMESTAMP));
    refused(
        Why::TimestampMalformed,
        sent().with(TIMESTAMP, format!("0{NOW}")),
    );
    refused(Why::IdMissing, sent().without(ID));
    refused(Why::IdMalformed, sent().twice(ID));
    refused(Why::IdMalformed, sent().with(ID, "msg.1"));
    refused(Why::IdMalformed, sent().with(ID, ""));
    for malformed in [
        "",
        "v1",
        "v1,",
        "v1,AAAA",
        "v1,not base64",
        &format!("{good},{good}"),
        &format!("{good}  {good}"),
        &[good.as_str(); 11].join(" "),
    ] {
        refused(Why::SignatureMalformed, sent().with(SIGNATURE, malformed));
    }
    refused(Why::SignatureMalformed, sent().with(SIGNATURE, b"v1,\xff"));
    refused(
        Why::AlgorithmUnknown,
        sent().with(SIGNATURE, good.replace("v1,", "v2,")),
    );
}

#[test]
fn a_tag_passes_for_no_signature_and_a_public_key_for_no_secret() {
    let public = ed25519().to_verifying_text();
    let sent = || sent_by(&[secret(SECRET), ed25519()], &[public.expose()]);
    sent().accepted();
    let value = sent().value(SIGNATURE).to_owned();
    let (tag, signature) = value.split_once(' ').unwrap();
    sent()
        .with(SIGNATURE, tag)
        .refused(WebhookRefusal::AlgorithmUnknown);
    sent()
        .with(SIGNATURE, signature.replace("v1a,", "v1,"))
        .refused(WebhookRefusal::SignatureMalformed);
}

#[test]
fn the_window_is_closed_on_both_sides_and_its_edges_are_inside() {
    sent().at(moved(300)).accepted();
    sent().at(moved(301)).refused(WebhookRefusal::TimestampOld);
    sent().at(moved(-300)).accepted();
    sent()
        .at(moved(-301))
        .refused(WebhookRefusal::TimestampFuture);
}

#[test]
fn a_body_that_takes_longer_than_the_window_is_refused() {
    let sent = sent();
    let fields: Vec<(&str, &[u8])> = sent
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_slice()))
        .collect();
    let head = crate::HeadView {
        method: "POST",
        scheme: "https",
        authority: "hooks.example.com",
        path_and_query: "/",
        fields: &fields,
    };
    let looked = || sent.source.look(&head, NOW).unwrap();
    assert!(sent.source.verify(looked(), BODY, moved(300)).is_ok());
    assert_eq!(
        sent.source
            .verify(looked(), BODY, moved(301))
            .map(|receipt| receipt.timestamp()),
        Err(WebhookRefusal::TimestampOld)
    );
}

#[test]
fn old_and_new_secret_sign_and_either_verifies() {
    let both = || [secret(SECRET), secret(OTHER)];
    for keys in [&[SECRET][..], &[OTHER], &[OTHER, SECRET]] {
        sent_by(&both(), keys).accepted();
    }
    sent()
        .to(source(Scheme::StandardWebhooks, &[OTHER, SECRET]))
        .accepted();
}

#[test]
fn svix_writes_the_same_under_its_own_names() {
    let [id, timestamp, signature] = headers(&[secret(SECRET)], MESSAGE, NOW, BODY).unwrap();
    let sent = || {
        Sent::new(
            source(Scheme::Svix, &[SECRET]),
            [
                ("svix-id", id.1.clone()),
                ("svix-timestamp", timestamp.1.clone()),
                ("svix-signature", signature.1.clone()),
            ],
            BODY,
        )
    };
    sent().accepted();
    sent().with(SIGNATURE, signature.1.clone()).accepted();
    sent()
        .to(source(Scheme::StandardWebhooks, &[SECRET]))
        .refused(WebhookRefusal::SignatureMissing);
}

#[test]
fn an_id_with_a_dot_and_no_secret_are_not_signed() {
    let secrets = [secret(SECRET)];
    for id in ["", "a.b", "a b", &"x".repeat(256)] {
        assert_eq!(sign(&secrets, id, NOW, BODY), Err(SignError::Id), "{id}");
    }
    assert_eq!(sign(&[], MESSAGE, NOW, BODY), Err(SignError::Secrets));
    let many: Vec<_> = (0..11).map(|_| secret(SECRET)).collect();
    assert_eq!(sign(&many, MESSAGE, NOW, BODY), Err(SignError::Secrets));
}

proptest! {
    #[test]
    fn what_is_signed_holds_and_any_flipped_bit_refuses(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        id in "[a-zA-Z0-9_-]{1,40}",
        kind in prop_oneof![Just(SecretKind::Hmac), Just(SecretKind::Ed25519)],
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let secret = SigningSecret::generate(kind, &Random::system()).unwrap();
        let verifying = secret.to_verifying_text();
        let sent = || Sent::new(
            source(Scheme::StandardWebhooks, &[verifying.expose()]),
            headers(std::slice::from_ref(&secret), &id, NOW, &body).unwrap(),
            &body,
        );
        prop_assert!(sent().judged().is_ok());
        let mut flipped = body.clone();
        flipped[at.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(sent().body(&flipped).judged().map(|_| ()), Err(WebhookRefusal::SignatureWrong));
        // Of a field any other byte: whatever the reason, it is refused.
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut value = sent().value(name).to_owned().into_bytes();
            let index = at.index(value.len());
            value[index] ^= 1 << bit;
            prop_assert!(sent().with(name, value).judged().is_err(), "{}", name);
        }
    }
}
