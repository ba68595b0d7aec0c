//! Wrapped rows: one key an owner however many make it, none after an erasure, and none in another owner's row.

use super::{KekWrapper, KeyRow, KeyRows, NewKey, WrappedKey, WrappedKeys};
use crate::fixtures::clock;
use crate::sealed::fixtures::{ALICE, BOB, CANARY, CardHolder, CardPan, tenant};
use crate::sealed::{
    CacheLimits, DataKeyError, DataKeySource as _, DataSubject, FieldKeys, KeyId, KeyOwner,
    KeyVersion, KeyWrapper, OpenError, Place, RowKey, Secret,
};
use countersign_crypto::Random;
use countersign_keys::KekSet;
use futures_util::future::{BoxFuture, join, ready};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Barrier;

/// A table: versions by owner, and `None` for those who were erased.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<BTreeMap<KeyOwner, Option<Vec<WrappedKey>>>>>);

impl Table {
    fn row(&self, owner: &KeyOwner, which: impl Fn(&WrappedKey) -> bool) -> KeyRow {
        match self.0.lock().unwrap().get(owner) {
            None => KeyRow::Absent,
            Some(None) => KeyRow::Erased,
            Some(Some(keys)) => match keys.iter().rev().find(|key| which(key)) {
                Some(key) => KeyRow::Key(key.clone()),
                None => KeyRow::Absent,
            },
        }
    }

    fn erase(&self, owner: &KeyOwner) {
        self.0.lock().unwrap().insert(owner.clone(), None);
    }

    fn copy(&self, from: &KeyOwner, to: &KeyOwner) {
        let mut table = self.0.lock().unwrap();
        let rows = table[from].clone();
        table.insert(to.clone(), rows);
    }
}

impl KeyRows for Table {
    fn newest(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        Box::pin(ready(Ok(self.row(owner, |_| true))))
    }

    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        let row = self.row(owner, |key| (key.id, key.version) == (id, version));
        Box::pin(ready(Ok(row)))
    }

    fn add(
        &self,
        owner: &KeyOwner,
        key: WrappedKey,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        let mut table = self.0.lock().unwrap();
        let keys = table
            .entry(owner.clone())
            .or_insert_with(|| Some(Vec::new()));
        if let Some(keys) = keys
            && keys.iter().all(|there| there.version != key.version)
        {
            keys.push(key);
        }
        drop(table);
        self.newest(owner)
    }
}

fn keys(table: &Table) -> WrappedKeys {
    let random = Random::system();
    let keks = Arc::new(KekSet::generate(&random));
    WrappedKeys::new(table.clone(), KekWrapper::new(keks, random.clone()), random)
}

fn owner(name: &str) -> KeyOwner {
    KeyOwner::Subject(tenant("demo"), DataSubject::parse(name).unwrap())
}

fn place(name: &str) -> Place<CardHolder> {
    let person = DataSubject::parse(name).unwrap();
    Place::about(tenant("demo"), person, RowKey::number(1))
}

fn fields(keys: &WrappedKeys) -> FieldKeys {
    FieldKeys::new(
        keys.clone(),
        CacheLimits::default(),
        clock().0,
        Random::system(),
    )
}

