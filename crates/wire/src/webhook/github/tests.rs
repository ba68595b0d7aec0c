use super::super::tests::{Sent, rules, source};
use super::super::{OtherSchemes, Scheme, Source, WebhookRefusal};

/// From GitHub's page "Validating webhook deliveries", section "Testing the webhook payload validation".
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

fn sent() -> Sent {
    Sent::new(
        source(Scheme::GitHub, &[SECRET]),
        [
            (super::SIGNATURE, SIGNATURE.to_owned()),
            (super::DELIVERY, DELIVERY.to_owned()),
        ],
        BODY,
    )
}

#[test]
fn the_published_example_holds() {
    let receipt = sent().receipt();
    assert_eq!(receipt.event_id(), DELIVERY);
    assert_eq!(receipt.timestamp(), None);
    assert_eq!(receipt.scheme(), "github");
}

#[test]
fn another_delivery_id_makes_no_other_event_of_a_recorded_message() {
    let recorded = sent().receipt();
    let again = sent()
        .with(super::DELIVERY, "00000000-0000-0000-0000-000000000000")
        .receipt();
    assert_ne!(recorded.event_id(), again.event_id());
    assert_eq!(recorded.identity(), again.identity());
    assert_eq!(recorded.attempt(), again.attempt());
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    sent().accepted();
    let refused = |why, forged: Sent| forged.refused(why);
    refused(
        Why::SignatureWrong,
        sent().to(source(Scheme::GitHub, &["another secret"])),
    );
    refused(Why::SignatureWrong, sent().body(b"Hello, World?"));
    refused(Why::SignatureMissing, sent().without(super::SIGNATURE));
    refused(Why::SignatureSeveral, sent().twice(super::SIGNATURE));
    refused(Why::IdMissing, sent().without(super::DELIVERY));
    refused(Why::IdMalformed, sent().twice(super::DELIVERY));
    refused(
        Why::SchemeOther,
        sent()
            .without(super::SIGNATURE)
            .with("stripe-signature", "t=1,v1=00"),
    );
    refused(
        Why::SchemeOther,
        sent().with("webhook-signature", "v1,AAAA"),
    );
    for malformed in [
        "",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1x",
        "sha256=",
    ] {
        refused(
            Why::SignatureMalformed,
            sent().with(super::SIGNATURE, malformed),
        );
    }
}

#[test]
fn sha1_alone_is_no_signature_and_beside_sha256_none_is_needed() {
    let sha1 = "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59";
    sent().with(super::SIGNATURE_SHA1, sha1).accepted();
    sent()
        .with(super::SIGNATURE_SHA1, sha1)
        .without(super::SIGNATURE)
        .refused(WebhookRefusal::AlgorithmUnknown);
}

#[test]
fn a_relay_may_pass_on_what_somebody_else_signed() {
    let mut rules = rules(Scheme::GitHub, &[SECRET]);
    rules.others = OtherSchemes::Ignored;
    let relayed = || sent().with("webhook-signature", "v1,AAAA");
    relayed().refused(WebhookRefusal::SchemeOther);
    relayed().to(Source::new(rules).unwrap()).accepted();
}

#[test]
fn both_secrets_hold_while_they_rotate() {
    for keys in [[SECRET, "next"], ["next", SECRET]] {
        sent().to(source(Scheme::GitHub, &keys)).accepted();
    }
}
