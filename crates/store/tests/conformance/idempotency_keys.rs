//! Idempotency keys: one first under each, whoever asks and after whatever end.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{other_tenant, tenant};
use countersign_base::{Clock, Duration, Secret, Tenant, UnixMillis};
use countersign_crypto::Random;
use countersign_crypto::mac::MacKey;
use countersign_keys::KekSet;
use countersign_store::idempotency::{BYTES_CALLER_MAX, DurableHeld, DurableKeys, KeysAway, Told};
use countersign_store::redis::{Found, KeyEnd, RUNNING_MAX, SharedKey};
use countersign_store::{Store, Sweep, Swept};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

behaviours! {
    one_of_100_at_once_is_the_first,
    an_answer_is_there_after_a_restart_and_at_another_node,
    what_ran_when_its_process_died_is_not_done_again,
    a_first_that_was_given_up_changes_nothing,
    another_question_caller_or_tenant_meets_nothing_of_it,
    what_is_over_is_new_and_goes,
    a_key_that_runs_is_not_swept,
    what_was_not_carried_out_leaves_the_key_free,
    an_answer_is_sealed_for_its_place,
    who_leaves_before_it_is_known_leaves_the_key_free,
    who_has_too_much_gets_no_more,
}

const KEEP: Duration = Duration::from_secs(3600);

/// What all processes of an installation have in common.
struct Installation {
    keks: Arc<KekSet>,
    seconds: Arc<AtomicI64>,
}

impl Installation {
    fn new() -> Self {
        let keks = KekSet::generate(&Random::system());
        Self {
            keks: Arc::new(keks),
            seconds: Arc::new(AtomicI64::new(NOW.0)),
        }
    }

    /// A process of it.
    fn process(&self, store: Store) -> DurableKeys {
        let (keks, seconds) = (Arc::clone(&self.keks), Arc::clone(&self.seconds));
        let clock = Clock::from_fn(move || UnixMillis(seconds.load(Ordering::SeqCst) * 1000));
        let names = MacKey::new(Secret::new([9; 32]));
        let random = Random::system();
        DurableKeys::new(
            store,
            Arc::new(move || Arc::clone(&keks)),
            names,
            random,
            clock,
        )
    }

