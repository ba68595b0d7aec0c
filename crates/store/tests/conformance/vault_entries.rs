//! Entries of the vault: what is committed was made of what stands there, or nothing is written.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{event, tenant};
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_keys::seal_count::SealCount;
use countersign_store::StoreError;
use countersign_store::tables::vault_entries::{self, EntryChange, EntryCommit, StoredEntry};
use countersign_store::tables::vault_keys::{self, NewVaultKey, Resealed};

behaviours! {
    what_is_written_is_found_alone_and_with_others,
    what_has_changed_meanwhile_is_not_written_over,
    what_was_only_read_has_to_stand_too,
    names_are_listed_by_their_beginning_in_order_and_in_pages,
    entries_whose_time_has_come_are_told_of_every_tenant,
    of_two_that_add_one_name_one_does,
    keys_are_told_by_term,
    one_key_follows_the_one_that_seals,
    what_a_key_has_sealed_is_counted_before_it_is,
    an_entry_is_sealed_again_only_if_it_is_what_was_read_and_a_key_goes_last,
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

fn key(number: u8, term: u64) -> NewVaultKey {
    NewVaultKey {
        key: [number; 8],
        wrapped: vec![number],
        created: NOW,
        term,
    }
}

async fn add_key(fixture: &Fixture, new: NewVaultKey) {
    let add = fixture
        .store
        .write(move |tx| Box::pin(async move { vault_keys::add(tx, &tenant(), new).await }));
    add.await.unwrap();
}

async fn keys(fixture: &Fixture) -> Vec<(Vec<u8>, u64)> {
    let mut connection = fixture.store.read().await.unwrap();
    let all = vault_keys::all(&mut connection, &tenant()).await.unwrap();
    all.into_iter().map(|row| (row.key, row.term)).collect()
}

async fn keys_are_told_by_term(fixture: Fixture) {
    for (number, term) in [(2, 2), (9, 1), (2, 3), (1, 3)] {
        add_key(&fixture, key(number, term)).await;
    }
    let told = [(vec![9; 8], 1), (vec![2; 8], 2), (vec![1; 8], 3)];
    assert_eq!(keys(&fixture).await, told);
}

async fn one_key_follows_the_one_that_seals(fixture: Fixture) {
    add_key(&fixture, key(1, 1)).await;
    let store = &fixture.store;
    let follow = |after: u8, new| {
        let of = tenant();
        async move {
            store
                .follow_vault_key(&of, vec![after; 8], new, event())
                .await
        }
    };
    let at_once = (2..10).map(|number| follow(1, key(number, 2)));
    let followed = futures_util::future::join_all(at_once).await;
    let won = followed.iter().filter(|one| one.is_ok()).count();
    assert_eq!(won, 1, "{followed:?}");
    assert!(follow(1, key(10, 3)).await.is_err());
    assert_eq!(keys(&fixture).await.len(), 2);
}

async fn what_a_key_has_sealed_is_counted_before_it_is(fixture: Fixture) {
    add_key(&fixture, key(1, 1)).await;
    let block = SealCount {
        messages: 10,
        bytes: 1 << 40,
    };
    let take = |number: u8| {
        let store = fixture.store.clone();
        async move { store.take_seals(&tenant(), [number; 8], block).await }
    };
    assert_eq!(take(1).await.unwrap(), block);
    assert_eq!(take(1).await.unwrap(), block.plus(block));
    assert!(matches!(take(2).await, Err(StoreError::Superseded(_))));
}

/// The first ten bytes of an envelope say whose it is.
fn sealed_by(number: u8, content: u8) -> Vec<u8> {
    [&[0xC5, 1][..], &[number; 8], &[content]].concat()
}

async fn an_entry_is_sealed_again_only_if_it_is_what_was_read_and_a_key_goes_last(
    fixture: Fixture,
) {
    for (number, term) in [(1, 1), (2, 2)] {
        add_key(&fixture, key(number, term)).await;
    }
    let changes = ["a", "b", "c", "d"].map(|name| (name, put(1, &sealed_by(1, 0))));
    written(&fixture, commit(&[], changes.into()))
        .await
        .unwrap();
    let (store, newest) = (&fixture.store, [2; 8]);
    let mut connection = store.read().await.unwrap();
    let page = vault_keys::older(&mut connection, &tenant(), "a", &newest, 2).await;
    let names: Vec<String> = page.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b", "c"]);
    let count = vault_keys::count_older(&mut connection, &tenant(), &newest).await;
    assert_eq!(count.unwrap(), 4);
    drop(connection);
    // One is deleted and one written anew between reading and writing.
    let meanwhile = vec![("a", EntryChange::Delete), ("b", put(2, &sealed_by(2, 7)))];
    written(&fixture, commit(&[], meanwhile)).await.unwrap();
    let again = |name: &str| Resealed {
        name: name.to_owned(),
        old: sealed_by(1, 0),
        new: sealed_by(2, 0),
    };
    let all = ["a", "b", "c"].map(again);
    let resealed = store.reseal_entries(&tenant(), all.into()).await;
    assert_eq!(resealed.unwrap(), 1);
    assert_eq!(found(&fixture, "a").await, None);
    assert_eq!(found(&fixture, "b").await.unwrap().sealed, sealed_by(2, 7));
    let c = found(&fixture, "c").await.unwrap();
    assert_eq!(
        (c.revision, c.sealed),
        (1, sealed_by(2, 0)),
        "it is the same writing"
    );

    let of = tenant();
    let destroy = || store.destroy_vault_keys(&of, vec![vec![1; 8]], event());
    assert_eq!(destroy().await.unwrap(), 0, "`d` is under it");
    let d = store.reseal_entries(&tenant(), vec![again("d")]).await;
    assert_eq!((d.unwrap(), destroy().await.unwrap()), (1, 1));
    assert_eq!(keys(&fixture).await, [(vec![2; 8], 2)]);
}
