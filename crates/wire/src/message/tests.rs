//! Messages and receipts: what goes there and back, and the attacks on them, each beside its twin without the flaw.

mod answers;
mod receipts;
mod sealed;

use super::{
    AnswerMark, CONTENT_BYTES_MAX, Draft, LEEWAY, LIFETIME, LIFETIME_MAX, Made, Message,
    MessageRefusal, Occasion, OneTime, Party, Receiving, Sent, danger, sign, verify,
    verify_detached,
};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentForm, EncryptionKeyType, JoseError, JwkSet, KeyAlgorithm, PrivateJwk,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{PartnerMessage, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime(1_900_000_000);
const CONTENT: &[u8] = br#"{"order":1,"amount":"10.00"}"#;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256];

/// Both sides: Alice writes to Bob.
struct World {
    alice: Party,
    bob: Party,
    key: PrivateJwk,
    signing: SigningKey<PartnerMessage>,
    keys: JwkSet,
}

fn world(algorithm: Algorithm) -> World {
    let key = PrivateJwk::generate(
        KeyAlgorithm::Signature(algorithm),
        Some("alice-1".parse().unwrap()),
    )
    .unwrap();
    World {
        alice: "https://alice.example".parse().unwrap(),
        bob: "https://bob.example".parse().unwrap(),
        signing: key.signing_key().unwrap(),
        keys: JwkSet::single(key.verifying_key().unwrap()),
        key,
    }
}

impl World {
    fn draft(&self) -> Draft {
        Draft {
            issuer: self.alice.clone(),
            audience: self.bob.clone(),
            occasion: Occasion::Own,
            mark: AnswerMark::Critical,
            content_type: "application/json".parse().unwrap(),
            lifetime: LIFETIME,
        }
    }

    fn receiving(&self) -> Receiving<'_> {
        Receiving {
            issuer: &self.alice,
            keys: &self.keys,
            audience: &self.bob,
            occasion: &Occasion::Own,
        }
    }

    fn made(&self, form: ContentForm) -> Made {
        sign(
            &self.signing,
            &self.draft(),
            CONTENT,
            form,
            &Random::system(),
            NOW,
        )
        .unwrap()
    }

    fn verify(&self, text: &str, now: UnixTime) -> Result<Message, MessageRefusal> {
        verify(text, &self.receiving(), now).map(danger::spent)
    }

    /// The header of a message that holds.
    fn header(&self) -> Value {
        json!({
            "alg": self.signing.algorithm().name(), "typ": "message+jws", "kid": "alice-1",
            "iss": "https://alice.example", "aud": "https://bob.example", "jti": "1", "iat": NOW.0, "exp": NOW.0 + 300,
            "cty": "application/json", "content_sha256": countersign_crypto::digest::sha256_base64url(CONTENT),
        })
    }

    /// Signs whatever header, by the partner's own key.
    fn forge(&self, header: &Value, content: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            base64url::encode(header.to_string().as_bytes()),
            base64url::encode(content)
        );
        let signature = base64url::encode(&self.signing.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }
}

/// A header with one member changed is refused for that reason; with its own value it is taken.
fn refused(member: &str, value: Value, reason: MessageRefusal) {
    let world = world(Algorithm::EdDsa);
    let mut header = world.header();
    assert!(world.verify(&world.forge(&header, CONTENT), NOW).is_ok());
    match value {
        Value::Null => {
            header.as_object_mut().unwrap().remove(member);
        }
        value => header[member] = value,
    }
    let outcome = world.verify(&world.forge(&header, CONTENT), NOW);
    assert_eq!(outcome.unwrap_err(), reason, "{header}");
}

#[test]
fn a_message_arrives_as_it_was_written() {
    for algorithm in ALGORITHMS {
        let world = world(algorithm);
        let made = world.made(ContentForm::Attached);
        let unspent = verify(&made.text, &world.receiving(), NOW).unwrap();
        assert_eq!(unspent.one_time().expires, NOW.plus(LIFETIME).plus(LEEWAY));
        let message = danger::spent(unspent);
        assert_eq!(message.content(), CONTENT);
        assert_eq!(message.issuer, world.alice);
        assert_eq!(message.audience, world.bob);
        assert_eq!(message.id, made.sent.id);
        assert_eq!(message.issued, NOW);
        assert_eq!(message.expires, NOW.plus(LIFETIME));
        assert_eq!(message.content_type.as_str(), "application/json");
        assert_eq!(message.digests, made.sent.digests);
        assert_eq!(message.kid.as_str(), "alice-1");
        assert_eq!(message.algorithm, algorithm);
    }
}

