//! Sealed messages, and the attacks on encryption.
//!
//! Where a header was changed, its tag no longer holds, so that the twin of a refusal is the same change to a member without meaning: past the header, which is one
//! other answer. Real messages of these kinds are made by other libraries in the suite `messages`.

use super::{CONTENT, NOW, World, world};
use crate::message::{Made, Message, MessageRefusal, Receiving, danger, open, seal};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentEncryption, ContentForm, DecryptionKey, EncryptionKey, EncryptionKeyType,
    KeyAlgorithm, KeyManagement, Labels, PrivateJwk, encrypt_content,
};
use countersign_crypto::random::Random;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every `alg` with every kind of key that knows it.
const COMBINATIONS: [(KeyManagement, EncryptionKeyType); 5] = [
    (KeyManagement::EcdhEs, EncryptionKeyType::P256),
    (KeyManagement::EcdhEs, EncryptionKeyType::X25519),
    (KeyManagement::EcdhEsA256Kw, EncryptionKeyType::P256),
    (KeyManagement::EcdhEsA256Kw, EncryptionKeyType::X25519),
    (KeyManagement::RsaOaep256, EncryptionKeyType::Rsa),
];

struct Receiver {
    public: EncryptionKey,
    private: DecryptionKey,
    management: KeyManagement,
}

fn receiver(management: KeyManagement, key_type: EncryptionKeyType) -> Receiver {
    let key = PrivateJwk::generate(
        KeyAlgorithm::Encryption(key_type),
        Some("bob-1".parse().unwrap()),
    )
    .unwrap();
    Receiver {
        public: EncryptionKey::parse(key.public()).unwrap(),
        private: key.decryption_key().unwrap(),
        management,
    }
}

fn curve() -> Receiver {
    receiver(KeyManagement::EcdhEs, EncryptionKeyType::P256)
}

fn sealed(world: &World, receiver: &Receiver) -> Made {
    let to = (&receiver.public, receiver.management);
    seal(
        &world.signing,
        &world.draft(),
        CONTENT,
        to,
        &Random::system(),
        NOW,
    )
    .unwrap()
}

fn opened(text: &str, world: &World, receiver: &Receiver) -> Result<Message, MessageRefusal> {
    open(text, [&receiver.private], &world.receiving(), NOW).map(danger::spent)
}

/// Encrypts anything for the receiver, under any labels.
fn encrypted(receiver: &Receiver, content: &[u8], typ: Option<&str>, cty: &str) -> String {
    encrypt_content(
        content,
        Labels { typ, cty },
        &receiver.public,
        receiver.management,
        ContentEncryption::A256Gcm,
        &Random::system(),
    )
    .unwrap()
}

fn with_header(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = text.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    change(&mut header);
    format!(
        "{}.{rest}",
        base64url::encode(header.to_string().as_bytes())
    )
}

#[test]
fn a_sealed_message_arrives_by_every_combination() {
    for algorithm in super::ALGORITHMS {
        let world = world(algorithm);
        for (management, key_type) in COMBINATIONS {
            let receiver = receiver(management, key_type);
            let made = sealed(&world, &receiver);
            let message = opened(&made.text, &world, &receiver).unwrap();
            assert_eq!(message.content(), CONTENT, "{algorithm} {management}");
            assert_eq!(message.digests, made.sent.digests);
            assert!(!made.text.contains(&base64url::encode(CONTENT)));
        }
    }
}

/// A zip bomb, a password's iterations, RSA 1.5, OAEP with SHA-1, direct and symmetric keys, critical extensions: refused by the header alone. The receiver holds
/// no key at all here, so that nothing can have been touched.
#[test]
fn what_would_cost_or_weaken_is_refused_before_any_key_is_touched() {
    let world = world(Algorithm::EdDsa);
    let text = sealed(&world, &curve()).text;
    let check = |member: &str, value: Value| {
        let changed = with_header(&text, |header| header[member] = value);
        open(&changed, [], &world.receiving(), NOW)
            .map(|_| ())
            .unwrap_err()
    };
    for (member, value) in [
        ("zip", json!("DEF")),
        ("zip", json!("")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("p2c", json!(1_000_000_000)),
        ("p2s", json!("AAAA")),
    ] {
        assert_eq!(
            check(member, value),
            MessageRefusal::ExtensionRefused,
            "{member}"
        );
    }
    for alg in [
        "RSA1_5",
        "RSA-OAEP",
        "PBES2-HS256+A128KW",
        "dir",
        "A256KW",
        "A256GCMKW",
        "ECDH-ES+A128KW",
        "none",
    ] {
        assert_eq!(
            check("alg", json!(alg)),
            MessageRefusal::AlgorithmOther,
            "{alg}"
        );
    }
    for enc in ["A128GCM", "A128CBC-HS256", "A256CBC-HS512", "none"] {
        assert_eq!(
            check("enc", json!(enc)),
            MessageRefusal::AlgorithmOther,
            "{enc}"
        );
    }
    for (member, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("message+jws")),
        ("cty", json!("JWT")),
        ("cty", json!("message+jwe")),
    ] {
        assert_eq!(check(member, value), MessageRefusal::TypeOther, "{member}");
    }
    // The twin: a member without meaning gets past the header, and then nothing opens.
    assert_eq!(check("note", json!("DEF")), MessageRefusal::DoesNotOpen);
}

