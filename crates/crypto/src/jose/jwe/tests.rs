//! Encrypted messages against the RFCs' vectors, against another implementation, and against the attacks on them.

mod vectors;

use super::agreement::{concat_kdf, unwrap, wrap};
use super::{
    ContentEncryption, DecryptionKey, EncryptionKeySet, EncryptionKeyType, Jwe, JweRules,
    KeyManagement, encrypt_jwt, is_jwe,
};
use crate::base64url;
use crate::jose::{JoseError, JwkSet, Jws};
use crate::random::Random;
use countersign_base::{Secret, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: JweRules<'_> = JweRules {
    key_management: &KeyManagement::ALL,
    content: &ContentEncryption::ALL,
};

const TYPES: [EncryptionKeyType; 3] = [
    EncryptionKeyType::P256,
    EncryptionKeyType::Rsa,
    EncryptionKeyType::X25519,
];

fn key(key_type: EncryptionKeyType) -> DecryptionKey {
    DecryptionKey::from_private(
        key_type,
        "k".parse().unwrap(),
        &key_type.generate().unwrap(),
    )
    .unwrap()
}

fn seal(key: &DecryptionKey, management: KeyManagement, content: ContentEncryption) -> String {
    let jwt = Secret::new(vectors::CONTENT.to_owned());
    encrypt_jwt(&jwt, key.public(), management, content, &Random::system()).unwrap()
}

fn open(text: &str, key: &DecryptionKey) -> Result<String, JoseError> {
    let opened = Jwe::parse(text, &ALL)?.decrypt([key])?;
    Ok(String::from_utf8(opened.expose().clone()).unwrap())
}

/// `text` with its header changed. The tag then holds no more, so only what is refused before that is told apart.
fn with_header(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = text.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    change(&mut header);
    format!(
        "{}.{rest}",
        base64url::encode(header.to_string().as_bytes())
    )
}

/// RFC 7518 appendix C: the shared secret of both keys there, and the derived key.
#[test]
fn rfc7518_appendix_c_concat_kdf() {
    let shared = [
        158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110,
        163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
    ];
    let derived = concat_kdf(&shared, "A128GCM", b"Alice", b"Bob", 16).unwrap();
    assert_eq!(
        base64url::encode(derived.expose()),
        "VqqN6vgjbSBcIijNcacQGg"
    );
}

/// RFC 3394 §4.6: 256 bits of key under a key of 256 bits.
#[test]
fn rfc3394_4_6_key_wrap() {
    let kek = Secret::new((0..32).collect::<Vec<u8>>());
    let data: Vec<u8> = [
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d,
        0x0e, 0x0f,
    ]
    .into();
    let expected = [
        0x28, 0xc9, 0xf4, 0x04, 0xc4, 0xb8, 0x10, 0xf4, 0xcb, 0xcc, 0xb3, 0x5c, 0xfb, 0x87, 0xf8,
        0x26, 0x3f, 0x57, 0x86, 0xe2, 0xd8, 0x0e, 0xd3, 0x26, 0xcb, 0xc7, 0xf0, 0xe7, 0x1a, 0x99,
        0xf4, 0x3b, 0xfb, 0x98, 0x8b, 0x9b, 0x7a, 0x02, 0xdd, 0x21,
    ];
    let wrapped = wrap(&kek, &Secret::new(data.clone())).unwrap();
    assert_eq!(wrapped, expected);
    assert_eq!(unwrap(&kek, &wrapped).unwrap().expose(), &data);
    let mut broken = wrapped;
    broken[3] ^= 1;
    assert!(unwrap(&kek, &broken).is_err());
    assert!(unwrap(&kek, &[0; 7]).is_err());
}