/// RFC 7515 appendix F. The digests are the same in both forms of one message.
#[test]
fn a_detached_content_cannot_be_swapped() {
    for algorithm in ALGORITHMS {
        let world = world(algorithm);
        let made = world.made(ContentForm::Detached);
        let check = |content: &[u8]| {
            verify_detached(&made.text, content, &world.receiving(), NOW).map(danger::spent)
        };
        let message = check(CONTENT).unwrap();
        assert_eq!(message.content(), CONTENT);
        let swapped = br#"{"order":1,"amount":"99.00"}"#;
        assert_eq!(check(swapped).unwrap_err(), MessageRefusal::SignatureWrong);
        assert_eq!(check(b"").unwrap_err(), MessageRefusal::Malformed);
        let [header, signature] = made
            .text
            .split("..")
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        let attached = format!("{header}.{}.{signature}", base64url::encode(CONTENT));
        assert_eq!(
            world.verify(&attached, NOW).unwrap().digests,
            message.digests
        );
        // Read as the other form, there would be no content or two.
        assert_eq!(
            world.verify(&made.text, NOW).unwrap_err(),
            MessageRefusal::Malformed
        );
        assert_eq!(
            verify_detached(&attached, CONTENT, &world.receiving(), NOW)
                .map(danger::spent)
                .unwrap_err(),
            MessageRefusal::Malformed
        );
    }
}

#[test]
fn every_algorithm_but_the_keys_own_is_refused() {
    for alg in ["none", "HS256", "ES384", "RSA1_5", "es256", ""] {
        refused("alg", json!(alg), MessageRefusal::AlgorithmOther);
    }
    // Known to the key sets, and still not the key's own or not for messages.
    for alg in ["ES256", "PS256", "RS256"] {
        refused("alg", json!(alg), MessageRefusal::AlgorithmOther);
    }
    refused("alg", Value::Null, MessageRefusal::AlgorithmOther);
}

/// PKCS#1 v1.5 by a key of the partner's set that may do both: refused as an algorithm, though its signature holds. The twin is signed with PSS.
#[test]
fn rs256_is_refused_even_by_a_key_that_verifies_it() {
    let pss = world(Algorithm::Ps256);
    let mut file: Value =
        serde_json::from_str(pss.key.to_private_json().unwrap().expose()).unwrap();
    file["alg"] = json!("RS256");
    let v15 = PrivateJwk::parse(file.to_string().as_bytes()).unwrap();
    let set = JwkSet::from_keys(vec![
        pss.key.verifying_key().unwrap(),
        v15.verifying_key().unwrap(),
    ]);
    let check = |signing: SigningKey<PartnerMessage>, alg: &str| {
        let world = World {
            signing,
            keys: set.clone(),
            ..world(Algorithm::EdDsa)
        };
        let mut header = world.header();
        header["alg"] = json!(alg);
        world
            .verify(&world.forge(&header, CONTENT), NOW)
            .map(|_| ())
    };
    assert_eq!(check(pss.key.signing_key().unwrap(), "PS256"), Ok(()));
    assert_eq!(
        check(v15.signing_key().unwrap(), "RS256"),
        Err(MessageRefusal::AlgorithmOther)
    );
    let draft = pss.draft();
    let signing = v15.signing_key().unwrap();
    let made = sign(
        &signing,
        &draft,
        CONTENT,
        ContentForm::Attached,
        &Random::system(),
        NOW,
    );
    assert_eq!(made.unwrap_err(), JoseError::AlgorithmDiffers);
}

