//! Each check of RFC 9449 §4.3, by the ids of the suite. A refusal stands beside the same proof without its flaw.

use super::{DPOP_HEADER, DpopReason, NoProof, NoncePolicy, ProofUse, demand};
use crate::access_token::TokenHash;
use crate::danger;
use crate::fixtures::{NOW, Proof, TARGET, headers, key, send, without};
use crate::replay::{ReplayLimits, ReplayMemory, Replayed};
use countersign_base::{Conditional, Duration};
use countersign_crypto::jose::Algorithm;
use http::{HeaderName, Method};
use proptest::prelude::*;
use serde_json::json;

const TOKEN: &str = "a.b.c";

fn reason(proof: &Proof) -> Option<DpopReason> {
    let token = TokenHash::of(TOKEN);
    send(
        &proof.text(),
        ProofUse::WithToken(&token),
        NoncePolicy::NotRequired,
        NOW,
    )
    .err()
    .map(|refusal| refusal.reason())
}

/// The proof holds; with the flaw it is refused for `expected`.
fn refused(algorithm: Algorithm, flaw: impl FnOnce(&mut Proof), expected: DpopReason) {
    let mut proof = Proof::good(&key(algorithm), Some(TOKEN));
    assert_eq!(reason(&proof), None, "the twin");
    flaw(&mut proof);
    assert_eq!(reason(&proof), Some(expected));
}

macro_rules! refusals {
    ($(#[test] fn $name:ident() = $flaw:expr => $expected:ident;)+) => {$(
        #[test]
        fn $name() {
            refused(Algorithm::Es256, $flaw, DpopReason::$expected);
        }
    )+};
}

refusals! {
    #[test]
    fn dpop_3_missing_typ() = |proof| without(&mut proof.header, "typ") => TypMismatch;
    #[test]
    fn dpop_4_missing_alg() = |proof| without(&mut proof.header, "alg") => Malformed;
    #[test]
    fn dpop_5_missing_jwk() = |proof| without(&mut proof.header, "jwk") => JwkMissing;
    #[test]
    fn dpop_6_missing_jti() = |proof| without(&mut proof.claims, "jti") => JtiMissing;
    #[test]
    fn dpop_7_missing_htm() = |proof| without(&mut proof.claims, "htm") => HtmMissing;
    #[test]
    fn dpop_8_missing_htu() = |proof| without(&mut proof.claims, "htu") => HtuMissing;
    #[test]
    fn dpop_9_missing_iat() = |proof| without(&mut proof.claims, "iat") => IatMissing;
    #[test]
    fn dpop_10_missing_ath() = |proof| without(&mut proof.claims, "ath") => AthMissing;
    #[test]
    fn dpop_11_wrong_typ() = |proof| proof.header["typ"] = json!("JWT") => TypMismatch;
    #[test]
    fn dpop_13_alg_none() = |proof| proof.header["alg"] = json!("none") => Malformed;
    #[test]
    fn dpop_14_bad_signature() = |proof| proof.key = key(Algorithm::Es256) => SignatureInvalid;
    #[test]
    fn dpop_15_private_key_in_jwk() = |proof| proof.header["jwk"]["d"] = json!("AAAA") => JwkUnusable;
    #[test]
    fn dpop_16_wrong_htm() = |proof| proof.claims["htm"] = json!("POST") => HtmMismatch;
    #[test]
    fn dpop_16_htm_in_lower_case() = |proof| proof.claims["htm"] = json!("get") => HtmMismatch;
    #[test]
    fn dpop_17_wrong_htu() = |proof| proof.claims["htu"] = json!("https://other.example/orders/42") => HtuMismatch;
    #[test]
    fn dpop_17_wrong_path() = |proof| proof.claims["htu"] = json!("https://orders.example/orders/43") => HtuMismatch;
    #[test]
    fn dpop_17_wrong_scheme() = |proof| proof.claims["htu"] = json!("http://orders.example/orders/42") => HtuMismatch;
    #[test]
    fn dpop_17_wrong_port() = |proof| proof.claims["htu"] = json!("https://orders.example:8443/orders/42") => HtuMismatch;
    #[test]
    fn dpop_17_user_information() = |proof| proof.claims["htu"] = json!("https://me@orders.example/orders/42") => HtuMismatch;
    #[test]
    fn dpop_18_iat_an_hour_past() = |proof| proof.claims["iat"] = json!(NOW.0 - 3600) => IatTooOld;
    #[test]
    fn dpop_19_iat_an_hour_ahead() = |proof| proof.claims["iat"] = json!(NOW.0 + 3600) => IatAhead;
    #[test]
    fn dpop_21_wrong_ath() = |proof| proof.claims["ath"] = json!(TokenHash::of("another").to_base64url()) => AthMismatch;
    #[test]
    fn r51_iat_as_text_is_not_absent() = |proof| proof.claims["iat"] = json!(NOW.0.to_string()) => Malformed;
    #[test]
    fn r51_jti_as_number_is_refused() = |proof| proof.claims["jti"] = json!(7) => Malformed;
    #[test]
    fn an_empty_jti_is_none() = |proof| proof.claims["jti"] = json!("") => JtiMissing;
    #[test]
    fn an_expired_proof_is_refused() = |proof| proof.claims["exp"] = json!(NOW.0 - 1) => IatTooOld;
    #[test]
    fn a_proof_not_yet_valid_is_refused() = |proof| proof.claims["nbf"] = json!(NOW.0 + 60) => IatAhead;
    #[test]
    fn a_key_of_another_type_than_the_algorithm() = |proof| proof.header["alg"] = json!("EdDSA") => JwkUnusable;
}

