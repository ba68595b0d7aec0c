use super::{JwkThumbprint, PublicJwk};
use crate::base64url;
use crate::jose::{Algorithm, JoseError, VerifyingKey};
use crate::signing::{AccessToken, SigningKey, generate_pkcs8};
use proptest::prelude::*;
use serde_json::{Value, json};

const RFC7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn rsa() -> Value {
    json!({ "kty": "RSA", "n": RFC7638_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" })
}

fn ec() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

/// RFC 7638 §3.1.
#[test]
fn rfc7638_thumbprint() {
    let thumbprint = PublicJwk::parse(&rsa()).unwrap().thumbprint();
    assert_eq!(
        thumbprint.to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    let text = serde_json::to_string(&thumbprint).unwrap();
    assert_eq!(text, "\"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\"");
    assert_eq!(
        serde_json::from_str::<JwkThumbprint>(&text).unwrap(),
        thumbprint
    );
    assert!(serde_json::from_str::<JwkThumbprint>("\"NzbL\"").is_err());
}

/// The thumbprint's canonical form is the required members, sorted, without white space: the same as our JSON of the key.
#[test]
fn thumbprint_is_the_hash_of_the_required_members() {
    for key in [
        rsa(),
        ec(),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
    ] {
        let jwk = PublicJwk::parse(&key).unwrap();
        let sorted: std::collections::BTreeMap<String, Value> =
            serde_json::from_value(jwk.to_json()).unwrap();
        let canonical = serde_json::to_string(&sorted).unwrap();
        assert_eq!(
            jwk.thumbprint().as_bytes(),
            &crate::digest::sha256(canonical.as_bytes())
        );
        assert_eq!(PublicJwk::parse(&jwk.to_json()).unwrap(), jwk);
    }
}

#[test]
fn private_members_are_refused() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for key in [rsa(), ec()] {
            let refused = PublicJwk::parse(&with(key, name, json!("AQAB")));
            assert_eq!(
                refused,
                Err(JoseError::Key("it holds a private member")),
                "{name}"
            );
        }
    }
    assert!(PublicJwk::parse(&with(rsa(), "unknown", json!("AQAB"))).is_ok());
}

/// JWT-12: RSA under 2048 bits, and curves under 224 bits, which are no curves here. The twins are of sufficient size.
#[test]
fn r35_jwt_12_a67_weak_keys_are_refused() {
    let sized = |bytes: usize, first: u8| {
        let mut n = vec![0xA5; bytes];
        n[0] = first;
        PublicJwk::parse(&json!({ "kty": "RSA", "e": "AQAB", "n": base64url::encode(&n) }))
    };
    let weak = Err(JoseError::Key(
        "its RSA modulus is not of 2048 to 4096 bits",
    ));
    assert_eq!(sized(64, 0x80), weak);
    assert_eq!(sized(128, 0x80), weak);
    assert_eq!(sized(255, 0xff), weak);
    assert_eq!(sized(256, 0x7f), weak, "2047 bits");
    assert_eq!(sized(513, 0x01), weak);
    assert!(sized(256, 0x80).is_ok());
    assert!(sized(512, 0x80).is_ok());
    for curve in [
        "P-192",
        "secp192r1",
        "P-224",
        "P-384",
        "P-521",
        "secp256k1",
        "Ed448",
        "X25519",
        "p-256",
        "",
    ] {
        assert!(
            matches!(
                PublicJwk::parse(&with(ec(), "crv", json!(curve))),
                Err(JoseError::Key(_))
            ),
            "{curve}"
        );
    }
    assert!(PublicJwk::parse(&ec()).is_ok());
}

#[test]
fn forms_that_are_not_canonical_are_refused() {
    let check = |key: Value, name: &str, value: Value| {
        let bad = with(key, name, value);
        assert!(
            matches!(PublicJwk::parse(&bad), Err(JoseError::Key(_))),
            "{bad}"
        );
    };
    check(
        ec(),
        "x",
        json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="),
    );
    check(
        ec(),
        "x",
        json!("AH_NzidwwvRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF"),
    );
    check(ec(), "x", json!("f83O"));
    check(ec(), "x", json!(null));
    check(ec(), "kty", json!("OKP"));
    check(ec(), "use", json!("enc"));
    check(ec(), "use", json!(1));
    check(ec(), "key_ops", json!(["sign"]));
    check(ec(), "key_ops", json!("verify"));
    check(rsa(), "e", json!("AAEAAQ"));
    check(rsa(), "e", json!("AQ"));
    check(rsa(), "e", json!("Ag"));
    check(rsa(), "e", json!("AQAAAAE"));
    check(rsa(), "e", json!(""));
    check(rsa(), "n", json!(format!("AA{RFC7638_N}")));
    assert!(
        PublicJwk::parse(&with(
            with(ec(), "use", json!("sig")),
            "key_ops",
            json!(["verify"])
        ))
        .is_ok()
    );
    assert!(PublicJwk::parse(&json!([])).is_err());
}

#[test]
fn a_point_off_the_curve_is_no_key() {
    let jwk = PublicJwk::parse(&with(
        ec(),
        "y",
        json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI6a0"),
    ));
    let refused = VerifyingKey::new(&jwk.unwrap(), Algorithm::Es256, None).unwrap_err();
    assert_eq!(refused, JoseError::Key("its numbers are not a key"));
    assert!(VerifyingKey::new(&PublicJwk::parse(&ec()).unwrap(), Algorithm::Es256, None).is_ok());
}

#[test]
fn every_type_fits_its_algorithms_alone() {
    let fits = |key: Value| {
        Algorithm::ALL
            .into_iter()
            .filter(|algorithm| PublicJwk::parse(&key).unwrap().fits(*algorithm))
            .collect::<Vec<_>>()
    };
    assert_eq!(fits(rsa()), [Algorithm::Ps256, Algorithm::Rs256]);
    assert_eq!(fits(ec()), [Algorithm::Es256]);
}

#[test]
fn generated_keys_are_read_back() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::<AccessToken>::from_pkcs8(
            algorithm,
            "k".parse().unwrap(),
            &generate_pkcs8(algorithm).unwrap(),
        )
        .unwrap();
        let published = key.public_jwk().to_published_json(key.kid(), algorithm);
        assert_eq!(PublicJwk::parse(&published).unwrap(), *key.public_jwk());
        assert_eq!(published["alg"], algorithm.name());
        assert_eq!(published["kid"], "k");
        assert_eq!(published["use"], "sig");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(kty in "RSA|EC|OKP|oct|", crv in "P-256|Ed25519|", x in "[A-Za-z0-9_-]{0,50}", n in "[A-Za-z0-9_-]{0,400}") {
        if let Ok(jwk) = PublicJwk::parse(&json!({ "kty": kty, "crv": crv, "x": x, "y": x, "n": n, "e": "AQAB" })) {
            for algorithm in Algorithm::ALL {
                let _ = VerifyingKey::new(&jwk, algorithm, None);
            }
        }
    }

    #[test]
    fn reading_der_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = PublicJwk::from_rsa_der(&bytes);
        let _ = PublicJwk::from_p256_point(&bytes);
    }
}
