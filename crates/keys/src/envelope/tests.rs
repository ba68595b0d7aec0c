use super::{
    Aad, EnvelopeKey, KeyId, KeyLookup, KeyVersion, OVERHEAD_BYTES, OpenError, SealError, Sealed,
    open, rewrap, seal,
};
use crate::{DataKey, KekSet};
use countersign_base::{Secret, Tenant};
use countersign_crypto::random::Random;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    key_id: String,
    keys: BTreeMap<u32, String>,
    minimum_version: u32,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    expect: String,
    place: Place,
    sealed: String,
    plaintext: Option<String>,
    salt: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    tenant: String,
    table: String,
    column: String,
    row: String,
}

struct Keys {
    keys: Vec<EnvelopeKey>,
    minimum: KeyVersion,
}

impl KeyLookup for Keys {
    fn find(&self, id: KeyId, version: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
        match self
            .keys
            .iter()
            .find(|key| key.id() == id && key.version() == version)
        {
            Some(_) if version < self.minimum => Err(OpenError::KeyVersionTooOld { id, version }),
            Some(key) => Ok(key),
            None => Err(OpenError::KeyUnknown { id, version }),
        }
    }
}

fn class(error: OpenError) -> &'static str {
    match error {
        OpenError::Authentication => "authentication",
        OpenError::Commitment => "commitment",
        OpenError::Content => "content",
        OpenError::KeyUnknown { .. } => "key unknown",
        OpenError::KeyVersionTooOld { .. } => "key version too old",
        OpenError::Length => "length",
        OpenError::Magic => "magic",
        OpenError::Suite(_) => "suite",
    }
}

/// The vectors were written by another implementation from the documentation of the format.
#[test]
fn vectors() {
    let file: Vectors =
        serde_json::from_str(include_str!("../../tests/vectors/envelope.json")).unwrap();
    let id = KeyId::from_bytes(unhex(&file.key_id).try_into().unwrap());
    let key = |(version, secret): (&u32, &String)| {
        EnvelopeKey::new(
            id,
            KeyVersion(*version),
            Secret::new(unhex(secret).try_into().unwrap()),
        )
    };
    let keys = Keys {
        keys: file.keys.iter().map(key).collect(),
        minimum: KeyVersion(file.minimum_version),
    };
    let mut classes = BTreeMap::new();
    for vector in &file.vectors {
        let tenant: Tenant = vector.place.tenant.parse().unwrap();
        let (table, column): (&'static str, &'static str) = (
            vector.place.table.clone().leak(),
            vector.place.column.clone().leak(),
        );
        let aad = Aad::row(&tenant, table, column, &unhex(&vector.place.row));
        let sealed = Sealed::from_bytes(unhex(&vector.sealed));
        *classes.entry(vector.expect.as_str()).or_insert(0) += 1;
        match open(&keys, &aad, &sealed) {
            Ok(plaintext) => {
                assert_eq!(vector.expect, "opens", "{}", vector.name);
                assert_eq!(
                    plaintext.expose(),
                    &unhex(vector.plaintext.as_ref().unwrap()),
                    "{}",
                    vector.name
                );
                // The same salt gives the same bytes.
                let salt = unhex(vector.salt.as_ref().unwrap());
                let random = Random::from_fn(move |buffer| buffer.copy_from_slice(&salt));
                let (_, version) = sealed.key().unwrap();
                let again = seal(
                    keys.find(id, version).unwrap(),
                    &aad,
                    plaintext.expose(),
                    &random,
                )
                .unwrap();
                assert!(again == sealed, "{}", vector.name);
            }
            Err(error) => assert_eq!(vector.expect, class(error), "{}", vector.name),
        }
    }
    let expected = [
        "authentication",
        "commitment",
        "key unknown",
        "key version too old",
        "length",
        "magic",
        "opens",
        "suite",
    ];
    assert_eq!(
        classes.keys().copied().collect::<Vec<_>>(),
        expected,
        "every class has a vector"
    );
}

fn place() -> Aad {
    Aad::row(&Tenant::default_tenant(), "table", "column", b"row")
}

#[test]
fn no_two_messages_are_alike() {
    let key = DataKey::generate(&Random::system());
    let one = seal(&key, &place(), b"text", &Random::system()).unwrap();
    let two = seal(&key, &place(), b"text", &Random::system()).unwrap();
    assert!(one != two);
    assert_eq!(one.as_bytes().len(), 4 + OVERHEAD_BYTES);
}

#[test]
fn contexts_are_canonical() {
    let default = Tenant::default_tenant();
    let other = |table, column, row: &[u8]| Aad::row(&default, table, column, row);
    assert_eq!(other("ab", "c", b"d"), other("ab", "c", b"d"));
    assert_ne!(other("ab", "c", b"d"), other("a", "bc", b"d"));
    assert_ne!(other("ab", "c", b"d"), other("ab", "cd", b""));
    assert_ne!(Aad::installation("a"), Aad::installation("b"));
    assert_eq!(
        Aad::installation("ab").as_bytes(),
        b"\0\0\0\x0cinstallation\0\0\0\x02ab"
    );
}

