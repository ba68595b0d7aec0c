//! Entries of the vault: what is committed was made of what stands there, or nothing is written.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::tenant;
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_store::StoreError;
use countersign_store::tables::vault_entries::{self, EntryChange, EntryCommit, StoredEntry};
use countersign_store::tables::vault_keys;

behaviours! {
    what_is_written_is_found_alone_and_with_others,
    what_has_changed_meanwhile_is_not_written_over,
    what_was_only_read_has_to_stand_too,
    names_are_listed_by_their_beginning_in_order_and_in_pages,
    entries_whose_time_has_come_are_told_of_every_tenant,
    of_two_that_add_one_name_one_does,
    keys_are_told_in_the_order_they_were_made,
}

fn put(revision: i64, value: &[u8]) -> EntryChange {
    EntryChange::Put {
        revision,
        sealed: value.to_vec(),
        due: None,
    }
}

fn commit(read: &[(&str, Option<i64>)], changes: Vec<(&str, EntryChange)>) -> EntryCommit {
    let owned = |name: &str| name.to_owned();
    EntryCommit {
        read: read
            .iter()
            .map(|(name, seen)| (owned(name), *seen))
            .collect(),
        changes: changes
            .into_iter()
            .map(|(name, change)| (owned(name), change))
            .collect(),
    }
}

async fn written(fixture: &Fixture, commit: EntryCommit) -> Result<(), StoreError> {
    fixture.store.commit_entries(&tenant(), commit).await
}

async fn found(fixture: &Fixture, name: &str) -> Option<StoredEntry> {
    let mut connection = fixture.store.read().await.unwrap();
    vault_entries::find(&mut connection, &tenant(), name)
        .await
        .unwrap()
}

fn superseded(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Superseded("vault_entries")))
}

async fn what_is_written_is_found_alone_and_with_others(fixture: Fixture) {
    let changes = vec![("a", put(1, b"one")), ("b/ü", put(2, b"two"))];
    written(&fixture, commit(&[], changes)).await.unwrap();
    let one = StoredEntry {
        revision: 1,
        sealed: b"one".to_vec(),
    };
    assert_eq!(found(&fixture, "a").await, Some(one));
    assert_eq!(found(&fixture, "c").await, None);
    let mut connection = fixture.store.read().await.unwrap();
    let mut all = vault_entries::find_all(&mut connection, &tenant(), &["b/ü", "c", "a"])
        .await
        .unwrap();
    all.sort_by(|left, right| left.0.cmp(&right.0));
    let names: Vec<_> = all
        .iter()
        .map(|(name, entry)| (name.as_str(), entry.revision))
        .collect();
    assert_eq!(names, [("a", 1), ("b/ü", 2)]);
    let other: Tenant = "other".parse().unwrap();
    assert_eq!(
        vault_entries::find(&mut connection, &other, "a")
            .await
            .unwrap(),
        None
    );
}

async fn what_has_changed_meanwhile_is_not_written_over(fixture: Fixture) {
    written(&fixture, commit(&[], vec![("a", put(1, b"one"))]))
        .await
        .unwrap();
    let second = commit(&[("a", Some(1))], vec![("a", put(2, b"two"))]);
    written(&fixture, second.clone()).await.unwrap();
    assert!(superseded(written(&fixture, second).await));
    let gone = commit(
        &[("a", Some(1))],
        vec![("a", EntryChange::Delete), ("b", put(3, b""))],
    );
    assert!(superseded(written(&fixture, gone).await));
    assert_eq!(found(&fixture, "b").await, None);
    assert_eq!(found(&fixture, "a").await.unwrap().sealed, b"two");
    let gone = commit(&[("a", Some(2))], vec![("a", EntryChange::Delete)]);
    written(&fixture, gone).await.unwrap();
    assert_eq!(found(&fixture, "a").await, None);
}

async fn what_was_only_read_has_to_stand_too(fixture: Fixture) {
    written(&fixture, commit(&[], vec![("token", put(1, b""))]))
        .await
        .unwrap();
    let lease = |seen| commit(&[("token", seen)], vec![("lease", put(2, b""))]);
    assert!(superseded(written(&fixture, lease(None)).await));
    assert!(superseded(written(&fixture, lease(Some(7))).await));
    assert_eq!(found(&fixture, "lease").await, None);
    written(&fixture, lease(Some(1))).await.unwrap();
    assert!(found(&fixture, "lease").await.is_some());
}

async fn names_are_listed_by_their_beginning_in_order_and_in_pages(fixture: Fixture) {
    let names = ["a/1", "a/10", "a/2", "a/Z", "a/ü", "a", "ab", "b/1"];
    let changes = names.iter().map(|name| (*name, put(1, b""))).collect();
    written(&fixture, commit(&[], changes)).await.unwrap();
    let mut connection = fixture.store.read().await.unwrap();
    let page = vault_entries::names(&mut connection, &tenant(), "a/", None, 3).await;
    assert_eq!(page.unwrap(), ["a/1", "a/10", "a/2"]);
    let page = vault_entries::names(&mut connection, &tenant(), "a/", Some("a/2"), 3).await;
    assert_eq!(page.unwrap(), ["a/Z", "a/ü"]);
}

async fn entries_whose_time_has_come_are_told_of_every_tenant(fixture: Fixture) {
    let at = |seconds: u64| EntryChange::Put {
        revision: 1,
        sealed: Vec::new(),
        due: Some(NOW.plus(Duration::from_secs(seconds))),
    };
    let changes = vec![("later", at(60)), ("now", at(0)), ("never", put(1, b""))];
    written(&fixture, commit(&[], changes)).await.unwrap();
    let due = async |now: UnixTime| {
        let mut connection = fixture.store.read().await.unwrap();
        vault_entries::due(&mut connection, now, 10).await.unwrap()
    };
    assert_eq!(due(NOW).await, [(tenant(), "now".to_owned())]);
    let all = due(NOW.plus(Duration::from_secs(60))).await;
    assert_eq!(
        all,
        [(tenant(), "now".to_owned()), (tenant(), "later".to_owned())]
    );
}

async fn of_two_that_add_one_name_one_does(fixture: Fixture) {
    let add = |revision| commit(&[("a", None)], vec![("a", put(revision, b""))]);
    let (first, second) = tokio::join!(written(&fixture, add(1)), written(&fixture, add(2)));
    assert_eq!(
        [first.is_ok(), second.is_ok()]
            .iter()
            .filter(|ok| **ok)
            .count(),
        1
    );
    assert!(superseded(first) || superseded(second));
}

async fn keys_are_told_in_the_order_they_were_made(fixture: Fixture) {
    for (key, at) in [([2; 8], 1), ([1; 8], 2), ([2; 8], 3)] {
        let at = NOW.plus(Duration::from_secs(at));
        let wrapped = key.to_vec();
        let add = fixture.store.write(move |tx| {
            Box::pin(async move { vault_keys::add(tx, &tenant(), key, wrapped, at).await })
        });
        add.await.unwrap();
    }
    let mut connection = fixture.store.read().await.unwrap();
    let all = vault_keys::all(&mut connection, &tenant()).await.unwrap();
    assert_eq!(all, [(vec![2; 8], vec![2; 8]), (vec![1; 8], vec![1; 8])]);
}