/// RFC 7516 appendix A.1.4 to A.1.6: the content of the first example, by its content encryption key.
#[test]
fn rfc7516_a1_content_in_a256gcm() {
    let cek = [
        177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110,
        91, 112, 46, 34, 105, 47, 130, 203, 46, 122, 234, 64, 252,
    ];
    let part = |text: &str| base64url::decode(text).unwrap();
    let opened = ContentEncryption::A256Gcm
        .open(
            &Secret::new(cek.to_vec()),
            &part("48V1_ALb6US04U3b"),
            b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
            &part(
                "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
            ),
            &part("XFBoMYUZodetZdvTiFvSkQ"),
        )
        .unwrap();
    assert_eq!(
        opened.expose(),
        b"The true sign of intelligence is not knowledge but imagination."
    );
}

/// RFC 7516 appendix A.2.4 to A.2.6: the content of the second example, by its content encryption key.
#[test]
fn rfc7516_a2_content_in_a128cbc_hs256() {
    let cek = [
        4, 211, 31, 197, 84, 157, 252, 254, 11, 100, 157, 250, 63, 170, 106, 206, 107, 124, 212,
        45, 111, 107, 9, 219, 200, 177, 0, 240, 143, 156, 44, 207,
    ];
    let part = |text: &str| base64url::decode(text).unwrap();
    let open = |tag: &str| {
        ContentEncryption::A128CbcHs256.open(
            &Secret::new(cek.to_vec()),
            &part("AxY8DCtDaGlsbGljb3RoZQ"),
            b"eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0",
            &part("KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY"),
            &part(tag),
        )
    };
    assert_eq!(
        open("9hH0vgRfYgPnAHOd8stkvw").unwrap().expose(),
        b"Live long and prosper."
    );
    assert!(open("9hH0vgRfYgPnAHOd8stkvg").is_err());
}

#[test]
fn messages_of_another_implementation_open() {
    for (key_type, private, alg, enc, message) in vectors::MESSAGES {
        let private = Secret::new(base64url::decode(private).unwrap());
        let key = DecryptionKey::from_private(*key_type, "k".parse().unwrap(), &private).unwrap();
        let jwe = Jwe::parse(message, &ALL).unwrap();
        assert_eq!(
            (jwe.key_management().name(), jwe.content_encryption().name()),
            (*alg, *enc)
        );
        assert!(jwe.may_hold_jwt());
        assert_eq!(
            open(message, &key).as_deref(),
            Ok(vectors::CONTENT),
            "{alg} {enc}"
        );
    }
}

#[test]
fn every_algorithm_opens_what_it_sealed() {
    for key_type in TYPES {
        let (ours, other) = (key(key_type), key(key_type));
        for management in KeyManagement::ALL {
            for content in ContentEncryption::ALL {
                if !ours.public().fits(management) {
                    let refused = encrypt_jwt(
                        &Secret::new(String::new()),
                        ours.public(),
                        management,
                        content,
                        &Random::system(),
                    );
                    assert_eq!(refused, Err(JoseError::AlgorithmDiffers));
                    continue;
                }
                let sealed = seal(&ours, management, content);
                assert_eq!(open(&sealed, &ours).as_deref(), Ok(vectors::CONTENT));
                assert_eq!(open(&sealed, &other), Err(JoseError::Decryption));
                assert_ne!(
                    sealed,
                    seal(&ours, management, content),
                    "never twice the same"
                );
            }
        }
    }
}

#[test]
fn any_changed_byte_and_any_wrong_length_is_one_refusal() {
    for key_type in TYPES {
        let key = key(key_type);
        let management = KeyManagement::ALL
            .into_iter()
            .rfind(|management| key.public().fits(*management))
            .unwrap();
        for content in ContentEncryption::ALL {
            let sealed = seal(&key, management, content);
            for part in 1..5 {
                let changed: Vec<String> = sealed
                    .split('.')
                    .enumerate()
                    .map(|(at, text)| {
                        let mut bytes = base64url::decode(text).unwrap();
                        if at == part {
                            bytes[0] ^= 1;
                        }
                        base64url::encode(&bytes)
                    })
                    .collect();
                assert_eq!(open(&changed.join("."), &key), Err(JoseError::Decryption));
                let cut: Vec<&str> = sealed
                    .split('.')
                    .enumerate()
                    .map(|(at, text)| if at == part { "" } else { text })
                    .collect();
                assert_eq!(open(&cut.join("."), &key), Err(JoseError::Decryption));
            }
        }
    }
}

