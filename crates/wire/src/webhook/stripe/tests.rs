use super::super::tests::{NOW, Sent, moved, source};
use super::super::{Scheme, WebhookRefusal};
use countersign_base::UnixTime;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use std::fmt::Write as _;

const SECRET: &str = "whsec_abcdefghijklmnopqrstuvwxyz0123456789";
const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;

fn tag(secret: &str, time: UnixTime, body: &[u8]) -> String {
    let key = HmacKey::new(HashAlgorithm::Sha2_256, secret.as_bytes());
    let mut digits = String::new();
    for byte in key.tag(&[time.to_string().as_bytes(), b".", body]) {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}

fn sent() -> Sent {
    let field = format!("t={NOW},v1={}", tag(SECRET, NOW, BODY));
    Sent::new(
        source(Scheme::Stripe, &[SECRET]),
        [(super::SIGNATURE, field)],
        BODY,
    )
}

#[test]
fn the_whole_text_of_the_secret_is_the_key() {
    assert_eq!(
        tag("whsec_test_secret", UnixTime(1_700_000_000), b"{}"),
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test_secret
        "ceb8863f7208fa249a6cd8f951e993c7563412aca65866f6272283debe143ab3"
    );
    let receipt = sent().receipt();
    assert_eq!(receipt.event_id(), "evt_1");
    assert_eq!(receipt.timestamp(), Some(NOW));
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    sent().accepted();
    let refused = |why, forged: Sent| forged.refused(why);
    let good = tag(SECRET, NOW, BODY);
    let field = |value: String| sent().with(super::SIGNATURE, value);
    refused(
        Why::SignatureWrong,
        sent().to(source(Scheme::Stripe, &["whsec_other"])),
    );
    refused(
        Why::SignatureWrong,
        sent().body(br#"{"id":"evt_2","object":"event"}"#),
    );
    refused(
        Why::SignatureWrong,
        field(format!("t={},v1={good}", moved(1))),
    );
    refused(Why::SignatureMissing, sent().without(super::SIGNATURE));
    refused(Why::SignatureSeveral, sent().twice(super::SIGNATURE));
    refused(
        Why::SchemeOther,
        sent()
            .without(super::SIGNATURE)
            .with("x-hub-signature-256", "sha256=00"),
    );
    refused(
        Why::SchemeOther,
        sent().with("x-hub-signature-256", "sha256=00"),
    );
    refused(Why::TimestampMissing, field(format!("v1={good}")));
    refused(Why::TimestampMalformed, field(format!("t=now,v1={good}")));
    refused(
        Why::TimestampMalformed,
        field(format!("t={NOW},t={NOW},v1={good}")),
    );
    refused(Why::AlgorithmUnknown, field(format!("t={NOW},v0={good}")));
    refused(Why::SignatureMalformed, field(format!("t={NOW},v1=")));
    refused(Why::AlgorithmUnknown, field(format!("t={NOW};v1={good}")));
    refused(Why::SignatureMalformed, field(format!("t={NOW},{good}")));
    let many = format!("t={NOW}") + &format!(",v1={good}").repeat(11);
    refused(Why::SignatureMalformed, field(many));
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
fn one_of_several_signatures_is_enough_and_v0_is_passed_over() {
    let good = tag(SECRET, NOW, BODY);
    let other = tag("whsec_next", NOW, BODY);
    for value in [
        format!("t={NOW},v1={other},v1={good}"),
        format!("t={NOW},v1={good},v1={other}"),
        format!(
            "t={NOW},v1={good},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
        ),
    ] {
        sent().with(super::SIGNATURE, value).accepted();
    }
    sent()
        .with(super::SIGNATURE, format!("t={NOW},v1={other},v0={good}"))
        .refused(WebhookRefusal::SignatureWrong);
}

#[test]
fn the_id_is_in_the_body() {
    for (body, why) in [
        (&b"{}"[..], WebhookRefusal::IdMissing),
        (b"no json", WebhookRefusal::IdMissing),
        (br#"{"id":null}"#, WebhookRefusal::IdMissing),
        (br#"{"id":["evt_1"]}"#, WebhookRefusal::IdMalformed),
        (br#"{"id":"a b"}"#, WebhookRefusal::IdMalformed),
    ] {
        let field = format!("t={NOW},v1={}", tag(SECRET, NOW, body));
        sent().body(body).with(super::SIGNATURE, field).refused(why);
    }
}