    fn pass(&self, time: Duration) {
        let seconds = i64::try_from(time.as_secs()).unwrap();
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

struct Asked {
    tenant: Tenant,
    caller: [u8; 32],
    name: [u8; 32],
    fingerprint: [u8; 32],
}

fn asked(caller: u8, name: u8, fingerprint: u8) -> Asked {
    Asked {
        tenant: tenant(),
        caller: [caller; 32],
        name: [name; 32],
        fingerprint: [fingerprint; 32],
    }
}

async fn begin(keys: &DurableKeys, asked: &Asked) -> Result<Found<DurableHeld>, KeysAway> {
    let key = SharedKey {
        tenant: &asked.tenant,
        caller: &asked.caller,
        name: &asked.name,
        fingerprint: &asked.fingerprint,
    };
    keys.begin(key, KEEP).await
}

/// What whoever asks is told, in a word.
async fn told(keys: &DurableKeys, asked: &Asked) -> String {
    match begin(keys, asked).await {
        Ok(Found::Answered(answer)) => String::from_utf8(answer.expose().clone()).unwrap(),
        Ok(Found::Mismatch) => "mismatch".to_owned(),
        Ok(Found::NotKept) => "not kept".to_owned(),
        Ok(Found::Run(_)) => "run".to_owned(),
        Ok(Found::Running) => "running".to_owned(),
        Ok(Found::Unknown) => "unknown".to_owned(),
        Err(error) => format!("{error}"),
    }
}

async fn first(keys: &DurableKeys, asked: &Asked) -> DurableHeld {
    match begin(keys, asked).await.unwrap() {
        Found::Run(held) => held,
        _ => panic!("not the first"),
    }
}

fn answer(text: &str) -> KeyEnd {
    KeyEnd::Answered(text.as_bytes().to_vec())
}

async fn one_of_100_at_once_is_the_first(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let all = join_all((0..100).map(|_| {
        let keys = keys.clone();
        tokio::spawn(async move { begin(&keys, &asked(1, 1, 1)).await.unwrap() })
    }));
    let (mut firsts, mut running) = (Vec::new(), 0);
    for found in all.await {
        match found.unwrap() {
            Found::Run(held) => firsts.push(held),
            Found::Running => running += 1,
            _ => panic!("neither the first nor told to wait"),
        }
    }
    assert_eq!((firsts.len(), running), (1, 99));
    assert_eq!(firsts.remove(0).end(answer("done")).await, Told::Durable);
    assert_eq!(told(&keys, &asked(1, 1, 1)).await, "done");
}

async fn an_answer_is_there_after_a_restart_and_at_another_node(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let held = first(&keys, &asked(1, 1, 1)).await;
    assert_eq!(held.end(answer("done")).await, Told::Durable);
    let held = first(&keys, &asked(1, 2, 1)).await;
    assert_eq!(held.end(KeyEnd::NotKept).await, Told::Durable);
    let store = fixture.opened_again().await;
    let again = installation.process(store.clone());
    assert_eq!(told(&again, &asked(1, 1, 1)).await, "done");
    assert_eq!(told(&again, &asked(1, 1, 2)).await, "mismatch");
    assert_eq!(told(&again, &asked(1, 2, 1)).await, "not kept");
    store.close().await;
}

async fn what_ran_when_its_process_died_is_not_done_again(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    // Killed between execution and answer: nobody says anything.
    std::mem::forget(first(&keys, &asked(1, 1, 1)).await);
    assert_eq!(told(&keys, &asked(1, 1, 1)).await, "running");
    let store = fixture.opened_again().await;
    let again = installation.process(store.clone());
    // Where nodes share the database another may be at work; where none do, that one is gone.
    let said = if store.is_shared() {
        "running"
    } else {
        "unknown"
    };
    assert_eq!(told(&again, &asked(1, 1, 1)).await, said);
    installation.pass(RUNNING_MAX);
    assert_eq!(told(&again, &asked(1, 1, 1)).await, said);
    installation.pass(Duration::from_secs(1));
    assert_eq!(told(&again, &asked(1, 1, 1)).await, "unknown");
    assert_eq!(told(&keys, &asked(1, 1, 1)).await, "unknown");
    // What a process knows not to know it says at once.
    let held = first(&keys, &asked(1, 2, 1)).await;
    assert_eq!(held.end(KeyEnd::Unknown).await, Told::Durable);
    assert_eq!(told(&again, &asked(1, 2, 1)).await, "unknown");
    store.close().await;
}

async fn a_first_that_was_given_up_changes_nothing(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let slow = first(&keys, &asked(1, 1, 1)).await;
    installation.pass(KEEP);
    let other = first(&keys, &asked(1, 1, 2)).await;
    assert_eq!(slow.end(answer("late")).await, Told::Lost);
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "running");
    assert_eq!(other.end(answer("done")).await, Told::Durable);
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "done");
    // Nor does it free what is not its own.
    let slow = first(&keys, &asked(1, 3, 1)).await;
    installation.pass(KEEP);
    let other = first(&keys, &asked(1, 3, 1)).await;
    assert_eq!(slow.end(KeyEnd::Free).await, Told::Lost);
    assert_eq!(told(&keys, &asked(1, 3, 1)).await, "running");
    assert_eq!(other.end(KeyEnd::Free).await, Told::Durable);
}

async fn another_question_caller_or_tenant_meets_nothing_of_it(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let held = first(&keys, &asked(1, 1, 1)).await;
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "mismatch");
    assert_eq!(held.end(answer("done")).await, Told::Durable);
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "mismatch");
    let elsewhere = Asked {
        tenant: other_tenant(),
        ..asked(1, 1, 1)
    };
    assert_eq!(told(&keys, &elsewhere).await, "run");
    assert_eq!(told(&keys, &asked(1, 1, 1)).await, "done");
}

async fn what_is_over_is_new_and_goes(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    for name in 1..=3 {
        let held = first(&keys, &asked(1, name, 1)).await;
        assert_eq!(held.end(answer("done")).await, Told::Durable);
    }
    installation.pass(Duration::from_secs(KEEP.as_secs() - 1));
    assert_eq!(told(&keys, &asked(1, 1, 1)).await, "done");
    installation.pass(Duration::from_secs(1));
    // Also for another question.
    let held = first(&keys, &asked(1, 1, 2)).await;
    assert_eq!(held.end(answer("again")).await, Told::Durable);
    let sweep = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "idempotency_keys")
        .unwrap();
    let later = NOW.plus(KEEP).plus(Duration::from_secs(1));
    assert_eq!(
        fixture.store.sweep(sweep, later).await.unwrap(),
        Swept::Clean
    );
    assert_eq!(rows(&fixture).await, 1);
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "again");
}

