use super::super::tests::{Sent, source};
use super::super::{Scheme, WebhookRefusal};
use super::{SIGNATURE, WEBHOOK_ID};

/// Shopify publishes no example: `printf '{"id":1}' | openssl dgst -sha256 -hmac shop-secret -binary | base64`.
const TAG: &str = "plW8VGqq0nDMIEhDqaNNW99asdUCy7EIqLZVcQwtAZ0=";

fn sent() -> Sent {
    Sent::new(
        source(Scheme::Shopify, &["shop-secret"]),
        [
            (SIGNATURE, TAG.to_owned()),
            (
                WEBHOOK_ID,
                "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043".to_owned(),
            ),
        ],
        br#"{"id":1}"#,
    )
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    let receipt = sent().receipt();
    assert_eq!(receipt.event_id(), "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043");
    assert_eq!(receipt.timestamp(), None);
    let refused = |why, forged: Sent| forged.refused(why);
    refused(
        Why::SignatureWrong,
        sent().to(source(Scheme::Shopify, &["shop-secreT"])),
    );
    refused(Why::SignatureWrong, sent().body(br#"{"id":2}"#));
    refused(Why::SignatureMissing, sent().without(SIGNATURE));
    refused(Why::SignatureSeveral, sent().twice(SIGNATURE));
    refused(Why::IdMissing, sent().without(WEBHOOK_ID));
    refused(
        Why::SchemeOther,
        sent().without(SIGNATURE).with("x-slack-signature", "v0=00"),
    );
    refused(Why::SchemeOther, sent().with("x-slack-signature", "v0=00"));
    for malformed in [
        "",
        "plW8VGqq0nDMIEhDqaNNW99asdUCy7EIqLZVcQwtAZ0",
        "plW8VGqq0nDMIEhDqaNNW99asdUCy7EIqLZVcQwtAZ1=",
        "a655bc546aaad270cc204843a9a34d5bdf5ab1d502cbb108a8b655710c2d019d",
        "AAAA",
    ] {
        refused(Why::SignatureMalformed, sent().with(SIGNATURE, malformed));
    }
}

#[test]
fn another_webhook_id_makes_no_other_event_of_a_recorded_message() {
    let recorded = sent().receipt();
    let again = sent().with(WEBHOOK_ID, "another").receipt();
    assert_eq!(recorded.identity(), again.identity());
}
