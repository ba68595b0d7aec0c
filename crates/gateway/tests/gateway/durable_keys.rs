//! Idempotency keys in the database: there after a restart, and one truth of all nodes on it.
//!
//! On SQLite always; with several nodes on PostgreSQL if `COUNTERSIGN_TEST_POSTGRES` names a server, otherwise a line says that this half is skipped.

use crate::backend::{Act, Backend, upstream};
use crate::shared_keys::{post, was_replayed};
use crate::world::{BOB, Setup, World, status};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::mac::MacKey;
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_keys::KekSet;
use countersign_store::idempotency::{DurableKeys, KeyRegistry};
use countersign_store::{Store, StoreOptions, StoreUrl};
use countersign_testkit::system_clock;
use futures_util::future::join_all;
use sqlx::Connection as _;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const KEY: Option<&str> = Some("8e03978e-40d5-43e8");

fn required() -> IdempotencySpec {
    IdempotencySpec {
        need: KeyNeed::Optional,
        key_bytes_min: 16,
        described_by: Some("https://docs.example/keys".into()),
        keep: Duration::from_secs(600),
        upstream: UpstreamKeys::Ignored,
    }
}

/// A database and the keys under which processes seal in it.
struct Installation {
    options: StoreOptions,
    keks: Arc<KekSet>,
    _directory: Option<TempDir>,
}

impl Installation {
    fn of(options: StoreOptions, directory: Option<TempDir>) -> Self {
        Self {
            options,
            keks: Arc::new(KekSet::generate(&Random::system())),
            _directory: directory,
        }
    }

    fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(directory.path().join("state.db"));
        Self::of(StoreOptions::new(url), Some(directory))
    }

    /// Absent, with a line that says why, where there is no server.
    async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let schema = format!("gateway_{}", Random::system().event_id());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        let options = StoreOptions {
            url: server.parse().unwrap(),
            schema: Some(schema),
        };
        Some(Self::of(options, None))
    }

    /// A gateway that was just started on it, before `backend`.
    async fn gateway(&self, backend: &Backend) -> (World, Store) {
        let clock = system_clock();
        let store = Store::open(&self.options, clock.now()).await.unwrap();
        let keks = Arc::clone(&self.keks);
        let keys = DurableKeys::new(
            store.clone(),
            Arc::new(move || Arc::clone(&keks)),
            MacKey::new(Secret::new([7; 32])),
            Random::system(),
            clock,
        );
        let world = World::with(Setup {
            shared_keys: Some(KeyRegistry::Store(keys)),
            ..Setup::default()
        });
        world.reach(upstream(&[backend.address]), |route| {
            route.idempotency = Some(required());
        });
        (world, store)
    }
}

#[tokio::test]
async fn an_answer_is_there_after_a_restart() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Answer(201)).await;
    let (world, store) = installation.gateway(&backend).await;
    let first = post(&world, None, KEY, "abc").await;
    assert_eq!((status(&first), was_replayed(&first)), (201, false));
    // Quoted it is the same key.
    let again = post(&world, None, Some("\"8e03978e-40d5-43e8\""), "abc").await;
    assert!(was_replayed(&again), "{again}");
    backend.act(Act::Answer(500));
    let failed = post(&world, None, Some("failed-16-charact"), "abc").await;
    assert_eq!(status(&failed), 500);
    backend.act(Act::Bytes(300 * 1_024));
    let large = post(&world, None, Some("large-16-character"), "abc").await;
    assert_eq!(status(&large), 200);
    backend.act(Act::Answer(201));
    world.stop().await;
    store.close().await;

    let (world, store) = installation.gateway(&backend).await;
    let again = post(&world, None, KEY, "abc").await;
    assert_eq!((status(&again), was_replayed(&again)), (201, true));
    assert!(again.ends_with("1 of 3"), "{again}");
    assert_eq!(status(&post(&world, None, KEY, "abd").await), 422);
    let failed = post(&world, None, Some("failed-16-charact"), "abc").await;
    assert_eq!((status(&failed), was_replayed(&failed)), (500, true));
    let large = post(&world, None, Some("large-16-character"), "abc").await;
    assert_eq!(status(&large), 409, "it was not kept");
    assert_eq!(backend.hits(), 3);
    let bob = post(&world, Some(BOB), KEY, "abc").await;
    assert!(bob.ends_with("4 of 3") && !was_replayed(&bob), "{bob}");
    world.stop().await;
    store.close().await;
}

