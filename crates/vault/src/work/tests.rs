use super::*;
use serde_json::json;

fn name(text: &str) -> EntryName {
    EntryName::stored(text)
}

fn loaded(name_: &str, revision: i64, value: &serde_json::Value) -> Loaded {
    let mut loaded = Loaded::default();
    let value = Secret::new(value.to_string().into_bytes());
    loaded.entry(name(name_), Some(Entry::new(Revision(revision), value)));
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

/// What is at hand changes whenever it is asked.
struct Changing(std::sync::atomic::AtomicI64);

impl AtHand for Changing {
    fn find(&self, name: &EntryName) -> Option<Option<Entry>> {
        let times = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let value = Secret::new(times.to_string().into_bytes());
        (name.as_str() == "a").then(|| Some(Entry::new(Revision(times), value)))
    }
}

#[test]
fn what_is_at_hand_stops_no_step_and_stays_for_it_as_it_was_met_first() {
    let loaded = Loaded::beside(Arc::new(Changing(5.into())));
    let mut work = Work::new(&loaded);
    work.expect(&[name("a")]).unwrap();
    let first = work.read::<i64>(&name("a")).unwrap();
    assert_eq!(first, work.read(&name("a")).unwrap());
    assert_eq!(
        first,
        work.shared(&name("a")).unwrap().map(|shared| *shared)
    );
    let stopped = work.expect(&[name("a"), name("b")]).unwrap_err();
    assert!(matches!(stopped, Stop::Need(Need::Entries(names)) if names == [name("b")]));
    let committed = work.finish().read;
    assert_eq!(committed, [(name("a"), first.map(Revision))]);
}

#[test]
fn what_was_loaded_comes_before_what_is_at_hand() {
    let mut loaded = Loaded::beside(Arc::new(Changing(5.into())));
    loaded.entry(name("a"), None);
    let mut work = Work::new(&loaded);
    assert_eq!(work.read::<i64>(&name("a")).unwrap(), None);
    assert_eq!(work.finish().read, [(name("a"), None)]);
}

#[test]
fn what_is_shared_is_parsed_once_and_as_what_it_is_asked_for() {
    let entry = Entry::new(Revision(1), Secret::new(b"[1, 2]".to_vec()));
    let (first, second) = (
        entry.parsed::<Vec<u8>>().unwrap(),
        entry.clone().parsed().unwrap(),
    );
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(*entry.parsed::<(i64, i64)>().unwrap(), (1, 2));
    assert!(matches!(entry.parsed::<String>(), Err(VaultError::Corrupt)));
}

#[test]
fn a_step_shares_what_it_wrote_itself() {
    let loaded = loaded("a", 7, &json!(1));
    let mut work = Work::new(&loaded);
    work.put(&name("a"), &2).unwrap();
    assert_eq!(work.shared::<i64>(&name("a")).unwrap().as_deref(), Some(&2));
    work.delete(&name("a"));
    assert!(work.shared::<i64>(&name("a")).unwrap().is_none());
    assert!(work.finish().read.is_empty());
}