/// JWT-9, A69: nothing is derived from a password, whatever its count says. The twin is the message without the change.
#[test]
fn jwt_9_a69_passwords_and_direct_keys_are_refused_before_any_work() {
    let key = key(EncryptionKeyType::P256);
    let sealed = seal(
        &key,
        KeyManagement::EcdhEsA256Kw,
        ContentEncryption::A256Gcm,
    );
    assert!(open(&sealed, &key).is_ok(), "the twin");
    for alg in [
        "PBES2-HS256+A128KW",
        "PBES2-HS512+A256KW",
        "dir",
        "RSA1_5",
        "RSA-OAEP",
        "A256KW",
        "none",
        "ecdh-es",
    ] {
        let forged = with_header(&sealed, |header| header["alg"] = alg.into());
        assert_eq!(
            open(&forged, &key),
            Err(JoseError::Encryption("alg")),
            "{alg}"
        );
    }
    let counted = with_header(&sealed, |header| {
        header["alg"] = "PBES2-HS256+A128KW".into();
        header["p2c"] = 1_000_000_000.into();
        header["p2s"] = "AAAAAAAAAAA".into();
    });
    assert_eq!(open(&counted, &key), Err(JoseError::Extension("p2c")));
}

/// JWT-10, A70: what says that it is compressed is not read.
#[test]
fn jwt_10_a70_compressed_messages_are_not_expanded() {
    let key = key(EncryptionKeyType::P256);
    let sealed = seal(&key, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    assert!(open(&sealed, &key).is_ok(), "the twin");
    for zip in [json!("DEF"), json!("GZ"), Value::Null] {
        let forged = with_header(&sealed, |header| header["zip"] = zip);
        assert_eq!(open(&forged, &key), Err(JoseError::Extension("zip")));
    }
    let long = format!("{sealed}{}", "A".repeat(limits::TOKEN_BYTES_MAX));
    assert_eq!(open(&long, &key), Err(JoseError::TooLong));
}

/// JWT-11, A71: neither kind of token is read as the other, and no other serialization is read at all.
#[test]
fn jwt_11_a71_signed_and_encrypted_tokens_are_not_confused() {
    let key = key(EncryptionKeyType::P256);
    let sealed = seal(&key, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    assert!(is_jwe(&sealed) && !is_jwe(vectors::CONTENT));
    assert_eq!(Jws::parse(&sealed).err(), Some(JoseError::Parts));
    assert_eq!(open(vectors::CONTENT, &key), Err(JoseError::Parts));
    for text in [
        format!("{sealed}."),
        format!("{sealed}.e30"),
        format!("{sealed} "),
        json!({"protected": sealed, "recipients": []}).to_string(),
        String::new(),
    ] {
        assert!(open(&text, &key).is_err(), "{text}");
    }
    let polyglot = with_header(&sealed, |header| header["crit"] = json!(["b64"]));
    assert_eq!(open(&polyglot, &key), Err(JoseError::Extension("crit")));
}

#[test]
fn rules_are_a_list_of_what_is_allowed() {
    let key = key(EncryptionKeyType::P256);
    let sealed = seal(&key, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    let only = |key_management, content| JweRules {
        key_management,
        content,
    };
    let parse = |rules: JweRules<'_>| Jwe::parse(&sealed, &rules).map(|_| ());
    assert_eq!(
        parse(only(
            &[KeyManagement::EcdhEs],
            &[ContentEncryption::A128Gcm]
        )),
        Ok(())
    );
    assert_eq!(
        parse(only(
            &[KeyManagement::EcdhEsA256Kw],
            &ContentEncryption::ALL
        )),
        Err(JoseError::Encryption("alg"))
    );
    assert_eq!(
        parse(only(&KeyManagement::ALL, &[ContentEncryption::A256Gcm])),
        Err(JoseError::Encryption("enc"))
    );
}

/// A header is taken apart before any key is touched.
#[test]
fn a_header_is_bounded_however_long_the_message_may_be() {
    let key = key(EncryptionKeyType::P256);
    let text = seal(&key, KeyManagement::EcdhEs, ContentEncryption::A256Gcm);
    let padded = |bytes: usize| {
        let text = with_header(&text, |header| header["padding"] = "a".repeat(bytes).into());
        Jwe::parse_within(&text, &ALL, 1 << 20).map(|_| ()).err()
    };
    assert_eq!(padded(24_000), None);
    assert_eq!(padded(24_700), Some(JoseError::TooLong));
}

#[test]
fn ephemeral_keys_are_points_of_the_right_curve() {
    let (p256, x25519) = (key(EncryptionKeyType::P256), key(EncryptionKeyType::X25519));
    let sealed = seal(&p256, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    let epk = |epk: Value| open(&with_header(&sealed, |header| header["epk"] = epk), &p256);
    let zero = base64url::encode(&[0; 32]);
    // Off the curve (an invalid-curve attack), of the other curve, of low order, with a private half, and no key at all.
    assert_eq!(
        epk(json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero})),
        Err(JoseError::Decryption)
    );
    let mut foreign = x25519.public().to_published_json();
    assert_eq!(epk(foreign.clone()), Err(JoseError::Decryption));
    foreign["d"] = zero.clone().into();
    assert_eq!(epk(foreign), Err(JoseError::Header("epk")));
    assert_eq!(epk(json!("x")), Err(JoseError::Header("epk")));
    let sealed = seal(&x25519, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    let low = with_header(&sealed, |header| {
        header["epk"] = json!({"kty": "OKP", "crv": "X25519", "x": zero});
    });
    assert_eq!(open(&low, &x25519), Err(JoseError::Decryption));
}

#[test]
fn a_named_key_is_the_only_one_tried() {
    let ours = key(EncryptionKeyType::P256);
    let sealed = seal(&ours, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    let private = EncryptionKeyType::P256.generate().unwrap();
    let named = |kid: &str| {
        DecryptionKey::from_private(EncryptionKeyType::P256, kid.parse().unwrap(), &private)
            .unwrap()
    };
    let other = named("other");
    let opened = Jwe::parse(&sealed, &ALL).unwrap().decrypt([&other, &ours]);
    assert!(opened.is_ok());
    let message = seal(&other, KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
    assert!(open(&message, &other).is_ok());
    assert_eq!(open(&message, &named("third")), Err(JoseError::Decryption));
}

#[test]
fn a_set_gives_signature_keys_and_encryption_keys_apart() {
    let enc = key(EncryptionKeyType::X25519).public().to_published_json();
    let sig = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "s", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let text = json!({"keys": [enc, sig]}).to_string();
    let (signatures, skipped) = JwkSet::parse(text.as_bytes()).unwrap();
    assert_eq!((signatures.iter().count(), skipped.len()), (1, 0));
    let encryption = EncryptionKeySet::parse(text.as_bytes()).unwrap();
    assert!(encryption.find(KeyManagement::EcdhEs).is_some());
    assert!(encryption.find(KeyManagement::RsaOaep256).is_none());
    let mut private = enc;
    private["d"] = "AA".into();
    let text = json!({"keys": [private]}).to_string();
    assert!(EncryptionKeySet::parse(text.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "[A-Za-z0-9_.-]{0,300}") {
        if let Ok(jwe) = Jwe::parse(&text, &ALL) {
            prop_assert!(jwe.decrypt([]).is_err());
        }
    }
}