#[test]
fn dpop_1_two_headers() {
    let proof = Proof::good(&key(Algorithm::Es256), None).text();
    let two = demand(
        &headers(&[("dpop", &proof), ("dpop", &proof)]),
        &Method::GET,
        TARGET,
    );
    assert_eq!(two.unwrap_err().reason(), DpopReason::Repeated);
    let one = demand(&headers(&[("dpop", &proof)]), &Method::GET, TARGET);
    assert!(matches!(one, Ok(Conditional::Present(_))));
    let none = demand(&headers(&[]), &Method::GET, TARGET);
    assert!(matches!(none, Ok(Conditional::Absent(NoProof::NoHeader))));
}

#[test]
fn dpop_2_not_a_jwt() {
    for text in [
        "",
        "proof",
        "a.b",
        "a.b.c",
        "e30.e30.",
        "..",
        &"x".repeat(100_000),
    ] {
        let refusal = demand(&headers(&[("dpop", text)]), &Method::GET, TARGET).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.error()),
            (DpopReason::Malformed, "invalid_dpop_proof"),
            "{text}"
        );
    }
    let proof = Proof::good(&key(Algorithm::Es256), None).text();
    assert!(demand(&headers(&[("dpop", &proof)]), &Method::GET, TARGET).is_ok());
}

#[test]
fn dpop_12_alg_rs256() {
    let mut proof = Proof::good(&key(Algorithm::Rs256), Some(TOKEN));
    assert_eq!(reason(&proof), Some(DpopReason::AlgorithmNotAllowed));
    // The same kind of key with the algorithm that is allowed.
    proof = Proof::good(&key(Algorithm::Ps256), Some(TOKEN));
    assert_eq!(reason(&proof), None);
}

#[test]
fn every_allowed_algorithm_is_taken() {
    for algorithm in super::PROOF_ALGORITHMS {
        assert_eq!(
            reason(&Proof::good(&key(algorithm), Some(TOKEN))),
            None,
            "{algorithm}"
        );
        assert!(
            super::PROOF_ALGORITHM_NAMES
                .split(' ')
                .any(|name| name == algorithm.name())
        );
    }
}

fn spend(memory: &ReplayMemory, proof: &Proof) -> Result<(), Replayed> {
    let token = TokenHash::of(TOKEN);
    let unspent = send(
        &proof.text(),
        ProofUse::WithToken(&token),
        NoncePolicy::NotRequired,
        NOW,
    )
    .unwrap();
    memory.spend(unspent, NOW).map(drop)
}

#[test]
fn dpop_20_same_jti_twice() {
    let memory = ReplayMemory::new(ReplayLimits::default());
    let mut proof = Proof::good(&key(Algorithm::Es256), Some(TOKEN));
    assert_eq!(spend(&memory, &proof), Ok(()));
    assert!(matches!(
        spend(&memory, &proof),
        Err(Replayed::AlreadyUsed(_))
    ));
    // A new signature does not make it a new proof.
    proof.claims["iat"] = json!(NOW.0 - 1);
    assert!(matches!(
        spend(&memory, &proof),
        Err(Replayed::AlreadyUsed(_))
    ));
    proof.claims["jti"] = json!("jti-2");
    assert_eq!(spend(&memory, &proof), Ok(()));
    // Another key may use the same jti.
    assert_eq!(
        spend(&memory, &Proof::good(&key(Algorithm::Es256), Some(TOKEN))),
        Ok(())
    );
}

