//! Private keys of the RFCs, and keys that are not what they say.

use super::PrivateJwk;
use crate::jose::{
    Algorithm, ContentEncryption, ContentForm, EncryptionKey, EncryptionKeyType, JoseError, Jwe,
    JweRules, KeyAlgorithm, KeyManagement, Labels, SignedContent, encrypt_content, sign_content,
};
use crate::random::Random;
use crate::signing::PartnerMessage;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ALL: JweRules<'_> = JweRules {
    key_management: &KeyManagement::ALL,
    content: &ContentEncryption::ALL,
};

const SIGNATURES: [KeyAlgorithm; 4] = [
    KeyAlgorithm::Signature(Algorithm::EdDsa),
    KeyAlgorithm::Signature(Algorithm::Es256),
    KeyAlgorithm::Signature(Algorithm::Ps256),
    KeyAlgorithm::Signature(Algorithm::Rs256),
];

const ENCRYPTIONS: [KeyAlgorithm; 3] = [
    KeyAlgorithm::Encryption(EncryptionKeyType::P256),
    KeyAlgorithm::Encryption(EncryptionKeyType::Rsa),
    KeyAlgorithm::Encryption(EncryptionKeyType::X25519),
];

fn parse(value: &Value) -> Result<PrivateJwk, JoseError> {
    PrivateJwk::parse(value.to_string().as_bytes())
}

fn private(key: &PrivateJwk) -> Value {
    serde_json::from_str(key.to_private_json().unwrap().expose()).unwrap()
}

/// RFC 8037 appendix A.1, with its thumbprint of A.3 as its name.
fn rfc8037() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

/// RFC 7515 appendix A.3.
fn rfc7515_a3() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "a3",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    })
}

/// RFC 7520 §6: the key that signs there.
pub(in crate::jose) fn rfc7520_6() -> Value {
    json!({
        "kty": "RSA", "kid": "hobbiton.example", "use": "sig",
        "n": "kNrPIBDXMU6fcyv5i-QHQAQ-K8gsC3HJb7FYhYaw8hXbNJa-t8q0lDKwLZgQXYV-ffWxXJv5GGrlZE4GU52lfMEegTDzYTrRQ3tepgKFjMGg6Iy6fkl1ZNsx2gEonsnlShfzA9GJwRTmtKPbk1s-hwx1IU5AT-AIelNqBgcF2vE5W25_SGGBoaROVdUYxqETDggM1z5cKV4ZjDZ8-lh4oVB07bkac6LQdHpJUUySH_Er20DXx30Kyi97PciXKTS-QKXnmm8ivyRCmux22ZoPUind2BKC5OiG4MwALhaL2Z2k8CsRdfy-7dg7z41Rp6D0ZeEvtaUp4bX4aKraL4rTfw",
        "e": "AQAB",
        "d": "ZLe_TIxpE9-W_n2VBa-HWvuYPtjvxwVXClJFOpJsdea8g9RMx34qEOEtnoYc2un3CZ3LtJi-mju5RAT8YSc76YJds3ZVw0UiO8mMBeG6-iOnvgobobNx7K57-xjTJZU72EjOr9kB7z6ZKwDDq7HFyCDhUEcYcHFVc7iL_6TibVhAhOFONWlqlJgEgwVYd0rybNGKifdnpEbwyHoMwY6HM1qvnEFgP7iZ0YzHUT535x6jj4VKcdA7ZduFkhUauysySEW7mxZM6fj1vdjJIy9LD1fIz30Xv4ckoqhKF5GONU6tNmMmNgAD6gIViyEle1PrIxl1tBhCI14bRW-zrpHgAQ",
        "p": "yKWYoNIAqwMRQlgIBOdT1NIcbDNUUs2Rh-pBaxD_mIkweMt4Mg-0-B2iSYvMrs8horhonV7vxCQagcBAATGW-hAafUehWjxWSH-3KccRM8toL4e0q7M-idRDOBXSoe7Z2-CV2x_ZCY3RP8qp642R13WgXqGDIM4MbUkZSjcY9-c",
        "q": "uND4o15V30KDzf8vFJw589p1vlQVQ3NEilrinRUPHkkxaAzDzccGgrWMWpGxGFFnNL3w5CqPLeU76-5IVYQq0HwYVl0hVXQHr7sgaGu-483Ad3ENcL23FrOnF45m7_2ooAstJDe49MeLTTQKrSIBl_SKvqpYvfSPTczPcZkh9Kk",
        "dp": "jmTnEoq2qqa8ouaymjhJSCnsveUXnMQC2gAneQJRQkFqQu-zV2PKPKNbPvKVyiF5b2-L3tM3OW2d2iNDyRUWXlT7V5l0KwPTABSTOnTqAmYChGi8kXXdlhcrtSvXldBakC6saxwI_TzGGY2MVXzc2ZnCvCXHV4qjSxOrfP3pHFU",
        "dq": "R9FUvU88OVzEkTkXl3-5-WusE4DjHmndeZIlu3rifBdfLpq_P-iWPBbGaq9wzQ1c-J7SzCdJqkEJDv5yd2C7rnZ6kpzwBh_nmL8zscAk1qsunnt9CJGAYz7-sGWy1JGShFazfP52ThB4rlCJ0YuEaQMrIzpY77_oLAhpmDA0hLk",
        "qi": "S8tC7ZknW6hPITkjcwttQOPLVmRfwirRlFAViuDb8NW9CrV_7F2OqUZCqmzHTYAumwGFHI1WVRep7anleWaJjxC_1b3fq_al4qH3Pe-EKiHg6IMazuRtZLUROcThrExDbF5dYbsciDnfRUWLErZ4N1Be0bnxYuPqxwKd9QZwMo0",
    })
}

