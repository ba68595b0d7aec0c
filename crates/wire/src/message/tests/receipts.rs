//! Receipts: a receiver's word about one message, and about no other.

use super::{CONTENT, NOW, World, world};
use crate::message::{
    LEEWAY, MessageRefusal, Party, Receipt, Sent, issue_receipt, sign, verify_receipt,
};
use countersign_base::UnixTime;
use countersign_crypto::jose::{
    Algorithm, ContentForm, JoseError, JwkSet, KeyAlgorithm, PrivateJwk, sign_jwt,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, MessageReceipt};
use serde_json::{Value, json};

/// Bob's key, a message of Alice's and his receipt of it.
struct Received {
    alice: World,
    bob: PrivateJwk,
    sent: Sent,
    receipt: String,
}

fn received(algorithm: Algorithm) -> Received {
    let alice = world(Algorithm::EdDsa);
    let bob = PrivateJwk::generate(
        KeyAlgorithm::Signature(algorithm),
        Some("bob-1".parse().unwrap()),
    )
    .unwrap();
    let made = alice.made(ContentForm::Attached);
    let message = alice.verify(&made.text, NOW).unwrap();
    let key = bob.signing_key::<MessageReceipt>().unwrap();
    let receipt = issue_receipt(&key, &message, &Random::system(), NOW).unwrap();
    Received {
        alice,
        bob,
        sent: made.sent,
        receipt,
    }
}

impl Received {
    fn keys(&self) -> JwkSet {
        JwkSet::single(self.bob.verifying_key().unwrap())
    }

    fn verify(&self, receipt: &str, sent: &Sent) -> Result<Receipt, MessageRefusal> {
        verify_receipt(receipt, &self.keys(), sent, NOW)
    }

    /// Claims of a receipt that holds, with a change, by Bob's own key.
    fn forge(&self, change: impl FnOnce(&mut Value)) -> String {
        let sent = serde_json::to_value(&self.sent).unwrap();
        let mut claims = json!({
            "iss": sent["audience"], "aud": sent["issuer"], "jti": "r", "iat": NOW.0,
            "message": { "jti": sent["id"], "message_sha256": sent["message_sha256"], "content_sha256": sent["content_sha256"] },
        });
        change(&mut claims);
        let key = self.bob.signing_key::<MessageReceipt>().unwrap();
        sign_jwt(&key, &claims).unwrap()
    }
}

#[test]
fn a_receipt_is_about_the_message_that_was_sent() {
    for algorithm in super::ALGORITHMS {
        let received = received(algorithm);
        let receipt = received.verify(&received.receipt, &received.sent).unwrap();
        assert_eq!(receipt.issuer, received.alice.bob);
        assert_eq!(receipt.message, received.sent.id);
        assert_eq!(receipt.digests, received.sent.digests);
        assert_eq!(receipt.issued, NOW);
        assert_eq!(receipt.kid.as_str(), "bob-1");
        // It stays true.
        let later = UnixTime(NOW.0 + 1_000_000_000);
        assert_eq!(
            verify_receipt(&received.receipt, &received.keys(), &received.sent, later),
            Ok(receipt)
        );
        // Another message, even of the same content, has another receipt.
        let other = received.alice.made(ContentForm::Attached).sent;
        assert_eq!(
            received.verify(&received.receipt, &other),
            Err(MessageRefusal::OtherMessage)
        );
    }
}

