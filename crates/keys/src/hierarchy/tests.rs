use super::{DataKey, Kek, KekSet, KekSetError, PassphraseParameters, RootKey};
use crate::envelope::{Aad, KeyVersion, OpenError, Sealed, open, seal};
use crate::rewrap::{PageEnd, Rewrap, RewrapEnded, RewrapStep};
use countersign_base::{Secret, Tenant};
use countersign_crypto::mac::MacKey;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;

fn place() -> Aad {
    Aad::row(&Tenant::default_tenant(), "table", "column", b"row")
}

fn root(byte: u8) -> RootKey {
    RootKey::from_bytes(&Secret::new([byte; 32]))
}

/// The end of a rewrap of an empty installation.
fn rewrapped(keks: &KekSet, target: KeyVersion) -> RewrapEnded {
    let rewrap = Rewrap::start(keks.current().id(), target, Vec::new());
    let page = rewrap.page(Vec::new(), keks, &Random::system());
    match rewrap.advance(&page, 0, PageEnd::TableEnds) {
        RewrapStep::Ended(ended) => ended,
        RewrapStep::Blocked(_) | RewrapStep::More(_) => panic!("nothing is left"),
    }
}

fn same(one: &MacKey, two: &MacKey) -> bool {
    two.verify("test", &[b"part"], &one.tag("test", &[b"part"]))
        .is_ok()
}

#[test]
fn a_stored_set_goes_on() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let first = keks.current().wrap(&root(1), &random).unwrap();
    let sealed = seal(&keks, &place(), b"text", &random).unwrap();
    let keks = keks.rotate(&random).unwrap();
    let second = keks.current().wrap(&root(1), &random).unwrap();

    let read = |stored: &Sealed| Kek::unwrap(&root(1), stored).unwrap();
    let again = KekSet::new(vec![read(&second), read(&first)], KeyVersion(1)).unwrap();
    assert_eq!(again.current().version(), KeyVersion(2));
    assert_eq!(open(&again, &place(), &sealed).unwrap().expose(), b"text");
    assert!(same(&keks.mac_key("handles"), &again.mac_key("handles")));
}

#[test]
fn another_root_key_is_told_from_damage() {
    let random = Random::system();
    let stored = KekSet::generate(&random)
        .current()
        .wrap(&root(1), &random)
        .unwrap();
    assert!(matches!(
        Kek::unwrap(&root(2), &stored),
        Err(OpenError::KeyUnknown { .. })
    ));
    let mut bytes = stored.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(
        Kek::unwrap(&root(1), &Sealed::from_bytes(bytes)),
        Err(OpenError::Authentication)
    ));
    assert!(Kek::unwrap(&root(1), &stored).is_ok());
}

#[test]
fn a_passphrase_gives_the_same_root_key_each_time() {
    let random = Random::system();
    let parameters = PassphraseParameters::new(Cost::for_tests(), &random);
    let derive = |text: &str, parameters: &PassphraseParameters| {
        RootKey::from_passphrase(&Secret::new(text.to_owned()), parameters).unwrap()
    };
    let stored = KekSet::generate(&random)
        .current()
        .wrap(&derive("correct horse", &parameters), &random)
        .unwrap();
    let read: PassphraseParameters =
        serde_json::from_str(&serde_json::to_string(&parameters).unwrap()).unwrap();
    assert!(Kek::unwrap(&derive("correct horse", &read), &stored).is_ok());
    assert!(matches!(
        Kek::unwrap(&derive("correct horsf", &read), &stored),
        Err(OpenError::KeyUnknown { .. })
    ));
    let other_salt = PassphraseParameters::new(Cost::for_tests(), &random);
    assert!(matches!(
        Kek::unwrap(&derive("correct horse", &other_salt), &stored),
        Err(OpenError::KeyUnknown { .. })
    ));
}

#[test]
fn versions_below_the_minimum_open_nothing() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let sealed = seal(&keks, &place(), b"text", &random).unwrap();
    let keks = keks.rotate(&random).unwrap();
    assert!(open(&keks, &place(), &sealed).is_ok());
    let (second, third) = (
        rewrapped(&keks, KeyVersion(2)),
        rewrapped(&keks, KeyVersion(3)),
    );
    let keks = keks.raise_minimum(&second).unwrap();
    assert!(matches!(
        open(&keks, &place(), &sealed),
        Err(OpenError::KeyVersionTooOld { .. })
    ));
    assert_eq!(
        keks.raise_minimum(&third).unwrap_err(),
        KekSetError::MinimumAboveCurrent
    );
}