#[test]
fn a_lookup_that_gives_another_key_is_caught_by_the_commitment() {
    struct Wrong(DataKey);
    impl KeyLookup for Wrong {
        fn find(&self, _: KeyId, _: KeyVersion) -> Result<&EnvelopeKey, OpenError> {
            Ok(crate::envelope::Sealer::envelope_key(&self.0))
        }
    }
    let random = Random::system();
    let sealed = seal(&DataKey::generate(&random), &place(), b"text", &random).unwrap();
    assert_eq!(
        open(&Wrong(DataKey::generate(&random)), &place(), &sealed).map(|_| ()),
        Err(OpenError::Commitment)
    );
}

#[test]
fn a_plaintext_has_a_greatest_length() {
    let key = DataKey::generate(&Random::system());
    let sealed = seal(
        &key,
        &place(),
        &vec![0; super::PLAINTEXT_BYTES_MAX + 1],
        &Random::system(),
    );
    assert_eq!(sealed.map(|_| ()), Err(SealError::TooLong));
    let long = Sealed::from_bytes(vec![0xC5; super::PLAINTEXT_BYTES_MAX + OVERHEAD_BYTES + 1]);
    assert_eq!(
        open(&key, &place(), &long).map(|_| ()),
        Err(OpenError::Length)
    );
}

#[test]
fn rewrapping_moves_to_the_current_version() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let sealed = seal(&keks, &place(), b"text", &random).unwrap();
    let keks = keks.rotate(&random).unwrap();
    let again = rewrap(&keks, &place(), &sealed, &random).unwrap();
    assert_eq!(sealed.key().unwrap().1, KeyVersion(1));
    assert_eq!(again.key().unwrap().1, KeyVersion(2));
    assert_eq!(open(&keks, &place(), &again).unwrap().expose(), b"text");
    assert_eq!(open(&keks, &place(), &sealed).unwrap().expose(), b"text");
}

#[test]
fn stored_as_json_it_is_base64url() {
    let sealed = Sealed::from_bytes(vec![0xC5, 1, 2]);
    let text = serde_json::to_string(&sealed).unwrap();
    assert_eq!(text, "\"xQEC\"");
    assert!(serde_json::from_str::<Sealed>(&text).unwrap() == sealed);
    assert!(serde_json::from_str::<Sealed>("\"xQE=\"").is_err());
}

#[test]
fn a_key_id_is_16_lower_case_digits() {
    let id = KeyId::from_bytes([0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff]);
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"00010203fcfdfeff\"");
    assert_eq!("00010203fcfdfeff".parse::<KeyId>().unwrap(), id);
    for bad in [
        "",
        "00010203fcfdfef",
        "00010203FCFDFEFF",
        "+0010203fcfdfeff",
        "00010203fcfdfeff0",
    ] {
        assert!(bad.parse::<KeyId>().is_err(), "{bad}");
    }
}

#[test]
fn debug_shows_no_bytes() {
    let key = EnvelopeKey::new(
        KeyId::from_bytes([1; 8]),
        KeyVersion(2),
        Secret::new([0; 32]),
    );
    assert_eq!(format!("{key:?}"), "EnvelopeKey(0101010101010101 v2)");
    assert_eq!(
        format!("{:?} {:?}", place(), Sealed::from_bytes(vec![0; 3])),
        "Aad Sealed(3 bytes)"
    );
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plaintext in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = DataKey::generate(&Random::system());
        let sealed = seal(&key, &place(), &plaintext, &Random::system()).unwrap();
        let opened = open(&key, &place(), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
    }

    #[test]
    fn tampering_any_byte_fails(plaintext in proptest::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>(), change in 1u8..) {
        let key = DataKey::generate(&Random::system());
        let mut bytes = seal(&key, &place(), &plaintext, &Random::system()).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(open(&key, &place(), &Sealed::from_bytes(bytes)).is_err());
    }

    #[test]
    fn cutting_anywhere_fails(cut in 0usize..120) {
        let key = DataKey::generate(&Random::system());
        let mut bytes = seal(&key, &place(), &[7; 26], &Random::system()).unwrap().into_bytes();
        bytes.truncate(cut);
        prop_assert!(open(&key, &place(), &Sealed::from_bytes(bytes)).is_err());
    }

    #[test]
    fn opening_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), naming in any::<bool>()) {
        let key = DataKey::generate(&Random::from_fn(|buffer| buffer.fill(0)));
        if naming && bytes.len() > 14 {
            bytes[..14].copy_from_slice(&[0xC5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        prop_assert!(open(&key, &place(), &Sealed::from_bytes(bytes)).is_err());
    }
}