async fn a_key_that_runs_is_not_swept(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let asked = asked(1, 1, 1);
    let key = SharedKey {
        tenant: &asked.tenant,
        caller: &asked.caller,
        name: &asked.name,
        fingerprint: &asked.fingerprint,
    };
    let Found::Run(held) = keys.begin(key, Duration::from_secs(10)).await.unwrap() else {
        panic!("not the first")
    };
    let later = NOW.plus(Duration::from_secs(600));
    fixture.store.sweep_all(later).await.unwrap();
    installation.pass(Duration::from_secs(600));
    assert_eq!(told(&keys, &asked).await, "running");
    // Its time is over when it ends.
    assert_eq!(held.end(answer("done")).await, Told::Durable);
    assert_eq!(told(&keys, &asked).await, "run");
}

async fn what_was_not_carried_out_leaves_the_key_free(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let held = first(&keys, &asked(1, 1, 1)).await;
    assert_eq!(held.end(KeyEnd::Free).await, Told::Durable);
    assert_eq!(rows(&fixture).await, 0);
    assert_eq!(told(&keys, &asked(1, 1, 2)).await, "run");
}

async fn an_answer_is_sealed_for_its_place(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    for (name, print) in [(1, 1), (2, 1)] {
        let held = first(&keys, &asked(1, name, print)).await;
        assert_eq!(
            held.end(answer("a canary that nobody reads")).await,
            Told::Durable
        );
    }
    let sealed = sealed(&fixture).await;
    assert_eq!(sealed.len(), 2);
    for sealed in sealed {
        assert!(sealed.len() > 26 && !sealed.windows(6).any(|part| part == b"canary"));
    }
    // Moved to the other row, or beside another question, it is no answer.
    fixture
        .sql("UPDATE idempotency_keys SET sealed = (SELECT sealed FROM idempotency_keys ORDER BY sealed LIMIT 1)")
        .await;
    let mut said = [
        told(&keys, &asked(1, 1, 1)).await,
        told(&keys, &asked(1, 2, 1)).await,
    ];
    said.sort();
    let refused = "the answer under the key does not open";
    assert_eq!(said, ["a canary that nobody reads", refused]);
}

async fn who_leaves_before_it_is_known_leaves_the_key_free(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    for name in 0..20 {
        let asked = asked(1, name, 1);
        let mut asking = Box::pin(begin(&keys, &asked));
        // Begun, and left at some point on its way.
        for _ in 0..name {
            if futures_util::poll!(asking.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(asking);
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rows(&fixture).await > 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

async fn who_has_too_much_gets_no_more(fixture: Fixture) {
    let installation = Installation::new();
    let keys = installation.process(fixture.store.clone());
    let held = first(&keys, &asked(1, 1, 1)).await;
    assert_eq!(held.end(answer("done")).await, Told::Durable);
    assert_eq!(BYTES_CALLER_MAX, 1_073_741_824);
    fixture
        .sql("UPDATE idempotency_keys SET bytes = 1073741824")
        .await;
    let again = installation.process(fixture.store.clone());
    let no_room = "there is no room for another key";
    assert_eq!(told(&again, &asked(1, 2, 1)).await, no_room);
    assert_eq!(told(&again, &asked(2, 2, 1)).await, "run");
    // Time, and what is swept, make room.
    installation.pass(KEEP);
    let later = NOW.plus(KEEP).plus(Duration::from_secs(1));
    fixture.store.sweep_all(later).await.unwrap();
    assert_eq!(told(&again, &asked(1, 2, 1)).await, "run");
}

async fn rows(fixture: &Fixture) -> i64 {
    fixture.count("SELECT COUNT(*) FROM idempotency_keys").await
}

async fn sealed(fixture: &Fixture) -> Vec<Vec<u8>> {
    fixture
        .bytes("SELECT sealed FROM idempotency_keys WHERE sealed IS NOT NULL")
        .await
}