#[test]
fn dpop_33_header_name_in_capitals() {
    let name = HeaderName::from_bytes(b"DPOP").unwrap();
    assert_eq!(name, DPOP_HEADER);
    let proof = Proof::good(&key(Algorithm::Es256), None).text();
    let mut headers = http::HeaderMap::new();
    headers.insert(name, proof.parse().unwrap());
    assert!(matches!(
        demand(&headers, &Method::GET, TARGET),
        Ok(Conditional::Present(_))
    ));
}

/// A variant that must be taken, beside one that must not.
fn accepted(htu: &str) {
    let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
    proof.claims["htu"] = json!(htu);
    assert_eq!(reason(&proof), None, "{htu}");
    proof.claims["htu"] = json!(
        htu.replace("orders.example", "other.example")
            .replace("ORDERS.EXAMPLE", "other.example")
    );
    assert_eq!(reason(&proof), Some(DpopReason::HtuMismatch));
}

#[test]
fn dpop_35_htu_with_query() {
    accepted("https://orders.example/orders/42?view=full");
}

#[test]
fn dpop_36_htu_with_fragment() {
    accepted("https://orders.example/orders/42#top");
}

#[test]
fn dpop_37_htu_with_default_port() {
    accepted("https://orders.example:443/orders/42");
}

#[test]
fn dpop_38_htu_with_upper_case_scheme_or_host() {
    accepted("HTTPS://orders.example/orders/42");
    accepted("https://ORDERS.EXAMPLE/orders/42");
}

fn with_iat(offset: i64) -> Option<DpopReason> {
    let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
    proof.claims["iat"] = json!(NOW.0 + offset);
    reason(&proof)
}

#[test]
fn dpop_39_iat_ten_seconds_past() {
    assert_eq!(with_iat(-10), None);
    assert_eq!(with_iat(-60), None, "the oldest that is taken");
    assert_eq!(with_iat(-61), Some(DpopReason::IatTooOld));
}

#[test]
fn dpop_40_r33_iat_ten_seconds_ahead() {
    assert_eq!(with_iat(10), None);
    assert_eq!(with_iat(61), Some(DpopReason::IatAhead));
}

#[test]
fn dpop_41_unknown_claims_are_ignored() {
    let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
    proof.claims["colour"] = json!({ "of": ["any", "type"] });
    assert_eq!(reason(&proof), None);
}

#[test]
fn dpop_42_nbf_and_exp_are_taken() {
    let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
    proof.claims["nbf"] = json!(NOW.0 - 5);
    proof.claims["exp"] = json!(NOW.0 + 300);
    assert_eq!(reason(&proof), None);
}

#[test]
fn jwt_4_addresses_in_the_header_are_ignored() {
    let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
    proof.header["jku"] = json!("https://attacker.example/keys");
    proof.header["x5u"] = json!("https://attacker.example/chain");
    assert_eq!(
        reason(&proof),
        None,
        "the key is the one in `jwk`, and nothing is fetched"
    );
}

#[test]
fn at_the_server_no_ath_is_due() {
    let proof = Proof::good(&key(Algorithm::EdDsa), None);
    assert!(
        send(
            &proof.text(),
            ProofUse::AtServer,
            NoncePolicy::NotRequired,
            NOW
        )
        .is_ok()
    );
    assert_eq!(reason(&proof), Some(DpopReason::AthMissing));
}

#[test]
fn a_proof_names_its_key() {
    let signing = key(Algorithm::EdDsa);
    let unspent = send(
        &Proof::good(&signing, None).text(),
        ProofUse::AtServer,
        NoncePolicy::NotRequired,
        NOW,
    )
    .unwrap();
    let [entry] = unspent.entries() else {
        panic!("one value to spend")
    };
    assert_eq!(
        entry.expires,
        NOW.plus(Duration::from_secs(61)),
        "as long as the proof could be accepted"
    );
    assert_eq!(
        *danger::spent(unspent).thumbprint(),
        signing.public_jwk().thumbprint()
    );
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(text in "[ -~]{0,200}") {
        let refusal = demand(&headers(&[("dpop", &text)]), &Method::GET, TARGET).unwrap_err();
        prop_assert_eq!(refusal.error(), "invalid_dpop_proof");
    }

    #[test]
    fn no_claims_make_it_panic(name in "jti|htm|htu|iat|ath|nonce|nbf|exp", value in any::<i64>()) {
        let mut proof = Proof::good(&key(Algorithm::EdDsa), Some(TOKEN));
        proof.claims[name.as_str()] = json!(value);
        let _ = reason(&proof);
        proof.claims[name.as_str()] = json!([{ "deep": value }]);
        prop_assert!(name == "nonce" || reason(&proof).is_some());
    }
}
