//! Keys in a real PostgreSQL: one first of many, and an answer that is committed with the effects of its handler or not at all.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail it by panicking"
)]

use bytes::Bytes;
use countersign_base::UnixTime;
use countersign_crypto::Random;
use countersign_guard::idempotency::postgres::{ADD_CALLER, CompleteError, PostgresKeys, SCHEMA};
use countersign_guard::idempotency::storage::{
    AfterLease, Claim, Claimed, Ended, Ending, FencingToken, IdempotencyStorage as _, Known,
};
use countersign_guard::idempotency::{Answer, Execution};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

const NOW: UnixTime = UnixTime(1_800_000_000);
const LEASE: i64 = 10;
const KEPT: i64 = 100;

/// A service's database, and a row that its handlers change. Absent, with a line that says why, where there is no server.
async fn database() -> Option<PgPool> {
    let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
        eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
        return None;
    };
    let schema = format!("guard_{}", Random::system().event_id());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let options: PgConnectOptions = server.parse().unwrap();
    let options = options.options([("search_path", schema.as_str())]);
    let pool = PgPoolOptions::new().max_connections(8);
    let pool = pool.connect_with(options).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    let table = "CREATE TABLE account (balance BIGINT NOT NULL); INSERT INTO account VALUES (100)";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    Some(pool)
}

fn claim(name: u8, fingerprint: u8, after_seconds: i64) -> Claim {
    let now = UnixTime(NOW.0 + after_seconds);
    Claim {
        name: [name; 32],
        caller: [1; 32],
        fingerprint: [fingerprint; 32],
        token: FencingToken::from_bytes(Random::system().bytes()),
        now,
        lease_ends: UnixTime(now.0 + LEASE),
        expires: UnixTime(now.0 + KEPT),
        after_lease: AfterLease::OutcomeUnknown,
    }
}

fn again(name: u8, after_seconds: i64) -> Claim {
    Claim {
        after_lease: AfterLease::RunAgain,
        ..claim(name, 1, after_seconds)
    }
}

fn answer(text: &'static str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("location", HeaderValue::from_static("/charges/7"));
    let body = Bytes::from_static(text.as_bytes());
    Answer::new(StatusCode::CREATED, &headers, body).unwrap()
}

async fn word(keys: &PostgresKeys, claim: Claim) -> String {
    match keys.claim(claim).await.unwrap() {
        Claimed::First { attempt } => format!("first {attempt}"),
        Claimed::NoRoom => "no room".to_owned(),
        Claimed::Known(Known::Answered(answer)) => {
            assert_eq!(answer.headers()["location"], "/charges/7");
            String::from_utf8(answer.body().to_vec()).unwrap()
        }
        Claimed::Known(known) => format!("{known:?}"),
    }
}

async fn balance(pool: &PgPool) -> i64 {
    let query = sqlx::query_scalar("SELECT balance FROM account");
    query.fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_at_once_one_is_first_and_its_answer_is_there_for_all() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool.clone());
    let all = join_all((0..100).map(|_| {
        let keys = keys.clone();
        tokio::spawn(async move {
            let claim = claim(1, 1, 0);
            let token = claim.token;
            (keys.claim(claim).await.unwrap(), token)
        })
    }));
    let mut firsts = Vec::new();
    for settled in all.await {
        match settled.unwrap() {
            (Claimed::First { attempt: 1 }, token) => firsts.push(token),
            (Claimed::Known(Known::Running), _) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
    let [token] = firsts.try_into().unwrap();
    assert_eq!(word(&keys, claim(1, 2, 0)).await, "Mismatch");
    let ended = keys.end([1; 32], token, Ending::Answered(answer("done")));
    assert_eq!(ended.await.unwrap(), Ended::Kept);
    // Another process, after a restart.
    let keys = PostgresKeys::new(pool);
    assert_eq!(word(&keys, claim(1, 1, KEPT - 1)).await, "done");
    assert_eq!(word(&keys, claim(1, 2, KEPT - 1)).await, "Mismatch");
    assert_eq!(word(&keys, claim(1, 2, KEPT)).await, "first 1");
}

#[tokio::test]
async fn ends_are_kept_for_the_token_that_the_key_has() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool);
    for (name, ending, told) in [
        (1, Ending::NotKept, "NotKept"),
        (2, Ending::Unknown, "Unknown"),
        (3, Ending::Free, "first 1"),
    ] {
        let first = claim(name, 1, 0);
        let token = first.token;
        assert_eq!(word(&keys, first).await, "first 1");
        let other = FencingToken::from_bytes([0; 16]);
        let lost = keys.end([name; 32], other, ending.clone());
        assert_eq!(lost.await.unwrap(), Ended::Lost);
        assert_eq!(word(&keys, claim(name, 1, 0)).await, "Running");
        let ended = keys.end([name; 32], token, ending.clone());
        assert_eq!(ended.await.unwrap(), Ended::Kept);
        assert_eq!(word(&keys, claim(name, 1, 0)).await, told);
        let twice = keys.end([name; 32], token, ending);
        assert_eq!(twice.await.unwrap(), Ended::Lost);
    }
    // Whoever died before it said anything.
    assert_eq!(word(&keys, claim(4, 1, 0)).await, "first 1");
    assert_eq!(word(&keys, claim(4, 1, LEASE)).await, "Unknown");
    assert_eq!(word(&keys, again(4, LEASE)).await, "first 2");
    assert_eq!(word(&keys, again(4, LEASE + 1)).await, "Running");
}

