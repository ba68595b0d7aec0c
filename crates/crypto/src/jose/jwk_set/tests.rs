use super::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JwkSet};
use crate::jose::{Algorithm, JoseError};
use crate::signing::{AccessToken, SigningKey, generate_pkcs8};
use proptest::prelude::*;
use serde_json::{Value, json};

fn published(algorithm: Algorithm, kid: &str) -> Value {
    let key = SigningKey::<AccessToken>::from_pkcs8(
        algorithm,
        kid.parse().unwrap(),
        &generate_pkcs8(algorithm).unwrap(),
    )
    .unwrap();
    key.public_jwk().to_published_json(key.kid(), algorithm)
}

fn parse(keys: &[Value]) -> (JwkSet, Vec<(usize, JoseError)>) {
    let (set, skipped) = JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    (
        set,
        skipped
            .into_iter()
            .map(|key| (key.position, key.reason))
            .collect(),
    )
}

#[test]
fn keys_are_found_by_name_and_algorithm() {
    let (set, skipped) = parse(&[
        published(Algorithm::Es256, "a"),
        published(Algorithm::EdDsa, "b"),
    ]);
    assert!(skipped.is_empty());
    let find = |kid: &str, algorithm| set.find(&kid.parse().unwrap(), algorithm).is_some();
    assert!(find("a", Algorithm::Es256));
    assert!(!find("a", Algorithm::EdDsa));
    assert!(!find("c", Algorithm::Es256));
    assert_eq!(set.candidates(None, Algorithm::Es256).count(), 1);
    assert_eq!(
        set.candidates(Some(&"b".parse().unwrap()), Algorithm::Es256)
            .count(),
        0
    );
}

#[test]
fn g52_a_bad_key_does_not_take_the_others_along() {
    let good = published(Algorithm::Es256, "a");
    let mut private = published(Algorithm::Es256, "c");
    private["d"] = json!("AAAA");
    let mut unknown = published(Algorithm::Es256, "d");
    unknown["alg"] = json!("ES512");
    let mut unfitting = published(Algorithm::Es256, "e");
    unfitting["alg"] = json!("RS256");
    let same_name = published(Algorithm::Es256, "a");
    let (set, skipped) = parse(&[
        json!({ "kty": "oct" }),
        good,
        private,
        unknown,
        unfitting,
        same_name,
        json!(1),
    ]);
    assert_eq!(set.iter().count(), 1);
    let positions: Vec<_> = skipped.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, [0, 2, 3, 4, 5, 6]);
    assert_eq!(skipped[1].1, JoseError::Key("it holds a private member"));
    assert_eq!(skipped[2].1, JoseError::AlgorithmUnknown);
    assert_eq!(skipped[3].1, JoseError::AlgorithmDiffers);
}

#[test]
fn an_rsa_key_without_algorithm_stands_for_both() {
    let mut key = published(Algorithm::Rs256, "a");
    key.as_object_mut().unwrap().remove("alg");
    let (set, _) = parse(&[key]);
    let algorithms: Vec<_> = set.iter().map(super::VerifyingKey::algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Ps256, Algorithm::Rs256]);
    let (again, skipped) = JwkSet::parse(set.to_json().to_string().as_bytes()).unwrap();
    assert_eq!((again.iter().count(), skipped.len()), (2, 0));
}

#[test]
fn what_was_stored_is_read_again() {
    let (set, _) = parse(&[published(Algorithm::Es256, "a")]);
    let stored = serde_json::to_string(&set).unwrap();
    let read: JwkSet = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.to_json(), set.to_json());
    assert!(serde_json::from_str::<JwkSet>(r#"{"keys":[{"kty":"oct"}]}"#).is_err());
}

#[test]
fn sizes_are_bounded() {
    let keys = |count: usize| {
        JwkSet::parse(
            json!({ "keys": vec![json!({}); count] })
                .to_string()
                .as_bytes(),
        )
    };
    assert_eq!(keys(JWKS_KEYS_MAX).unwrap().1.len(), JWKS_KEYS_MAX);
    assert_eq!(keys(JWKS_KEYS_MAX + 1).unwrap_err(), JoseError::TooLong);
    let padded = |bytes: usize| {
        JwkSet::parse(format!("{{\"keys\":[]{}}}", " ".repeat(bytes - 11)).as_bytes())
    };
    assert!(padded(JWKS_BYTES_MAX).is_ok());
    assert_eq!(padded(JWKS_BYTES_MAX + 1).unwrap_err(), JoseError::TooLong);
    assert!(matches!(JwkSet::parse(b"[]"), Err(JoseError::Json(_))));
    assert!(matches!(JwkSet::parse(b"{}"), Err(JoseError::Json(_))));
    assert!(matches!(
        JwkSet::parse(br#"{"keys":[],"keys":[]}"#),
        Err(JoseError::Json(_))
    ));
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
        let _ = JwkSet::parse(&bytes);
        let _ = JwkSet::parse(format!("{{\"keys\":[{text}]}}").as_bytes());
    }
}