#[test]
fn extensions_are_refused_before_the_key_is_looked_for() {
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        // Known here, and not there.
        ("crit", json!(["answer_to"])),
        ("crit", json!(["https://alice.example/ours"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        refused(member, value.clone(), MessageRefusal::ExtensionRefused);
        let world = world(Algorithm::EdDsa);
        let mut header = world.header();
        header[member] = value;
        header["kid"] = json!("nobody");
        let outcome = world.verify(&world.forge(&header, CONTENT), NOW);
        assert_eq!(outcome.unwrap_err(), MessageRefusal::ExtensionRefused);
    }
    // A member that is not critical changes nothing.
    let world = world(Algorithm::EdDsa);
    let mut header = world.header();
    header["jwk"] = json!({ "kty": "OKP" });
    header["jku"] = json!("https://mallory.example/jwks");
    assert!(world.verify(&world.forge(&header, CONTENT), NOW).is_ok());
}

#[test]
fn another_type_by_the_same_key_is_no_message() {
    for typ in [
        json!("JWT"),
        json!("at+jwt"),
        json!("receipt+jwt"),
        json!("message+jwe"),
        json!("message+jws "),
        json!(""),
        Value::Null,
    ] {
        refused("typ", typ, MessageRefusal::TypeOther);
    }
    refused("typ", json!(1), MessageRefusal::Malformed);
    let world = world(Algorithm::EdDsa);
    let mut header = world.header();
    header["typ"] = json!("application/message+JWS");
    assert!(world.verify(&world.forge(&header, CONTENT), NOW).is_ok());
}

#[test]
fn the_key_is_the_one_that_is_named() {
    refused("kid", json!("alice-2"), MessageRefusal::KeyUnknown);
    refused("kid", Value::Null, MessageRefusal::KeyUnknown);
    refused("kid", json!("a b"), MessageRefusal::Malformed);
    // While one key follows another, both verify; of the set without the old one, only the new one.
    let (old, mut new) = (world(Algorithm::EdDsa), world(Algorithm::Es256));
    new.key = PrivateJwk::generate(
        KeyAlgorithm::Signature(Algorithm::Es256),
        Some("alice-2".parse().unwrap()),
    )
    .unwrap();
    new.signing = new.key.signing_key().unwrap();
    let (before, after) = (
        old.made(ContentForm::Attached),
        new.made(ContentForm::Attached),
    );
    let keys = |worlds: &[&World]| {
        let keys = worlds
            .iter()
            .map(|world| world.key.verifying_key().unwrap());
        JwkSet::from_keys(keys.collect())
    };
    let check = |keys: JwkSet, text: &str| {
        let receiving = Receiving {
            keys: &keys,
            ..old.receiving()
        };
        verify(text, &receiving, NOW).map(|_| ()).err()
    };
    let both = keys(&[&old, &new]);
    assert_eq!(check(both.clone(), &before.text), None);
    assert_eq!(check(both, &after.text), None);
    assert_eq!(check(keys(&[&new]), &after.text), None);
    assert_eq!(
        check(keys(&[&new]), &before.text),
        Some(MessageRefusal::KeyUnknown)
    );
}

#[test]
fn a_message_is_from_the_partner_and_for_the_reader() {
    refused(
        "iss",
        json!("https://mallory.example"),
        MessageRefusal::IssuerOther,
    );
    refused(
        "aud",
        json!("https://carol.example"),
        MessageRefusal::AudienceOther,
    );
    refused(
        "aud",
        json!("https://bob.example/"),
        MessageRefusal::AudienceOther,
    );
    refused(
        "aud",
        json!(["https://bob.example"]),
        MessageRefusal::StatementMalformed,
    );
    for member in ["iss", "aud", "jti", "iat", "exp", "cty", "content_sha256"] {
        refused(member, Value::Null, MessageRefusal::StatementMalformed);
        refused(member, json!({}), MessageRefusal::StatementMalformed);
    }
    refused("jti", json!(""), MessageRefusal::StatementMalformed);
    refused("jti", json!("a\nb"), MessageRefusal::StatementMalformed);
    refused(
        "cty",
        json!("text/plain\r\nx: y"),
        MessageRefusal::StatementMalformed,
    );
}

#[test]
fn a_message_has_its_time() {
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    refused(
        "exp",
        json!("1900000300"),
        MessageRefusal::StatementMalformed,
    );
    refused("exp", json!(NOW.0), MessageRefusal::LifetimeOther);
    refused(
        "iat",
        json!(NOW.0 + leeway + 1),
        MessageRefusal::IssuedLater,
    );
    let longest = i64::try_from(LIFETIME_MAX.as_secs()).unwrap();
    refused(
        "exp",
        json!(NOW.0 + longest + 1),
        MessageRefusal::LifetimeOther,
    );
    let world = world(Algorithm::EdDsa);
    let text = world.forge(&world.header(), CONTENT);
    let at = |seconds: i64| world.verify(&text, UnixTime(NOW.0 + seconds)).map(|_| ());
    assert_eq!(at(-leeway), Ok(()));
    assert_eq!(at(-leeway - 1), Err(MessageRefusal::IssuedLater));
    assert_eq!(at(300 + leeway - 1), Ok(()));
    assert_eq!(at(300 + leeway), Err(MessageRefusal::Expired));
}

#[test]
fn the_stated_digest_is_the_contents() {
    let other = countersign_crypto::digest::sha256_base64url(b"other");
    refused("content_sha256", json!(other), MessageRefusal::DigestWrong);
    refused(
        "content_sha256",
        json!("AAAA"),
        MessageRefusal::StatementMalformed,
    );
}

#[test]
fn one_message_is_one_value_to_spend_and_two_are_two() {
    let one = |issuer: &str, id: &str| {
        OneTime::new(&issuer.parse().unwrap(), &id.parse().unwrap(), NOW).key
    };
    assert_eq!(one("a", "1"), one("a", "1"));
    assert_ne!(one("a", "1"), one("a", "2"));
    assert_ne!(one("a", "1"), one("b", "1"));
    assert_ne!(one("a1", "1"), one("a", "11"));
    // The same message again, sealed or not, detached or not, is the same value.
    let world = world(Algorithm::EdDsa);
    let made = world.made(ContentForm::Attached);
    let first = verify(&made.text, &world.receiving(), NOW).unwrap();
    let again = verify(&made.text, &world.receiving(), NOW).unwrap();
    assert_eq!(first.one_time(), again.one_time());
    let other = world.made(ContentForm::Attached);
    let other = verify(&other.text, &world.receiving(), NOW).unwrap();
    assert_ne!(first.one_time(), other.one_time());
}

#[test]
fn what_cannot_be_read_again_is_not_made() {
    let world = world(Algorithm::EdDsa);
    let make = |content: &[u8], lifetime: Duration| {
        let draft = Draft {
            lifetime,
            ..world.draft()
        };
        sign(
            &world.signing,
            &draft,
            content,
            ContentForm::Attached,
            &Random::system(),
            NOW,
        )
        .map(|made| made.text)
    };
    let largest = vec![b'a'; CONTENT_BYTES_MAX];
    let text = make(&largest, LIFETIME_MAX).unwrap();
    assert_eq!(world.verify(&text, NOW).unwrap().content(), largest);
    assert!(make(&[&largest[..], b"a"].concat(), LIFETIME).is_err());
    assert!(make(b"", LIFETIME).is_err());
    assert!(make(CONTENT, LIFETIME_MAX + Duration::from_secs(1)).is_err());
    assert!(make(CONTENT, Duration::ZERO).is_err());
    let long = "a".repeat(super::TEXT_BYTES_MAX + 1);
    assert_eq!(
        world.verify(&long, NOW).unwrap_err(),
        MessageRefusal::TooLarge
    );
}

#[test]
fn what_is_kept_of_a_message_is_read_again() {
    let sent = world(Algorithm::EdDsa).made(ContentForm::Attached).sent;
    let text = serde_json::to_string(&sent).unwrap();
    assert_eq!(serde_json::from_str::<Sent>(&text).unwrap(), sent);
    for member in [
        "issuer",
        "audience",
        "id",
        "message_sha256",
        "content_sha256",
    ] {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        assert!(value.as_object_mut().unwrap().remove(member).is_some());
        assert!(serde_json::from_value::<Sent>(value).is_err(), "{member}");
    }
}

#[test]
fn every_reason_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = MessageRefusal::ALL
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    assert_eq!(names.len(), MessageRefusal::ALL.len());
    assert!(names.iter().all(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }));
}