#[test]
fn what_is_no_set_is_refused() {
    let random = Random::system();
    let stored = |keks: &KekSet| keks.current().wrap(&root(1), &random).unwrap();
    let read = |sealed: &Sealed| Kek::unwrap(&root(1), sealed).unwrap();
    let (one, other) = (
        stored(&KekSet::generate(&random)),
        stored(&KekSet::generate(&random).rotate(&random).unwrap()),
    );
    assert_eq!(
        KekSet::new(vec![], KeyVersion(1)).unwrap_err(),
        KekSetError::Empty
    );
    assert_eq!(
        KekSet::new(vec![read(&one), read(&one)], KeyVersion(1)).unwrap_err(),
        KekSetError::VersionTwice
    );
    assert_eq!(
        KekSet::new(vec![read(&one), read(&other)], KeyVersion(1)).unwrap_err(),
        KekSetError::AnotherKey
    );
    assert_eq!(
        KekSet::new(vec![read(&one)], KeyVersion(2)).unwrap_err(),
        KekSetError::MinimumAboveCurrent
    );
    assert!(KekSet::new(vec![read(&one)], KeyVersion(1)).is_ok());
}

#[test]
fn a_data_key_belongs_to_its_row_and_outlives_a_rotation() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let (alice, bob) = (
        Aad::row(&Tenant::default_tenant(), "subject_keys", "key", b"alice"),
        Aad::row(&Tenant::default_tenant(), "subject_keys", "key", b"bob"),
    );
    let key = DataKey::generate(&random);
    let sealed = seal(&key, &place(), b"text", &random).unwrap();
    let stored = key.wrap(&keks, &alice, &random).unwrap();
    let keks = keks.rotate(&random).unwrap();
    let again = DataKey::unwrap(&keks, &alice, &stored).unwrap();
    assert_eq!(again.id(), key.id());
    assert_eq!(open(&again, &place(), &sealed).unwrap().expose(), b"text");
    assert!(matches!(
        DataKey::unwrap(&keks, &bob, &stored),
        Err(OpenError::Authentication)
    ));
    let other = DataKey::generate(&random);
    assert!(matches!(
        open(&other, &place(), &sealed),
        Err(OpenError::KeyUnknown { .. })
    ));
}

/// A value that somebody sealed for a row is not taken for a key that stands in that row.
#[test]
fn a_row_is_no_key() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let sealed = seal(&keks, &place(), b"text", &random).unwrap();
    assert!(matches!(
        DataKey::unwrap(&keks, &place(), &sealed),
        Err(OpenError::Content)
    ));
    assert!(matches!(
        Kek::unwrap(&root(1), &sealed),
        Err(OpenError::KeyUnknown { .. })
    ));
}

#[test]
fn keyed_hashes_outlive_rotations_and_differ_by_purpose_and_tenant() {
    let random = Random::system();
    let keks = KekSet::generate(&random);
    let (one, two) = (
        "one".parse::<Tenant>().unwrap(),
        "two".parse::<Tenant>().unwrap(),
    );
    let handles = keks.mac_key("handles");
    assert!(!same(&handles, &keks.mac_key("nonces")));
    assert!(!same(&handles, &keks.tenant_mac_key(&one, "handles")));
    assert!(!same(
        &keks.tenant_mac_key(&one, "handles"),
        &keks.tenant_mac_key(&two, "handles")
    ));
    assert!(!same(
        &handles,
        &KekSet::generate(&random).mac_key("handles")
    ));
    assert!(same(
        &handles,
        &keks.rotate(&random).unwrap().mac_key("handles")
    ));
}

/// The derivations of docs/formats/envelope.md, computed by the other implementation of tests/vectors/envelope.py.
#[test]
fn derivations_are_those_of_the_documentation() {
    let random = Random::from_fn(|buffer| buffer.fill(7));
    let keks = KekSet::generate(&random);
    let stored = keks.current().wrap(&root(1), &random).unwrap();
    assert_eq!(stored.key().unwrap().0.to_string(), ROOT_KEY_ID);
    assert_eq!(stored.as_bytes().len(), 94 + 76);
    let hex = |tag: countersign_crypto::mac::Tag| {
        tag.as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(keks.mac_key("handles").tag("test", &[b"part"])),
        INSTALLATION_TAG
    );
    assert_eq!(
        hex(keks
            .tenant_mac_key(&Tenant::default_tenant(), "refresh")
            .tag("test", &[b"part"])),
        TENANT_TAG
    );
}

const ROOT_KEY_ID: &str = "26d190c4be580c1c";
const INSTALLATION_TAG: &str = "172c84e5c312eb44b3c8bbbe46a96dde567b358a1f0a5cff3efe871217aa33ae";
const TENANT_TAG: &str = "f4ff10ed6b6014856be6ca49ccc768fbb2d286ee946c73c1bf4b19c84ffdc8fa";