#[test]
fn a_receipt_is_by_the_receiver_to_the_sender_about_every_digest() {
    let received = received(Algorithm::EdDsa);
    let check = |change: fn(&mut Value)| {
        received
            .verify(&received.forge(change), &received.sent)
            .map(|_| ())
    };
    assert_eq!(check(|_| ()), Ok(()));
    let digest = || json!(countersign_crypto::digest::sha256_base64url(b"other"));
    let other = Err(MessageRefusal::OtherMessage);
    assert_eq!(check(|claims| claims["message"]["jti"] = json!("x")), other);
    for member in ["message_sha256", "content_sha256"] {
        let text = received.forge(|claims| claims["message"][member] = digest());
        assert_eq!(
            received.verify(&text, &received.sent).map(|_| ()),
            other,
            "{member}"
        );
    }
    assert_eq!(
        check(|claims| claims["iss"] = json!("https://carol.example")),
        Err(MessageRefusal::IssuerOther)
    );
    assert_eq!(
        check(|claims| claims["aud"] = json!("https://carol.example")),
        Err(MessageRefusal::AudienceOther)
    );
    assert_eq!(
        check(|claims| claims["iat"] = json!("1")),
        Err(MessageRefusal::StatementMalformed)
    );
    assert_eq!(
        check(|claims| claims["message"] = json!("x")),
        Err(MessageRefusal::StatementMalformed)
    );
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    let at = |seconds: i64| received.forge(|claims| claims["iat"] = json!(NOW.0 + seconds));
    assert!(received.verify(&at(leeway), &received.sent).is_ok());
    assert_eq!(
        received.verify(&at(leeway + 1), &received.sent),
        Err(MessageRefusal::IssuedLater)
    );
}

/// What the same key signs for another purpose is no receipt, and neither is another's signature.
#[test]
fn another_type_or_another_key_gives_no_receipt() {
    let received = received(Algorithm::EdDsa);
    let claims = {
        let payload = received.receipt.split('.').nth(1).unwrap();
        let bytes = countersign_crypto::base64url::decode(payload).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let assertion = received.bob.signing_key::<ClientAssertion>().unwrap();
    assert_eq!(
        received.verify(&sign_jwt(&assertion, &claims).unwrap(), &received.sent),
        Err(MessageRefusal::TypeOther)
    );
    let right = received.bob.signing_key::<MessageReceipt>().unwrap();
    assert!(
        received
            .verify(&sign_jwt(&right, &claims).unwrap(), &received.sent)
            .is_ok()
    );
    // The sender cannot give himself one.
    let own = received.alice.key.signing_key::<MessageReceipt>().unwrap();
    assert_eq!(
        received.verify(&sign_jwt(&own, &claims).unwrap(), &received.sent),
        Err(MessageRefusal::KeyUnknown)
    );
    let named_alike = PrivateJwk::generate(
        KeyAlgorithm::Signature(Algorithm::EdDsa),
        Some("bob-1".parse().unwrap()),
    )
    .unwrap();
    let mallory = named_alike.signing_key::<MessageReceipt>().unwrap();
    assert_eq!(
        received.verify(&sign_jwt(&mallory, &claims).unwrap(), &received.sent),
        Err(MessageRefusal::SignatureWrong)
    );
    // A message is no receipt.
    let message = received.alice.made(ContentForm::Attached).text;
    assert_eq!(
        received.verify(&message, &received.sent),
        Err(MessageRefusal::TypeOther)
    );
}

#[test]
fn rs256_gives_no_receipt() {
    let alice = world(Algorithm::EdDsa);
    let made = alice.made(ContentForm::Attached);
    let message = alice.verify(&made.text, NOW).unwrap();
    let issue = |algorithm| {
        let key = PrivateJwk::generate(KeyAlgorithm::Signature(algorithm), None).unwrap();
        let key = key.signing_key::<MessageReceipt>().unwrap();
        issue_receipt(&key, &message, &Random::system(), NOW).map(|_| ())
    };
    assert_eq!(issue(Algorithm::Ps256), Ok(()));
    assert_eq!(issue(Algorithm::Rs256), Err(JoseError::AlgorithmDiffers));
}

/// The receipt of a content that travelled beside its signature names the same digests.
#[test]
fn the_form_of_a_message_does_not_change_its_receipt() {
    let received = received(Algorithm::EdDsa);
    let carol: Party = "https://carol.example".parse().unwrap();
    let draft = crate::message::Draft {
        audience: carol,
        ..received.alice.draft()
    };
    let random = Random::system();
    let make = |form| sign(&received.alice.signing, &draft, CONTENT, form, &random, NOW).unwrap();
    let (attached, detached) = (make(ContentForm::Attached), make(ContentForm::Detached));
    assert_eq!(attached.sent.digests.content, detached.sent.digests.content);
    assert_ne!(attached.sent.digests.message, detached.sent.digests.message);
}
