use super::*;
use serde_json::json;

fn name(text: &str) -> EntryName {
    EntryName::stored(text)
}

fn loaded(name_: &str, revision: i64, value: &serde_json::Value) -> Loaded {
    let mut loaded = Loaded::default();
    let value = Secret::new(value.to_string().into_bytes());
    loaded.entry(
        name(name_),
        Some(Entry {
            revision: Revision(revision),
            value,
        }),
    );
    loaded
}

#[test]
fn what_is_not_loaded_stops_the_step_and_is_named() {
    let loaded = Loaded::default();
    let mut work = Work::new(&loaded);
    let stopped = work.read::<serde_json::Value>(&name("a")).unwrap_err();
    assert!(matches!(stopped, Stop::Need(Need::Entries(names)) if names == [name("a")]));
    let stopped = work.expect(&[name("a"), name("b")]).unwrap_err();
    assert!(matches!(stopped, Stop::Need(Need::Entries(names)) if names == [name("a"), name("b")]));
    let listing = Listing {
        prefix: "a/".to_owned(),
        after: None,
        limit: 3,
    };
    assert!(
        matches!(work.names(&listing).unwrap_err(), Stop::Need(Need::Names(asked)) if asked == listing)
    );
}

#[test]
fn a_step_reads_what_it_wrote_and_commits_with_what_it_read() {
    let loaded = loaded("a", 7, &json!(1));
    let mut work = Work::new(&loaded);
    assert_eq!(work.read::<i64>(&name("a")).unwrap(), Some(1));
    work.put(&name("a"), &2).unwrap();
    assert_eq!(work.read::<i64>(&name("a")).unwrap(), Some(2));
    work.delete(&name("a"));
    assert_eq!(work.read::<i64>(&name("a")).unwrap(), None);
    let commit = work.finish();
    assert_eq!(commit.read, [(name("a"), Some(Revision(7)))]);
    assert!(matches!(
        commit.changes.get(&name("a")),
        Some(Change::Delete)
    ));
}

#[test]
fn a_value_that_is_too_long_is_refused_and_not_written() {
    let loaded = Loaded::default();
    let mut work = Work::new(&loaded);
    let long = "x".repeat(VALUE_BYTES_MAX);
    assert!(matches!(
        work.put(&name("a"), &long),
        Err(Stop::Refused(VaultError::TooLarge))
    ));
    assert!(work.finish().changes.is_empty());
}