#[test]
fn keys_of_the_rfcs_are_read_and_written_as_they_stand() {
    for (key, name, algorithm) in [
        (
            rfc8037(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            Algorithm::EdDsa,
        ),
        (rfc7515_a3(), "a3", Algorithm::Es256),
        (rfc7520_6(), "hobbiton.example", Algorithm::Ps256),
    ] {
        let read = parse(&key).unwrap();
        assert_eq!(read.kid().as_str(), name);
        assert_eq!(read.algorithm(), KeyAlgorithm::Signature(algorithm));
        let written = private(&read);
        for (member, value) in key.as_object().unwrap() {
            assert_eq!(written.get(member), Some(value), "{member}");
        }
        assert!(read.public().get("d").is_none());
        let signing = read.signing_key::<PartnerMessage>().unwrap();
        let signed = sign_content(&signing, Map::new(), b"a", ContentForm::Attached).unwrap();
        let verified = SignedContent::parse(&signed, &[], 4096)
            .unwrap()
            .verify(&read.verifying_key().unwrap());
        assert_eq!(verified.unwrap().content(), b"a");
    }
}

#[test]
fn what_is_generated_is_read_again() {
    for algorithm in SIGNATURES.into_iter().chain(ENCRYPTIONS) {
        let key = PrivateJwk::generate(algorithm, None).unwrap();
        let written = private(&key);
        let read = parse(&written).unwrap();
        assert_eq!(read.algorithm(), algorithm, "{algorithm:?}");
        assert_eq!(read.kid(), key.kid());
        assert_eq!(read.public(), key.public());
        assert_eq!(private(&read), written);
        let named = PrivateJwk::generate(algorithm, Some("mine".parse().unwrap())).unwrap();
        assert_eq!(named.public()["kid"], "mine");
    }
}

#[test]
fn a_key_for_encryption_opens_and_does_not_sign() {
    for algorithm in ENCRYPTIONS {
        let key = PrivateJwk::generate(algorithm, None).unwrap();
        assert!(key.signing_key::<PartnerMessage>().is_err());
        assert!(key.verifying_key().is_err());
        let public = EncryptionKey::parse(key.public()).unwrap();
        let management = KeyManagement::ALL
            .into_iter()
            .find(|management| public.fits(*management))
            .unwrap();
        let labels = Labels {
            typ: Some("message+jwe"),
            cty: "text/plain",
        };
        let sealed = encrypt_content(
            b"a",
            labels,
            &public,
            management,
            ContentEncryption::A256Gcm,
            &Random::system(),
        )
        .unwrap();
        let jwe = Jwe::parse(&sealed, &ALL).unwrap();
        assert_eq!(
            (jwe.typ(), jwe.cty()),
            (Some("message+jwe"), Some("text/plain"))
        );
        let opened = jwe.decrypt([&key.decryption_key().unwrap()]).unwrap();
        assert_eq!(opened.expose(), b"a");
    }
    for algorithm in SIGNATURES {
        let key = PrivateJwk::generate(algorithm, None).unwrap();
        assert!(key.decryption_key().is_err());
        assert!(key.signing_key::<PartnerMessage>().is_ok());
    }
}

/// A key whose file names one `alg` opens messages of no other, though its type would do.
#[test]
fn a_key_for_one_alg_opens_no_other() {
    let mut file = private(
        &PrivateJwk::generate(KeyAlgorithm::Encryption(EncryptionKeyType::P256), None).unwrap(),
    );
    let sealed = |management| {
        let mut public = file.clone();
        public.as_object_mut().unwrap().remove("d");
        let public = EncryptionKey::parse(&public).unwrap();
        let labels = Labels {
            typ: None,
            cty: "JWT",
        };
        let content = ContentEncryption::A256Gcm;
        encrypt_content(
            b"a",
            labels,
            &public,
            management,
            content,
            &Random::system(),
        )
        .unwrap()
    };
    let (direct, wrapped) = (
        sealed(KeyManagement::EcdhEs),
        sealed(KeyManagement::EcdhEsA256Kw),
    );
    file["alg"] = json!("ECDH-ES");
    let key = parse(&file).unwrap().decryption_key().unwrap();
    let open = |text: &str| Jwe::parse(text, &ALL).unwrap().decrypt([&key]).map(|_| ());
    assert_eq!(open(&direct), Ok(()));
    assert_eq!(open(&wrapped), Err(JoseError::Decryption));
    assert_eq!(private(&parse(&file).unwrap()), file);
}

#[test]
fn keys_that_are_not_what_they_say_are_refused() {
    let check = |key: Value, change: fn(&mut Map<String, Value>)| {
        assert!(parse(&key).is_ok());
        let mut changed = key.clone();
        change(changed.as_object_mut().unwrap());
        assert_ne!(key, changed);
        assert!(parse(&changed).is_err(), "{changed}");
    };
    for key in [rfc8037(), rfc7515_a3(), rfc7520_6()] {
        check(key.clone(), |key| {
            key.remove("use");
        });
        check(key.clone(), |key| {
            key.insert("use".to_owned(), json!("both"));
        });
        check(key.clone(), |key| {
            key.remove("d");
        });
        check(key.clone(), |key| {
            key.insert("alg".to_owned(), json!("HS256"));
        });
        check(key.clone(), |key| {
            key.insert("kid".to_owned(), json!("a b"));
        });
        check(key, |key| {
            key.insert("kty".to_owned(), json!("oct"));
        });
    }
    check(rfc8037(), |key| {
        key.insert(
            "x".to_owned(),
            json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        );
    });
    check(rfc8037(), |key| {
        key.insert("alg".to_owned(), json!("ES256"));
    });
    check(rfc7515_a3(), |key| {
        key.insert("crv".to_owned(), json!("P-384"));
    });
    check(rfc7515_a3(), |key| {
        let x = key["x"].clone();
        key.insert("y".to_owned(), x);
    });
    check(rfc7520_6(), |key| {
        let q = key["q"].clone();
        key.insert("p".to_owned(), q);
    });
    check(rfc7520_6(), |key| {
        key.insert("e".to_owned(), json!("Aw"));
    });
    check(rfc7520_6(), |key| {
        key.insert("oth".to_owned(), json!([]));
    });
}

#[test]
fn a_set_is_read_whole_or_not_at_all() {
    let set = |keys: Value| PrivateJwk::parse_set(json!({ "keys": keys }).to_string().as_bytes());
    assert_eq!(set(json!([rfc8037(), rfc7515_a3()])).unwrap().len(), 2);
    assert!(set(json!([rfc8037(), {}])).is_err());
    assert!(set(json!([rfc8037(), "a"])).is_err());
    assert!(set(json!("a")).is_err());
    assert_eq!(
        PrivateJwk::parse_set(rfc8037().to_string().as_bytes())
            .unwrap()
            .len(),
        1
    );
}

proptest! {
    #[test]
    fn reading_never_panics(d in "[A-Za-z0-9_-]{0,60}", n in "[A-Za-z0-9_-]{0,60}", kty in "(RSA|EC|OKP|oct)", usage in "(sig|enc)") {
        let key = json!({ "kty": kty, "crv": "P-256", "use": usage, "d": d, "n": n, "e": "AQAB", "p": d, "q": d, "dp": d, "dq": d, "qi": d, "x": d, "y": n });
        prop_assert!(parse(&key).is_err());
    }
}
