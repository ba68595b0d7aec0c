use super::super::tests::{Sent, rules, source};
use super::super::{EventIdRule, Scheme, Source, Verified, WebhookRefusal};
use super::{SIGNATURE, TIMESTAMP};
use countersign_base::UnixTime;

/// Slack's page "Verifying requests from Slack": secret, body, time and signature of its example.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const TIME: UnixTime = UnixTime(1_531_420_618);
const DIGITS: &str = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

fn commands(secret: &str) -> Source {
    let mut rules = rules(Scheme::Slack, &[secret]);
    rules.event_id = EventIdRule::Signed;
    Source::new(rules).unwrap()
}

fn sent() -> Sent {
    Sent::new(
        commands(SECRET),
        [
            (SIGNATURE, format!("v0={DIGITS}")),
            (TIMESTAMP, TIME.to_string()),
        ],
        BODY,
    )
    .at(TIME)
}

/// An event with that body, signed for a source that has its ids in the body.
fn signed(body: &'static [u8]) -> Sent {
    let key = countersign_crypto::hmac::HmacKey::new(
        countersign_crypto::digest::HashAlgorithm::Sha2_256,
        SECRET.as_bytes(),
    );
    let tag = key.tag(&[format!("v0:{TIME}:").as_bytes(), body]);
    let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    sent()
        .to(source(Scheme::Slack, &[SECRET]))
        .body(body)
        .with(SIGNATURE, format!("v0={digits}"))
}

#[test]
fn the_published_example_holds() {
    let receipt = sent().receipt();
    assert_eq!(receipt.timestamp(), Some(TIME));
    assert_eq!(receipt.identity(), receipt.attempt());
    assert_eq!(receipt.event_id().len(), 43);
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    sent().accepted();
    let refused = |why, forged: Sent| forged.refused(why);
    let after = |seconds: i64| UnixTime(TIME.0 + seconds);
    refused(
        Why::SignatureWrong,
        sent().to(commands("8f742231b10e8888abcd99yyyzzz85a6")),
    );
    refused(Why::SignatureWrong, sent().body(b"token=x"));
    refused(
        Why::SignatureWrong,
        sent().with(TIMESTAMP, after(1).to_string()),
    );
    refused(Why::SignatureMissing, sent().without(SIGNATURE));
    refused(Why::SignatureSeveral, sent().twice(SIGNATURE));
    refused(
        Why::SchemeOther,
        sent().without(SIGNATURE).with("stripe-signature", "t=1"),
    );
    refused(Why::SchemeOther, sent().with("stripe-signature", "t=1"));
    refused(Why::TimestampMissing, sent().without(TIMESTAMP));
    refused(Why::TimestampMalformed, sent().with(TIMESTAMP, "today"));
    refused(Why::TimestampOld, sent().at(after(301)));
    refused(Why::TimestampFuture, sent().at(after(-301)));
    sent().at(after(300)).accepted();
    sent().at(after(-300)).accepted();
    refused(
        Why::AlgorithmUnknown,
        sent().with(SIGNATURE, format!("v1={DIGITS}")),
    );
    refused(Why::SignatureMalformed, sent().with(SIGNATURE, DIGITS));
    refused(Why::SignatureMalformed, sent().with(SIGNATURE, "v0="));
}

#[test]
fn an_event_has_its_id_in_the_body() {
    sent()
        .to(source(Scheme::Slack, &[SECRET]))
        .refused(WebhookRefusal::IdMissing);
    let body = br#"{"type":"event_callback","event_id":"Ev08MFMKH6"}"#;
    let receipt = signed(body).receipt();
    assert_eq!(receipt.event_id(), "Ev08MFMKH6");
}

/// The body of Slack's page "url_verification event".
const CHALLENGE: &[u8] = br#"{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;

#[test]
fn a_signed_challenge_is_told_its_own_word_and_is_no_event() {
    let Verified::Challenge(challenge) = signed(CHALLENGE).heard().unwrap() else {
        panic!("it is a challenge");
    };
    assert_eq!(challenge.timestamp(), Some(TIME));
    assert_eq!(
        challenge.into_text(),
        "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    );
    signed(CHALLENGE).refused(WebhookRefusal::IdMissing);
    // Not before the signature holds.
    let wrong = signed(CHALLENGE).to(source(Scheme::Slack, &["other"]));
    assert_eq!(wrong.heard().unwrap_err(), WebhookRefusal::SignatureWrong);
    let moved = signed(CHALLENGE).body(br#"{"challenge":"x","type":"url_verification"}"#);
    assert_eq!(moved.heard().unwrap_err(), WebhookRefusal::SignatureWrong);
}

#[test]
fn a_challenge_is_a_short_word_of_plain_characters() {
    let malformed = |body: &'static [u8]| {
        let refusal = signed(body).heard().unwrap_err();
        assert_eq!(refusal, WebhookRefusal::ChallengeMalformed, "{body:?}");
    };
    malformed(br#"{"type":"url_verification"}"#);
    malformed(br#"{"type":"url_verification","challenge":null}"#);
    malformed(br#"{"type":"url_verification","challenge":""}"#);
    malformed(br#"{"type":"url_verification","challenge":"<script>"}"#);
    malformed(br#"{"type":"url_verification","challenge":"a b"}"#);
    let of = |length: usize| -> &'static [u8] {
        let word = "a".repeat(length);
        format!(r#"{{"type":"url_verification","challenge":"{word}"}}"#)
            .leak()
            .as_bytes()
    };
    malformed(of(257));
    assert!(matches!(
        signed(of(256)).heard(),
        Ok(Verified::Challenge(_))
    ));
    // What is of another type is an event, whatever else stands there.
    let event = br#"{"type":"event_callback","challenge":"a","event_id":"Ev1"}"#;
    assert!(matches!(signed(event).heard(), Ok(Verified::Receipt(_))));
}
