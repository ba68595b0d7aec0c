use super::{Forgotten, NODE_BYTES, PuncturableError, PuncturableKey};
use crate::random::Random;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn key() -> PuncturableKey {
    PuncturableKey::generate(&Random::from_fn(|buffer| buffer.fill(7)))
}

fn at(key: &PuncturableKey, place: u64) -> Option<[u8; 32]> {
    key.key_at(place).map(|secret| *secret.expose())
}

#[test]
fn every_place_has_a_key_of_its_own() {
    let key = key();
    let places = [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << 63, 0x00c0_ffee];
    let keys: BTreeSet<_> = places.iter().map(|place| at(&key, *place)).collect();
    assert_eq!(keys.len(), places.len());
    assert_eq!(
        at(&key, 5),
        at(&self::key(), 5),
        "it follows from the root alone"
    );
}

#[test]
fn what_is_forgotten_is_gone_and_nothing_else() {
    let (whole, mut key) = (key(), key());
    let forgotten = [0, u64::MAX, 0x8000_0000_0000_0000, 17, 16, 18];
    for place in forgotten {
        assert_eq!(key.forget(place), Ok(Forgotten::Now));
        assert_eq!(key.forget(place), Ok(Forgotten::Before));
    }
    assert_eq!(key.forgotten(), 6);
    for place in forgotten {
        assert_eq!(at(&key, place), None);
    }
    for place in [1, 15, 19, u64::MAX - 1, 0x7fff_ffff_ffff_ffff, 0x0bad_cafe] {
        assert_eq!(at(&key, place), at(&whole, place), "{place}");
    }
    // None of the nodes that are left is above what was forgotten, and the key of a forgotten place stands nowhere among the bytes.
    let bytes = key.to_bytes();
    for place in forgotten {
        let secret = at(&whole, place).unwrap();
        assert!(!bytes.windows(32).any(|window| window == secret));
    }
}

#[test]
fn the_order_in_which_places_are_forgotten_does_not_matter() {
    let (mut one, mut other) = (key(), key());
    for place in [3, 900, u64::MAX] {
        let _now = one.forget(place).unwrap();
    }
    for place in [u64::MAX, 3, 900] {
        let _now = other.forget(place).unwrap();
    }
    assert_eq!(*one.to_bytes(), *other.to_bytes());
}

#[test]
fn neighbours_that_are_forgotten_need_no_room() {
    let mut key = key();
    let _now = key.forget(6).unwrap();
    let before = key.to_bytes().len();
    let _now = key.forget(7).unwrap();
    assert_eq!(key.to_bytes().len(), before - NODE_BYTES);
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    let mut key = key();
    let _now = key.forget(1 << 40).unwrap();
    let good = key.to_bytes().to_vec();
    assert_eq!(
        PuncturableKey::from_bytes(&good).unwrap().to_bytes()[..],
        good[..]
    );
    let check = |bad: Vec<u8>| {
        let read = PuncturableKey::from_bytes(&bad);
        assert_eq!(read.unwrap_err(), PuncturableError::Malformed);
    };
    check(Vec::new());
    check(good[..good.len() - 1].to_vec());
    check([&good[..], &[0]].concat());
    let mut version = good.clone();
    version[0] = 2;
    check(version);
    // The root beside its own children, and a node twice.
    let (head, nodes) = good.split_at(17);
    let root = [&[0_u8][..], &[0; 8], &[9; 32]].concat();
    check([head, &root, nodes].concat());
    check([head, nodes, &nodes[nodes.len() - NODE_BYTES..]].concat());
    // A path with bits below its level.
    let astray = [&[1_u8][..], &1_u64.to_be_bytes(), &[9; 32]].concat();
    check([head, &astray].concat());
    let deep = [&[65_u8][..], &[0; 8], &[9; 32]].concat();
    check([head, &deep].concat());
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(
        format!("{:?}", key()),
        "PuncturableKey { forgotten: 0, .. }"
    );
}

proptest! {
    #[test]
    fn forgetting_is_exact(places in proptest::collection::vec(any::<u64>(), 1..6), asked in any::<u64>(), near in 0_u64..4) {
        let (whole, mut key) = (key(), key());
        for place in &places {
            let _done = key.forget(*place).unwrap();
        }
        let again = PuncturableKey::from_bytes(&key.to_bytes()).unwrap();
        for asked in places.iter().map(|place| place ^ near).chain([asked]) {
            let expected = (!places.contains(&asked)).then(|| at(&whole, asked).unwrap());
            prop_assert_eq!(at(&key, asked), expected);
            prop_assert_eq!(at(&again, asked), expected);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(key) = PuncturableKey::from_bytes(&bytes) {
            prop_assert_eq!(&key.to_bytes()[..], &bytes[..]);
        }
    }
}