/// A handler as a service writes it: its effect and its answer in one transaction.
async fn charge(
    (pool, keys): (&PgPool, &PostgresKeys),
    execution: &Execution,
    text: &'static str,
) -> Result<(), CompleteError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("UPDATE account SET balance = balance - 5")
        .execute(&mut *transaction)
        .await?;
    keys.complete(&mut transaction, execution, &answer(text))
        .await?;
    transaction.commit().await?;
    Ok(())
}

fn execution(claim: &Claim, attempt: u32) -> Execution {
    Execution::resumed(claim.name, claim.token, attempt)
}

#[tokio::test]
async fn effect_and_answer_are_committed_together_and_once() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool.clone());
    // Killed before the commit: neither is there, and it is executed again when the lease is over.
    let first = again(1, 0);
    let slow = execution(&first, 1);
    assert_eq!(word(&keys, first).await, "first 1");
    let mut killed = pool.begin().await.unwrap();
    sqlx::query("UPDATE account SET balance = balance - 5")
        .execute(&mut *killed)
        .await
        .unwrap();
    keys.complete(&mut killed, &slow, &answer("lost"))
        .await
        .unwrap();
    drop(killed);
    assert_eq!(balance(&pool).await, 100);
    assert_eq!(word(&keys, again(1, LEASE - 1)).await, "Running");
    let second = again(1, LEASE);
    let taken_over = execution(&second, 2);
    assert_eq!(word(&keys, second).await, "first 2");
    // The one that was given up comes back: its effect goes back with its transaction.
    let fenced = charge((&pool, &keys), &slow, "late").await;
    assert!(matches!(fenced, Err(CompleteError::Fenced)), "{fenced:?}");
    assert_eq!(balance(&pool).await, 100);
    charge((&pool, &keys), &taken_over, "done").await.unwrap();
    assert_eq!(balance(&pool).await, 95);
    // Nor does anybody complete it twice, and the layer's own end changes nothing.
    let twice = charge((&pool, &keys), &taken_over, "twice").await;
    assert!(matches!(twice, Err(CompleteError::Fenced)), "{twice:?}");
    let token = taken_over.token();
    let ended = keys.end([1; 32], token, Ending::Answered(answer("other")));
    assert_eq!(ended.await.unwrap(), Ended::Lost);
    assert_eq!(balance(&pool).await, 95);
    // After the commit the answer is there, whatever dies.
    assert_eq!(word(&keys, again(1, LEASE + 1)).await, "done");
}

