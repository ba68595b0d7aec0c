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

fn told(key: &RootKey) -> Vec<u8> {
    let random = Random::system();
    let kek = countersign_keys::KekSet::generate(&random);
    kek.current().wrap(key, &random).unwrap().into_bytes()
}

fn opens(sealed: &[u8]) -> impl Fn(&RootKey) -> bool {
    let sealed = countersign_keys::Sealed::from_bytes(sealed.to_vec());
    move |key| countersign_keys::Kek::unwrap(key, &sealed).is_ok()
}

/// Every cut of a change: before the commit the one in place is in use, after it the one that waits, whether its file was moved or not.
#[test]
fn of_two_root_keys_the_one_that_opens_is_taken_at_every_cut() {
    let (cost, random) = (Cost::for_tests(), Random::system());
    let sources: [fn() -> RootSource; 2] = [
        || RootSource::File,
        || RootSource::Passphrase(Secret::new("correct horse".to_owned())),
    ];
    for source in sources {
        let data = tempfile::tempdir().unwrap();
        let old = told(&source().create(data.path(), cost, &random).unwrap());
        let next = told(&source().prepare(data.path(), cost, &random).unwrap());
        let open = |sealed: &[u8]| {
            source()
                .open_that(data.path(), opens(sealed))
                .unwrap()
                .unwrap()
        };
        // Nothing was committed.
        assert!(opens(&old)(&open(&old)));
        // It was, and the file is where it waited; from then on it is in place.
        assert!(opens(&next)(&open(&next)));
        assert!(opens(&next)(&source().open(data.path()).unwrap().unwrap()));
        assert!(!waiting(source().place(data.path())).exists());
        // What was cut off while it was written never was in use.
        std::fs::write(waiting(source().place(data.path())), "half").unwrap();
        assert!(opens(&next)(&open(&next)));
        assert!(
            !opens(&old)(&open(&old)),
            "the one in place, which does not open it"
        );
        // It is in nobody's way.
        let third = told(&source().prepare(data.path(), cost, &random).unwrap());
        source().settle(data.path()).unwrap();
        source().settle(data.path()).unwrap();
        assert!(opens(&third)(&open(&third)));
    }
}