/// RFC 7520 §5.9 is compressed and §6 is under RSA-OAEP with SHA-1: both are refused by their headers, which stand here as the RFC prints them.
#[test]
fn rfc7520_messages_of_other_profiles_are_refused() {
    let world = world(Algorithm::EdDsa);
    let check = |header: &str| {
        open(
            &format!("{header}.AAAA.AAAA.AAAA.AAAA"),
            [],
            &world.receiving(),
            NOW,
        )
        .map(|_| ())
        .unwrap_err()
    };
    assert_eq!(
        check(
            "eyJhbGciOiJBMTI4S1ciLCJraWQiOiI4MWIyMDk2NS04MzMyLTQzZDktYTQ2OC04MjE2MGFkOTFhYzgiLCJlbmMiOiJBMTI4R0NNIiwiemlwIjoiREVGIn0"
        ),
        MessageRefusal::ExtensionRefused
    );
    assert_eq!(
        check("eyJhbGciOiJSU0EtT0FFUCIsImN0eSI6IkpXVCIsImVuYyI6IkExMjhHQ00ifQ"),
        MessageRefusal::AlgorithmOther
    );
}

/// Whatever keeps a message from opening, the answer is the same.
#[test]
fn there_is_one_error_for_whatever_does_not_open() {
    let world = world(Algorithm::EdDsa);
    for (management, key_type) in COMBINATIONS {
        let receiver = receiver(management, key_type);
        let text = sealed(&world, &receiver).text;
        assert!(opened(&text, &world, &receiver).is_ok());
        let mut refused = Vec::new();
        // Another key of the same name, another name, no name.
        let other = super::sealed::receiver(management, key_type);
        refused.push(opened(&text, &world, &other));
        for kid in [json!("bob-2"), Value::Null] {
            let renamed = with_header(&text, |header| match kid {
                Value::Null => drop(header.as_object_mut().unwrap().remove("kid")),
                kid => header["kid"] = kid,
            });
            refused.push(opened(&renamed, &world, &receiver));
        }
        // A changed byte of each part behind the header, and a part cut short.
        let parts: Vec<&str> = text.split('.').collect();
        for part in 1..5 {
            let mut bytes = base64url::decode(parts[part]).unwrap();
            if bytes.is_empty() {
                continue;
            }
            bytes[0] ^= 1;
            let flipped = base64url::encode(&bytes);
            let cut = base64url::encode(&bytes[..bytes.len() - 1]);
            for replacement in [flipped.as_str(), cut.as_str()] {
                let mut changed = parts.clone();
                changed[part] = replacement;
                refused.push(opened(&changed.join("."), &world, &receiver));
            }
        }
        for outcome in refused {
            assert_eq!(outcome.unwrap_err(), MessageRefusal::DoesNotOpen);
        }
    }
}

/// An ephemeral key that is no point of the curve (the twist, small orders) would leak the private key bit by bit; it never reaches the agreement.
#[test]
fn an_ephemeral_key_off_its_curve_is_refused() {
    let world = world(Algorithm::EdDsa);
    let p256 = curve();
    let text = sealed(&world, &p256).text;
    assert!(opened(&text, &world, &p256).is_ok());
    let zero = base64url::encode(&[0; 32]);
    for change in [
        json!({ "x": zero }),
        json!({ "y": zero }),
        json!({ "x": zero, "y": zero }),
    ] {
        let changed = with_header(&text, |header| {
            for (name, value) in change.as_object().unwrap() {
                header["epk"][name] = value.clone();
            }
        });
        assert_eq!(
            opened(&changed, &world, &p256).unwrap_err(),
            MessageRefusal::DoesNotOpen
        );
    }
    let x25519 = receiver(KeyManagement::EcdhEs, EncryptionKeyType::X25519);
    let text = sealed(&world, &x25519).text;
    assert!(opened(&text, &world, &x25519).is_ok());
    // A point of small order, and a key of the other curve.
    let small = with_header(&text, |header| header["epk"]["x"] = json!(zero));
    let other = with_header(&text, |header| {
        header["epk"] = json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero });
    });
    for changed in [small, other] {
        assert_eq!(
            opened(&changed, &world, &x25519).unwrap_err(),
            MessageRefusal::DoesNotOpen
        );
    }
    let private = with_header(&text, |header| header["epk"]["d"] = json!(zero));
    assert_eq!(
        opened(&private, &world, &x25519).unwrap_err(),
        MessageRefusal::Malformed
    );
}

