//! Signatures of the RFCs and of another implementation, and ones that libraries were found to take.

use super::VerifyingKey;
use crate::jose::{Algorithm, PublicJwk};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    algorithm: Algorithm,
    name: String,
    expect: String,
    jwk: Value,
    message: String,
    signature: String,
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn signatures_hold_or_are_refused() {
    let file: Vectors =
        serde_json::from_str(include_str!("../../../tests/vectors/signatures.json")).unwrap();
    let mut seen = BTreeMap::new();
    for case in &file.cases {
        let jwk = PublicJwk::parse(&case.jwk).unwrap();
        let key = VerifyingKey::new(&jwk, case.algorithm, None).unwrap();
        let outcome = match key.verify(&unhex(&case.message), &unhex(&case.signature)) {
            Ok(_) => "holds",
            Err(_) => "refused",
        };
        assert_eq!(outcome, case.expect, "{}: {}", case.algorithm, case.name);
        *seen.entry((case.algorithm, outcome)).or_insert(0) += 1;
    }
    for algorithm in Algorithm::ALL {
        assert!(seen.contains_key(&(algorithm, "holds")), "{algorithm}");
        let refused = seen.get(&(algorithm, "refused")).copied();
        assert!(refused.unwrap_or(0) >= 10, "{algorithm}: {refused:?}");
    }
}