/// An RSA key of the RFC's appendix could sign PKCS#1 too; a key for encryption signs nothing.
#[test]
fn a_key_for_encryption_signs_nothing() {
    for key_type in [EncryptionKeyType::P256, EncryptionKeyType::Rsa] {
        let key = PrivateJwk::generate(KeyAlgorithm::Encryption(key_type), None).unwrap();
        assert!(key.signing_key::<PartnerMessage>().is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_refused(position in any::<proptest::sample::Index>(), replacement in "[A-Za-z0-9_.-]") {
        let world = world(Algorithm::EdDsa);
        let text = world.made(ContentForm::Attached).text;
        let at = position.index(text.len());
        let mut changed = text.clone();
        changed.replace_range(at..=at, &replacement);
        prop_assert_eq!(world.verify(&changed, NOW).is_ok(), changed == text);
    }

    #[test]
    fn any_content_arrives(content in proptest::collection::vec(any::<u8>(), 1..500)) {
        let world = world(Algorithm::EdDsa);
        let made = sign(&world.signing, &world.draft(), &content, ContentForm::Attached, &Random::system(), NOW).unwrap();
        let arrived = world.verify(&made.text, NOW).unwrap();
        prop_assert_eq!(arrived.content(), &content[..]);
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,80}", content in proptest::collection::vec(any::<u8>(), 0..20)) {
        let world = world(Algorithm::EdDsa);
        prop_assert!(world.verify(&text, NOW).is_err());
        prop_assert!(verify_detached(&text, &content, &world.receiving(), NOW).is_err());
    }
}