#[tokio::test]
async fn nobody_takes_over_while_an_execution_commits() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool.clone());
    let first = again(1, 0);
    let slow = execution(&first, 1);
    assert_eq!(word(&keys, first).await, "first 1");
    let mut transaction = pool.begin().await.unwrap();
    keys.complete(&mut transaction, &slow, &answer("done"))
        .await
        .unwrap();
    // The lease is over, and the row is locked: whoever comes waits for the commit.
    let mut other = Box::pin(word(&keys, again(1, LEASE)));
    for _ in 0..50 {
        assert!(futures_util::poll!(other.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    transaction.commit().await.unwrap();
    assert_eq!(other.await, "done");
}

#[tokio::test]
async fn what_is_over_is_swept_and_what_runs_is_not() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool.clone());
    for name in 1..=3 {
        let first = claim(name, 1, 0);
        let token = first.token;
        assert_eq!(word(&keys, first).await, "first 1");
        let ended = keys.end([name; 32], token, Ending::Answered(answer("done")));
        assert_eq!(ended.await.unwrap(), Ended::Kept);
    }
    let running = Claim {
        lease_ends: UnixTime(NOW.0 + 500),
        ..claim(4, 1, 0)
    };
    assert_eq!(word(&keys, running).await, "first 1");
    let at = |seconds: i64| UnixTime(NOW.0 + seconds);
    assert_eq!(keys.sweep(at(KEPT - 1)).await.unwrap(), 0);
    assert_eq!(keys.sweep(at(KEPT)).await.unwrap(), 3);
    assert_eq!(word(&keys, claim(4, 1, KEPT)).await, "Running");
    assert_eq!(keys.sweep(at(500)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_caller_has_room_for_so_many_keys_and_leaves_others_theirs() {
    let Some(pool) = database().await else { return };
    let keys = PostgresKeys::new(pool.clone()).with_caller_keys_max(2);
    let of = |caller: u8, name: u8, after_seconds: i64| Claim {
        caller: [caller; 32],
        ..claim(name, 1, after_seconds)
    };
    assert_eq!(word(&keys, of(1, 1, 0)).await, "first 1");
    assert_eq!(word(&keys, of(1, 2, 1)).await, "first 1");
    assert_eq!(word(&keys, of(1, 3, 1)).await, "no room");
    // What was refused left nothing behind, what is there is known, and another caller has room.
    let kept = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM idempotency_keys");
    assert_eq!(kept.fetch_one(&pool).await.unwrap(), 2);
    assert_eq!(word(&keys, of(1, 2, 1)).await, "Running");
    assert_eq!(word(&keys, of(2, 4, 1)).await, "first 1");
    // A key that was freed makes room at once.
    let freed = of(2, 5, 1);
    let token = freed.token;
    assert_eq!(word(&keys, freed).await, "first 1");
    assert_eq!(word(&keys, of(2, 6, 1)).await, "no room");
    let end = || keys.end([5; 32], token, Ending::Free);
    assert_eq!(end().await.unwrap(), Ended::Kept);
    assert_eq!(end().await.unwrap(), Ended::Lost);
    assert_eq!(word(&keys, of(2, 6, 1)).await, "first 1");
    assert_eq!(word(&keys, of(2, 5, 1)).await, "no room");
    // One whose time is over makes room, swept or not, for one other or for itself, as soon as it is counted again.
    assert_eq!(word(&keys, of(1, 3, 50)).await, "no room");
    assert_eq!(word(&keys, of(1, 3, KEPT)).await, "first 1");
    assert_eq!(word(&keys, of(1, 1, KEPT)).await, "no room");
    assert_eq!(word(&keys, of(1, 1, KEPT + 10)).await, "first 1");
    // Executing again what is there already takes no room.
    let again = Claim {
        after_lease: AfterLease::RunAgain,
        ..of(1, 1, KEPT + 10 + LEASE)
    };
    assert_eq!(word(&keys, again).await, "first 2");
}

#[tokio::test]
async fn what_another_process_took_is_seen_at_the_next_count() {
    let Some(pool) = database().await else { return };
    let process = || PostgresKeys::new(pool.clone()).with_caller_keys_max(2);
    let (one, other) = (process(), process());
    let kept = |name: u8, after_seconds: i64| Claim {
        expires: UnixTime(NOW.0 + 10_000),
        ..claim(name, 1, after_seconds)
    };
    assert_eq!(word(&one, kept(1, 0)).await, "first 1");
    assert_eq!(word(&other, kept(2, 0)).await, "first 1");
    assert_eq!(word(&other, kept(3, 599)).await, "no room");
    // Nothing is counted for ten minutes, whatever comes.
    assert_eq!(word(&one, kept(3, 599)).await, "first 1");
    let known = process();
    assert_eq!(word(&known, kept(4, 599)).await, "no room");
    assert_eq!(word(&one, kept(4, 609)).await, "no room");
}

#[tokio::test]
async fn a_table_of_before_is_brought_to_what_it_is_now() {
    let Some(pool) = database().await else { return };
    let before =
        "DROP INDEX idempotency_keys_by_caller; ALTER TABLE idempotency_keys DROP COLUMN caller";
    sqlx::raw_sql(before).execute(&pool).await.unwrap();
    let taken = "INSERT INTO idempotency_keys (name, fingerprint, token, attempt, state, lease_ends, expires) VALUES ($1, $2, $3, 1, 'running', $4, $5)";
    let take = async |name: u8| {
        let taken = sqlx::query(taken)
            .bind(vec![name; 32])
            .bind(vec![1_u8; 32])
            .bind(vec![1_u8; 16])
            .bind(NOW.0 + LEASE)
            .bind(NOW.0 + KEPT);
        taken.execute(&pool).await.unwrap();
    };
    take(1).await;
    sqlx::raw_sql(ADD_CALLER).execute(&pool).await.unwrap();
    // A process of before is still at work.
    take(2).await;
    let keys = PostgresKeys::new(pool.clone()).with_caller_keys_max(1);
    for name in 1..=2 {
        assert_eq!(word(&keys, claim(name, 1, 0)).await, "Running");
    }
    assert_eq!(word(&keys, claim(3, 1, 0)).await, "first 1");
    assert_eq!(word(&keys, claim(4, 1, 0)).await, "no room");
    // It frees what it took, and nobody's count changes.
    let token = FencingToken::from_bytes([1; 16]);
    let freed = keys.end([2; 32], token, Ending::Free).await.unwrap();
    assert_eq!(freed, Ended::Kept);
    assert_eq!(word(&keys, claim(4, 1, 0)).await, "no room");
}