/// Whoever knows the receiver's public key can encrypt. Only the signature inside says who wrote.
#[test]
fn an_encrypted_message_without_a_signature_inside_is_refused() {
    let world = world(Algorithm::EdDsa);
    let receiver = curve();
    let signed = world.made(ContentForm::Attached).text;
    let wrap = |content: &[u8]| {
        let text = encrypted(&receiver, content, Some("message+jwe"), "message+jws");
        opened(&text, &world, &receiver).map(|_| ())
    };
    assert_eq!(wrap(signed.as_bytes()), Ok(()));
    assert_eq!(wrap(CONTENT), Err(MessageRefusal::NotSigned));
    assert_eq!(wrap(&[0xff, 0xfe]), Err(MessageRefusal::NotSigned));
    let nested = encrypted(
        &receiver,
        signed.as_bytes(),
        Some("message+jwe"),
        "message+jws",
    );
    assert_eq!(wrap(nested.as_bytes()), Err(MessageRefusal::NotSigned));
    let unsigned = format!("{}.", signed.rsplit_once('.').unwrap().0);
    assert_eq!(
        wrap(unsigned.as_bytes()),
        Err(MessageRefusal::SignatureWrong)
    );
    let detached = world.made(ContentForm::Detached).text;
    assert_eq!(wrap(detached.as_bytes()), Err(MessageRefusal::Malformed));
    // Without its labels it is no sealed message, though it opens and holds one.
    for (typ, cty) in [
        (None, "message+jws"),
        (Some("message+jwe"), "JWT"),
        (Some("JWT"), "message+jws"),
    ] {
        let text = encrypted(&receiver, signed.as_bytes(), typ, cty);
        assert_eq!(
            opened(&text, &world, &receiver).unwrap_err(),
            MessageRefusal::TypeOther
        );
    }
}

/// Bob opens a message and seals what was inside for Carol, as if Alice had written to her. The audience is under Alice's signature.
#[test]
fn a_message_that_its_receiver_forwards_is_not_for_the_next() {
    let world = world(Algorithm::EdDsa);
    let carol = curve();
    let for_bob = world.made(ContentForm::Attached).text;
    let text = encrypted(
        &carol,
        for_bob.as_bytes(),
        Some("message+jwe"),
        "message+jws",
    );
    let her_name = "https://carol.example".parse().unwrap();
    let her = Receiving {
        audience: &her_name,
        ..world.receiving()
    };
    let outcome = open(&text, [&carol.private], &her, NOW).map(danger::spent);
    assert_eq!(outcome.unwrap_err(), MessageRefusal::AudienceOther);
    assert!(opened(&text, &world, &carol).is_ok());
}

/// The signature inside is the partner's, whoever encrypted.
#[test]
fn a_signature_by_somebody_else_inside_is_refused() {
    let (alice, mallory) = (world(Algorithm::EdDsa), world(Algorithm::EdDsa));
    let receiver = curve();
    assert!(opened(&sealed(&alice, &receiver).text, &alice, &receiver).is_ok());
    assert_eq!(
        opened(&sealed(&mallory, &receiver).text, &alice, &receiver).unwrap_err(),
        MessageRefusal::SignatureWrong
    );
}

#[test]
fn a_key_that_does_not_fit_seals_nothing() {
    let world = world(Algorithm::EdDsa);
    let rsa = receiver(KeyManagement::EcdhEs, EncryptionKeyType::Rsa);
    let to = (&rsa.public, rsa.management);
    let made = seal(
        &world.signing,
        &world.draft(),
        CONTENT,
        to,
        &Random::system(),
        NOW,
    );
    assert!(made.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_refused(position in any::<proptest::sample::Index>(), replacement in "[A-Za-z0-9_.-]") {
        let world = world(Algorithm::EdDsa);
        let receiver = curve();
        let text = sealed(&world, &receiver).text;
        let at = position.index(text.len());
        let mut changed = text.clone();
        changed.replace_range(at..=at, &replacement);
        prop_assert_eq!(opened(&changed, &world, &receiver).is_ok(), changed == text);
    }

    #[test]
    fn any_content_arrives_sealed(
        content in proptest::collection::vec(any::<u8>(), 1..500),
        combination in proptest::sample::select(&COMBINATIONS[..4]),
    ) {
        let world = world(Algorithm::EdDsa);
        let (management, key_type) = combination;
        let receiver = receiver(management, key_type);
        let to = (&receiver.public, management);
        let made = seal(&world.signing, &world.draft(), &content, to, &Random::system(), NOW).unwrap();
        let message = opened(&made.text, &world, &receiver).unwrap();
        prop_assert_eq!(message.content(), &content[..]);
        prop_assert_eq!(message.digests, made.sent.digests);
        let other = self::receiver(management, key_type);
        prop_assert!(opened(&made.text, &world, &other).is_err());
    }

    #[test]
    fn opening_never_panics(text in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,20}){0,5}") {
        let world = world(Algorithm::EdDsa);
        prop_assert!(opened(&text, &world, &curve()).is_err());
    }
}
