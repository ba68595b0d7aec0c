use super::{CombineError, SHARE_BYTES, Share, ShareRule, ShareRuleError, combine, field, split};
use countersign_base::Secret;
use countersign_crypto::random::Random;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Mutex;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn rule(shares: u8, threshold: u8) -> ShareRule {
    ShareRule::new(shares, threshold).unwrap()
}

fn share(text: &str) -> Share {
    Share::parse(&Secret::new(text.to_owned())).unwrap()
}

fn again(share: &Share) -> Share {
    Share::parse(&share.to_hex()).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    splits: Vec<Split>,
    combinations: Vec<Combination>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    name: String,
    secret: String,
    threshold: u8,
    coefficients: Vec<String>,
    hex: Vec<String>,
    base64: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Combination {
    name: String,
    expect: String,
    shares: Vec<String>,
    secret: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/shares.json")).unwrap()
}

/// The vectors were written by another implementation, with tables, from the documentation of the format.
#[test]
fn splits_are_those_of_the_vectors() {
    for vector in vectors().splits {
        let secret = Secret::new(unhex(&vector.secret).try_into().unwrap());
        let rows: Mutex<Vec<Vec<u8>>> = Mutex::new(
            vector
                .coefficients
                .iter()
                .rev()
                .map(|row| unhex(row))
                .collect(),
        );
        let random = Random::from_fn(move |buffer| {
            buffer.copy_from_slice(&rows.lock().unwrap().pop().unwrap());
        });
        let count = u8::try_from(vector.hex.len()).unwrap();
        let shares = split(&secret, rule(count, vector.threshold), &random);
        let hex: Vec<String> = shares
            .iter()
            .map(|one| one.to_hex().expose().clone())
            .collect();
        let base64: Vec<String> = shares
            .iter()
            .map(|one| one.to_base64().expose().clone())
            .collect();
        assert_eq!(hex, vector.hex, "{}", vector.name);
        assert_eq!(base64, vector.base64, "{}", vector.name);
        for (one, two) in vector.hex.iter().zip(&vector.base64) {
            assert!(share(one).is_same(&share(two)), "{}", vector.name);
        }
    }
}

#[test]
fn combinations_are_those_of_the_vectors() {
    let mut classes = BTreeMap::new();
    for vector in vectors().combinations {
        *classes.entry(vector.expect.clone()).or_insert(0) += 1;
        let shares: Result<Vec<Share>, _> = vector
            .shares
            .iter()
            .map(|text| Share::parse(&Secret::new(text.clone())))
            .collect();
        let outcome = match shares.map(|shares| combine(&shares)) {
            Err(_) => "not a share",
            Ok(Err(CombineError::PointTwice)) => "point twice",
            Ok(Err(CombineError::Empty)) => "empty",
            Ok(Ok(secret)) if secret.matches(&unhex(vector.secret.as_ref().unwrap())) => "combines",
            Ok(Ok(_)) => "another secret",
        };
        assert_eq!(outcome, vector.expect, "{}", vector.name);
    }
    let expected = [
        "another secret",
        "combines",
        "empty",
        "not a share",
        "point twice",
    ];
    assert_eq!(
        classes.keys().collect::<Vec<_>>(),
        expected,
        "every class has a vector"
    );
}

#[test]
fn the_numbers_are_vaults() {
    let check = |shares, threshold, expected| {
        assert_eq!(
            ShareRule::new(shares, threshold).map(|_| ()),
            expected,
            "{shares} {threshold}"
        );
    };
    check(1, 1, Ok(()));
    check(5, 3, Ok(()));
    check(255, 255, Ok(()));
    check(2, 2, Ok(()));
    check(0, 0, Err(ShareRuleError::None));
    check(1, 0, Err(ShareRuleError::ThresholdZero));
    check(2, 1, Err(ShareRuleError::ThresholdOne));
    check(3, 4, Err(ShareRuleError::ThresholdAboveShares));
    assert!(serde_json::from_str::<ShareRule>(r#"{"shares":5,"threshold":3}"#).is_ok());
    assert!(serde_json::from_str::<ShareRule>(r#"{"shares":5,"threshold":1}"#).is_err());
    assert!(serde_json::from_str::<ShareRule>(r#"{"shares":256,"threshold":3}"#).is_err());
}

#[test]
fn a_share_of_point_zero_is_none() {
    assert!(Share::from_bytes(Secret::new([0; SHARE_BYTES])).is_err());
    assert!(Share::parse(&Secret::new("0".repeat(66))).is_err());
}

#[test]
fn debug_shows_no_byte() {
    let shares = split(&Secret::new([7; 32]), rule(2, 2), &Random::system());
    assert_eq!(format!("{shares:?}"), "[Share, Share]");
}

/// With the threshold's number less one of shares, every secret is equally possible: for each candidate there is exactly one polynomial that has it at zero and
/// goes through the shares. Shown for one byte by going through all 256 candidates: the missing share is another one for each.
#[test]
fn fewer_shares_than_the_threshold_say_nothing() {
    let shares = split(&Secret::new([0x5a; 32]), rule(5, 3), &Random::system());
    let (one, two) = (&shares[0], &shares[1]);
    let value = |share: &Share| unhex(share.to_hex().expose())[0];
    let mut missing = [0_u16; 256];
    for candidate in 0..=255_u8 {
        // The value at 3 of the polynomial of degree two through (0, candidate), (1, one), (2, two).
        let points = [(0, candidate), (1, value(one)), (2, value(two))];
        let at_three = points.iter().fold(0, |sum, (x, y)| {
            let basis =
                points
                    .iter()
                    .filter(|(other, _)| other != x)
                    .fold(1, |product, (other, _)| {
                        field::mul(product, field::mul(3 ^ other, field::inverse(x ^ other)))
                    });
            sum ^ field::mul(*y, basis)
        });
        missing[usize::from(at_three)] += 1;
    }
    assert!(
        missing.iter().all(|count| *count == 1),
        "each value of the third share fits one secret"
    );
}

/// The shares of one secret below the threshold are distributed as those of any other: each byte of a share is even over many splittings.
#[test]
fn a_single_share_is_even_over_splittings() {
    let mut counts = [0_u32; 256];
    for _ in 0..800 {
        let shares = split(&Secret::new([0; 32]), rule(2, 2), &Random::system());
        for byte in &unhex(shares[1].to_hex().expose())[..32] {
            counts[usize::from(*byte)] += 1;
        }
    }
    // 25,600 bytes: 100 of each value on average, with a deviation of ten.
    assert!(
        counts.iter().all(|count| (30..200).contains(count)),
        "{counts:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_threshold_of_shares_combines(
        secret in proptest::array::uniform32(any::<u8>()),
        (count, threshold) in (2_u8..12).prop_flat_map(|count| (Just(count), 2..=count)),
        order in any::<prop::sample::Index>(),
        step in 1_usize..12,
    ) {
        let shares = split(&Secret::new(secret), rule(count, threshold), &Random::system());
        let mut left: Vec<Share> = shares;
        let mut chosen = Vec::new();
        let mut at = order.index(left.len());
        for _ in 0..threshold {
            at = (at + step) % left.len();
            chosen.push(left.remove(at));
        }
        prop_assert!(combine(&chosen).unwrap().matches(&secret));
        // More than enough is as good.
        if let Some(more) = left.pop() {
            chosen.push(more);
            prop_assert!(combine(&chosen).unwrap().matches(&secret));
            chosen.pop();
        }
        // One less gives something else.
        chosen.pop();
        prop_assert!(!combine(&chosen).unwrap().matches(&secret));
        // One twice is refused.
        chosen.push(again(&chosen[0]));
        prop_assert_eq!(combine(&chosen).map(|_| ()), Err(CombineError::PointTwice));
    }

    #[test]
    fn parsing_never_panics(text in "[0-9a-fA-F+/=gz ]{40,70}") {
        let _ = Share::parse(&Secret::new(text));
    }
}