#[tokio::test]
async fn a_value_is_sealed_on_one_node_and_sealed_again_on_another() {
    let table = Table::default();
    let keys = keys(&table);
    let (one, other) = (fields(&keys), fields(&keys));
    let value = Secret::new(CANARY.to_owned());
    let sealed = one.seal(&value, &place(ALICE)).await.unwrap();
    assert!(
        other
            .rewrap(&sealed, &place(ALICE))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(keys.rotate(&owner(ALICE)).await, Ok(KeyVersion(2)));
    other.forget(&owner(ALICE));
    let again = other.rewrap(&sealed, &place(ALICE)).await.unwrap().unwrap();
    let ((id, first), (same, second)) = (sealed.key().unwrap(), again.key().unwrap());
    assert!(id == same && (first, second) == (KeyVersion(1), KeyVersion(2)));
    // The node that keeps the old version opens the new one: it asks for it by its name.
    assert!(one.rewrap(&again, &place(ALICE)).await.is_ok());
}

/// A wrapper that makes a key only when another one is being made, too.
struct Together(KekWrapper, Arc<Barrier>);

impl KeyWrapper for Together {
    fn make(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<NewKey, DataKeyError>> {
        let (made, barrier) = (self.0.make(owner), Arc::clone(&self.1));
        Box::pin(async move {
            barrier.wait().await;
            made.await
        })
    }

    fn unwrap(
        &self,
        owner: &KeyOwner,
        wrapped: &str,
    ) -> BoxFuture<'static, Result<Secret<[u8; 32]>, DataKeyError>> {
        self.0.unwrap(owner, wrapped)
    }
}

#[tokio::test]
async fn two_nodes_that_make_the_first_key_at_once_have_one() {
    let (table, random) = (Table::default(), Random::system());
    let keks = Arc::new(KekSet::generate(&random));
    let barrier = Arc::new(Barrier::new(2));
    let node = || {
        let wrapper = KekWrapper::new(Arc::clone(&keks), random.clone());
        let together = Together(wrapper, Arc::clone(&barrier));
        WrappedKeys::new(table.clone(), together, random.clone())
    };
    let (one, other) = (node(), node());
    let alice = owner(ALICE);
    let (one, other) = join(one.current(&alice), other.current(&alice)).await;
    assert_eq!(
        format!("{:?}", one.unwrap()),
        format!("{:?}", other.unwrap())
    );
    assert_eq!(table.0.lock().unwrap()[&alice].as_ref().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_who_was_erased_gets_a_key_again() {
    let table = Table::default();
    let keys = keys(&table);
    let fields = fields(&keys);
    let value = Secret::new(CANARY.to_owned());
    let sealed = fields.seal(&value, &place(ALICE)).await.unwrap();
    table.erase(&owner(ALICE));
    fields.forget(&owner(ALICE));
    let opened = fields.rewrap(&sealed, &place(ALICE)).await;
    assert_eq!(opened.err(), Some(OpenError::Erased));
    assert_eq!(keys.rotate(&owner(ALICE)).await, Err(DataKeyError::Erased));
    let made = keys.current(&owner(ALICE)).await;
    assert_eq!(made.err(), Some(DataKeyError::Erased));
    assert_eq!(table.row(&owner(ALICE), |_| true), KeyRow::Erased);
}

/// Who may write to the table copies a row, so that the key outlives its owner's erasure. It does not unwrap where it lies now.
#[tokio::test]
async fn a_wrapped_key_in_another_owners_row_is_none() {
    let table = Table::default();
    let keys = keys(&table);
    let fields = fields(&keys);
    let value = Secret::new(CANARY.to_owned());
    let sealed = fields.seal(&value, &place(ALICE)).await.unwrap();
    let elsewhere = [
        owner(BOB),
        KeyOwner::Subject(tenant("other"), DataSubject::parse(ALICE).unwrap()),
        KeyOwner::Tenant(tenant("demo")),
        KeyOwner::Indexes(tenant("demo")),
    ];
    for to in elsewhere {
        table.copy(&owner(ALICE), &to);
        assert_eq!(
            keys.current(&to).await.err(),
            Some(DataKeyError::Broken),
            "{to:?}"
        );
        assert_ne!(to.associated_data(), owner(ALICE).associated_data());
    }
    table.erase(&owner(ALICE));
    let of_bob = fields.rewrap(&sealed, &place(BOB)).await;
    assert_eq!(of_bob.err(), Some(OpenError::KeyBroken));
}

#[tokio::test]
async fn the_root_of_indexes_does_not_rotate() {
    let table = Table::default();
    let keys = keys(&table);
    let value = CANARY.to_owned();
    let before = fields(&keys)
        .index::<CardPan>(&value, &tenant("demo"))
        .await;
    let indexes = KeyOwner::Indexes(tenant("demo"));
    assert_eq!(keys.rotate(&indexes).await, Err(DataKeyError::Unknown));
    let after = fields(&keys)
        .index::<CardPan>(&value, &tenant("demo"))
        .await;
    assert!(before.unwrap() == after.unwrap());
    assert_eq!(table.0.lock().unwrap().len(), 1, "it is a row like others");
}

#[tokio::test]
async fn what_is_unknown_is_not_made_by_asking_for_it() {
    let table = Table::default();
    let keys = keys(&table);
    let named = keys.named(&owner(ALICE), KeyId::from_bytes([1; 8]), KeyVersion(1));
    assert_eq!(named.await.err(), Some(DataKeyError::Unknown));
    assert_eq!(keys.rotate(&owner(ALICE)).await, Err(DataKeyError::Unknown));
    assert!(table.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_key_encryption_key_unwraps_nothing() {
    let table = Table::default();
    keys(&table).current(&owner(ALICE)).await.unwrap();
    let others = keys(&table).current(&owner(ALICE)).await;
    assert_eq!(others.err(), Some(DataKeyError::Unavailable));
}