#[tokio::test]
async fn who_was_killed_before_the_answer_is_not_followed_by_a_second_execution() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Wait).await;
    let (killed, _store) = installation.gateway(&backend).await;
    let mut first = Box::pin(post(&killed, None, KEY, "abc"));
    let reached = async {
        backend.reached(1).await;
    };
    tokio::select! {
        answer = &mut first => panic!("{answer}"),
        () = reached => {}
    }
    // It says nothing any more: a process that starts on the file is the only one.
    let (world, _other) = installation.gateway(&backend).await;
    for _ in 0..2 {
        let told = post(&world, None, KEY, "abc").await;
        assert_eq!(status(&told), 409, "{told}");
        assert!(told.contains("idempotency_outcome_unknown"), "{told}");
        assert!(!told.contains("retry-after"), "{told}");
    }
    assert_eq!(status(&post(&world, None, KEY, "abd").await), 422);
    assert_eq!(backend.hits(), 1);
    backend.release();
}

#[tokio::test]
async fn of_100_at_once_one_is_passed_on() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Wait).await;
    let (world, _store) = installation.gateway(&backend).await;
    let all = join_all((0..100).map(|_| post(&world, None, KEY, "abc")));
    let release = async {
        backend.reached(1).await;
        backend.release();
    };
    let (answers, ()) = tokio::join!(all, release);
    assert_eq!(backend.hits(), 1);
    for answer in &answers {
        let answered = status(answer) == 200 && answer.ends_with("1 of 3");
        assert!(answered, "{answer:?}");
    }
    let first = answers.iter().filter(|answer| !was_replayed(answer));
    assert_eq!(first.count(), 1);
}

#[tokio::test]
async fn two_nodes_pass_it_on_once() {
    let Some(installation) = Installation::postgres().await else {
        return;
    };
    let backend = Backend::start(Act::Wait).await;
    let (one, first_store) = installation.gateway(&backend).await;
    let (other, second_store) = installation.gateway(&backend).await;
    let both = [&one, &other];
    let all = join_all((0..60).map(|number| post(both[number % 2], None, KEY, "abc")));
    let release = async {
        backend.reached(1).await;
        let told = post(&other, None, KEY, "abd").await;
        assert_eq!(status(&told), 422, "{told}");
        backend.release();
    };
    let (answers, ()) = tokio::join!(all, release);
    assert_eq!(backend.hits(), 1);
    for answer in &answers {
        // At the other node it is under way, or answered already.
        assert!([200, 409].contains(&status(answer)), "{answer}");
    }
    for node in both {
        let again = post(node, None, KEY, "abc").await;
        assert!(was_replayed(&again) && again.ends_with("1 of 3"), "{again}");
    }
    // A node that goes leaves its answers.
    one.stop().await;
    first_store.close().await;
    assert!(was_replayed(&post(&other, None, KEY, "abc").await));
    other.stop().await;
    second_store.close().await;
}

#[tokio::test]
async fn what_surely_did_nothing_leaves_the_key_free_and_what_broke_off_does_not() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Later(503)).await;
    let (world, store) = installation.gateway(&backend).await;
    assert_eq!(status(&post(&world, None, KEY, "abc").await), 503);
    backend.act(Act::Answer(200));
    let answer = post(&world, None, KEY, "abc").await;
    assert_eq!((status(&answer), was_replayed(&answer)), (200, false));
    backend.act(Act::Break);
    let broken = Some("broken-16-characters");
    assert_eq!(status(&post(&world, None, broken, "abc").await), 502);
    backend.act(Act::Answer(200));
    let hits = backend.hits();
    // The writing of the end goes on when its request does not: it is under way, then unknown.
    for _ in 0..2 {
        assert_eq!(status(&post(&world, None, broken, "abc").await), 409);
    }
    world.stop().await;
    store.close().await;
    let (world, _store) = installation.gateway(&backend).await;
    let told = post(&world, None, broken, "abc").await;
    assert!(told.contains("idempotency_outcome_unknown"), "{told}");
    assert_eq!(backend.hits(), hits);
}

#[tokio::test]
async fn while_the_database_is_away_nothing_with_a_key_is_passed_on() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Answer(200)).await;
    let (world, store) = installation.gateway(&backend).await;
    store.close().await;
    let away = post(&world, None, KEY, "abc").await;
    assert_eq!(status(&away), 503, "{away}");
    assert!(away.contains("idempotency_away") && away.contains("retry-after: 1"));
    assert_eq!(backend.hits(), 0);
    // A request without a key asks nobody.
    assert_eq!(status(&post(&world, None, None, "abc").await), 200);
}

#[tokio::test]
async fn a_refusal_is_a_problem_that_links_to_the_rules() {
    let installation = Installation::sqlite();
    let backend = Backend::start(Act::Answer(200)).await;
    let (world, _store) = installation.gateway(&backend).await;
    let told = post(&world, None, Some("fifteen-charact"), "abc").await;
    assert_eq!(status(&told), 400);
    for part in [
        "content-type: application/problem+json",
        "link: <https://docs.example/keys>; rel=\"describedby\"",
        "\"code\":\"idempotency_key_short\"",
        "\"kept_seconds\":600",
        "\"type\":\"https://docs.example/keys#idempotency_key_short\"",
        "\"request_id\":",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(backend.hits(), 0);
}
