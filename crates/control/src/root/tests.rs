use super::*;
use countersign_keys::{Kek, KekSet};
use countersign_testkit::seeded;

fn seals_for(root: &RootKey, other: &RootKey) -> bool {
    let keks = KekSet::generate(&seeded(3));
    let sealed = keks.current().wrap(root, &seeded(4)).unwrap();
    Kek::unwrap(other, &sealed).is_ok()
}

#[test]
fn a_root_key_survives_in_its_file() {
    let data = tempfile::tempdir().unwrap();
    assert!(RootSource::File.open(data.path()).unwrap().is_none());
    let made = RootSource::File
        .create(data.path(), Cost::for_tests(), &seeded(1))
        .unwrap();
    let opened = RootSource::File.open(data.path()).unwrap().unwrap();
    assert!(seals_for(&made, &opened));
    let mode = fs::metadata(key_path(data.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // A second first start never overwrites it.
    assert!(
        RootSource::File
            .create(data.path(), Cost::for_tests(), &seeded(2))
            .is_err()
    );
}

#[test]
fn a_root_key_that_others_can_read_is_refused() {
    let data = tempfile::tempdir().unwrap();
    RootSource::File
        .create(data.path(), Cost::for_tests(), &seeded(1))
        .unwrap();
    let path = key_path(data.path());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        RootSource::File.open(data.path()),
        Err(RootError::Mode(_))
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(RootSource::File.open(data.path()).unwrap().is_some());
}

#[test]
fn another_passphrase_is_another_key() {
    let data = tempfile::tempdir().unwrap();
    let right = || RootSource::Passphrase(Secret::new("correct horse".to_owned()));
    let made = right()
        .create(data.path(), Cost::for_tests(), &seeded(1))
        .unwrap();
    assert!(seals_for(
        &made,
        &right().open(data.path()).unwrap().unwrap()
    ));
    let wrong = RootSource::Passphrase(Secret::new("correct mule".to_owned()));
    assert!(!seals_for(
        &made,
        &wrong.open(data.path()).unwrap().unwrap()
    ));
}
