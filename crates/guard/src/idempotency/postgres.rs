//! Keys in the service's own PostgreSQL, and the completion of an execution in the transaction of its effects.
//!
//! ```no_run
//! use bytes::Bytes;
//! use countersign_guard::idempotency::postgres::{CompleteError, PostgresKeys};
//! use countersign_guard::idempotency::{Answer, Execution};
//! use http::{HeaderMap, StatusCode};
//! use sqlx::PgPool;
//!
//! # async fn charge(pool: &PgPool, keys: &PostgresKeys, execution: Execution) -> Result<Answer, Box<dyn std::error::Error>> {
//! let mut transaction = pool.begin().await?;
//! sqlx::query("UPDATE accounts SET balance = balance - 5 WHERE id = 7").execute(&mut *transaction).await?;
//! let answer = Answer::new(StatusCode::CREATED, &HeaderMap::new(), Bytes::from("charged"))?;
//! // Nothing of this counts if the key is another execution's by now: the transaction is dropped with the error.
//! keys.complete(&mut transaction, &execution, &answer).await?;
//! transaction.commit().await?;
//! # Ok(answer)
//! # }
//! ```
//!
//! The table is the service's to make ([`SCHEMA`]) and to sweep ([`PostgresKeys::sweep`]). What is kept in it are answers of the service, as they were given: it needs the care that the
//! service's other tables need.
//!
//! A caller has a bounded number of keys whose time is not over ([`CALLER_KEYS_MAX`]); past it a new key is refused, and none is forgotten before its time. They are counted now and then and
//! not by every request, so what several processes take in between can pass the bound.
//!
//! Not here: SQLite. sqlx 0.9 asks for a `libsqlite3-sys` before 0.38, `rusqlite` of this workspace for 0.39, and one program links one SQLite. [`IdempotencyStorage`] is small.

mod counts;

use super::Execution;
use super::answer::Answer;
use super::storage::{
    Claim, Claimed, Ended, Ending, Entry, EntryState, FencingToken, IdempotencyStorage, Judgement,
    StorageError, judge,
};
use countersign_base::UnixTime;
use counts::Counts;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};
use std::sync::Arc;

/// The table, for the service's own migrations.
pub const SCHEMA: &str = include_str!("postgres/schema.sql");
/// What a table needs that was made when [`SCHEMA`] had no `caller`: to be run before the first process that counts keys starts. Processes of before go on with it; the keys that they take,
/// and those that were there, count for nobody and are over after their time.
pub const ADD_CALLER: &str = include_str!("postgres/add_caller.sql");
/// Keys that one caller may have, unless the service says otherwise.
pub const CALLER_KEYS_MAX: u32 = 1_000_000;
/// Rows that one sweep deletes.
pub const SWEEP_MAX: i64 = 1_000;
/// How often a key that was swept while it was looked up is looked up again.
const TRIES: u8 = 3;

const BEGIN: &str = "INSERT INTO idempotency_keys (name, caller, fingerprint, token, attempt, state, lease_ends, expires) VALUES ($1, $2, $3, $4, 1, 'running', $5, $6) ON CONFLICT (name) DO NOTHING";
const COMPLETE: &str = "UPDATE idempotency_keys SET state = $3, answer = $4 WHERE name = $1 AND token = $2 AND state = 'running'";
/// How many keys of a caller count, and no further than it matters.
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM idempotency_keys WHERE caller = $1 AND expires > $2 LIMIT $3) AS counted";
const FREE: &str = "DELETE FROM idempotency_keys WHERE name = $1 AND token = $2 AND state = 'running' RETURNING caller";
const LOCK: &str = "SELECT fingerprint, attempt, state, answer, lease_ends, expires FROM idempotency_keys WHERE name = $1 FOR UPDATE";
const SWEEP: &str = "DELETE FROM idempotency_keys WHERE name IN (SELECT name FROM idempotency_keys WHERE expires <= $1 AND lease_ends <= $1 LIMIT $2)";
const TAKE: &str = "UPDATE idempotency_keys SET fingerprint = $2, token = $3, attempt = $4, state = 'running', answer = NULL, lease_ends = $5, expires = $6, caller = $7 WHERE name = $1";

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresKeys {
    pool: PgPool,
    caller_keys_max: u32,
    counts: Arc<Counts>,
}

/// Why an execution is not complete. The transaction has to go back.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The database.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The key is another execution's by now, or complete.
    #[error("the key is another execution's by now")]
    Fenced,
}

impl PostgresKeys {
    /// Keys in the database of `pool`, in the table of [`SCHEMA`].
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            caller_keys_max: CALLER_KEYS_MAX,
            counts: Arc::default(),
        }
    }

    /// The same, with room for so many keys of one caller.
    #[must_use]
    pub fn with_caller_keys_max(self, caller_keys_max: u32) -> Self {
        Self {
            caller_keys_max,
            ..self
        }
    }

    /// Keeps the answer of an execution in the transaction of its effects: both are committed or none. The row stays locked until then, so that nobody takes over meanwhile.
    ///
    /// # Errors
    /// When the key is not this execution's any more: then its effects must not be committed.
    pub async fn complete(
        &self,
        transaction: &mut PgConnection,
        execution: &Execution,
        answer: &Answer,
    ) -> Result<(), CompleteError> {
        let key = (execution.name(), execution.token());
        let completed = complete(transaction, key, "answered", Some(answer.encode())).await?;
        match completed {
            Ended::Kept => Ok(()),
            Ended::Lost => Err(CompleteError::Fenced),
        }
    }

    /// Deletes up to [`SWEEP_MAX`] keys whose time is over, and answers how many. A service calls it from time to time, again while it answers that many.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn sweep(&self, now: UnixTime) -> Result<u64, StorageError> {
        let swept = sqlx::query(SWEEP).bind(now.0).bind(SWEEP_MAX);
        let swept = swept.execute(&self.pool).await.map_err(StorageError::new)?;
        Ok(swept.rows_affected())
    }

    async fn claimed(&self, claim: &Claim) -> Result<Option<Claimed>, StorageError> {
        let mut transaction = self.pool.begin().await.map_err(StorageError::new)?;
        let taken = sqlx::query(BEGIN)
            .bind(claim.name.as_slice())
            .bind(claim.caller.as_slice())
            .bind(claim.fingerprint.as_slice())
            .bind(claim.token.as_bytes().as_slice())
            .bind(claim.lease_ends.0)
            .bind(claim.expires.0)
            .execute(&mut *transaction)
            .await
            .map_err(StorageError::new)?;
        let (attempt, adds) = if taken.rows_affected() == 1 {
            (1, Adds::One)
        } else {
            let row = sqlx::query(LOCK).bind(claim.name.as_slice());
            let row = row.fetch_optional(&mut *transaction).await;
            let Some(row) = row.map_err(StorageError::new)? else {
                return Ok(None);
            };
            let entry = entry(&row)?;
            let attempt = match judge(Some(&entry), claim) {
                Judgement::Tell(known) => {
                    transaction.rollback().await.map_err(StorageError::new)?;
                    return Ok(Some(Claimed::Known(known)));
                }
                Judgement::Take { attempt } => attempt,
            };
            take(&mut transaction, claim, attempt).await?;
            // One whose time was over counted no more.
            let is_over = entry.expires <= claim.now;
            (attempt, if is_over { Adds::One } else { Adds::None })
        };
        if adds == Adds::One && !self.has_room(&mut transaction, claim).await? {
            transaction.rollback().await.map_err(StorageError::new)?;
            return Ok(Some(Claimed::NoRoom));
        }
        transaction.commit().await.map_err(StorageError::new)?;
        if adds == Adds::One {
            self.counts.take(&claim.caller);
        }
        Ok(Some(Claimed::First { attempt }))
    }

    /// Whether the caller may have the key that the claim has just written.
    async fn has_room(
        &self,
        transaction: &mut PgConnection,
        claim: &Claim,
    ) -> Result<bool, StorageError> {
        let max = self.caller_keys_max;
        if let Some(left) = self.counts.leave_room(&claim.caller, max, claim.now) {
            return Ok(left);
        }
        let counted = sqlx::query_scalar::<_, i64>(COUNT)
            .bind(claim.caller.as_slice())
            .bind(claim.now.0)
            .bind(i64::from(max).saturating_add(1));
        let counted = counted.fetch_one(transaction).await;
        let counted = counted.map_err(StorageError::new)?;
        let others = u64::try_from(counted).unwrap_or(0).saturating_sub(1);
        self.counts.put(&claim.caller, others, claim.now);
        Ok(others < u64::from(max))
    }
}

/// Whether a claim adds to the keys that count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Adds {
    None,
    One,
}

impl IdempotencyStorage for PostgresKeys {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StorageError>> {
        Box::pin(async move {
            for _ in 0..TRIES {
                // Absent where it was swept between two statements: the next look finds its place free.
                if let Some(claimed) = self.claimed(&claim).await? {
                    return Ok(claimed);
                }
            }
            Err(StorageError::new("a key comes and goes"))
        })
    }

    fn end(
        &self,
        name: [u8; 32],
        token: FencingToken,
        ending: Ending,
    ) -> BoxFuture<'_, Result<Ended, StorageError>> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await.map_err(StorageError::new)?;
            let (state, answer) = match ending {
                Ending::Answered(answer) => ("answered", Some(answer.encode())),
                Ending::NotKept => ("not_kept", None),
                Ending::Unknown => ("unknown", None),
                Ending::Free => {
                    let freed = sqlx::query_scalar::<_, Vec<u8>>(FREE)
                        .bind(name.as_slice())
                        .bind(token.as_bytes().as_slice())
                        .fetch_optional(&mut *connection)
                        .await
                        .map_err(StorageError::new)?;
                    let Some(caller) = freed else {
                        return Ok(Ended::Lost);
                    };
                    if let Ok(caller) = caller.try_into() {
                        self.counts.free(&caller);
                    }
                    return Ok(Ended::Kept);
                }
            };
            complete(&mut connection, (&name, token), state, answer)
                .await
                .map_err(StorageError::new)
        })
    }
}

async fn take(
    transaction: &mut PgConnection,
    claim: &Claim,
    attempt: u32,
) -> Result<(), StorageError> {
    sqlx::query(TAKE)
        .bind(claim.name.as_slice())
        .bind(claim.fingerprint.as_slice())
        .bind(claim.token.as_bytes().as_slice())
        .bind(i64::from(attempt))
        .bind(claim.lease_ends.0)
        .bind(claim.expires.0)
        .bind(claim.caller.as_slice())
        .execute(transaction)
        .await
        .map_err(StorageError::new)?;
    Ok(())
}

async fn complete(
    connection: &mut PgConnection,
    (name, token): (&[u8; 32], FencingToken),
    state: &'static str,
    answer: Option<Vec<u8>>,
) -> Result<Ended, sqlx::Error> {
    let completed = sqlx::query(COMPLETE)
        .bind(name.as_slice())
        .bind(token.as_bytes().as_slice())
        .bind(state)
        .bind(answer)
        .execute(connection)
        .await?;
    Ok(ended(completed.rows_affected()))
}

const fn ended(rows: u64) -> Ended {
    match rows {
        1 => Ended::Kept,
        _ => Ended::Lost,
    }
}

fn entry(row: &PgRow) -> Result<Entry, StorageError> {
    let wrong = |what: &'static str| StorageError::new(what);
    let fingerprint: Vec<u8> = row.try_get(0).map_err(StorageError::new)?;
    let attempt: i64 = row.try_get(1).map_err(StorageError::new)?;
    let state: String = row.try_get(2).map_err(StorageError::new)?;
    let answer: Option<Vec<u8>> = row.try_get(3).map_err(StorageError::new)?;
    let state = match (state.as_str(), answer) {
        ("answered", Some(answer)) => Answer::decode(&answer).map(EntryState::Answered),
        ("not_kept", _) => Some(EntryState::NotKept),
        ("running", _) => Some(EntryState::Running),
        ("unknown", _) => Some(EntryState::Unknown),
        _ => None,
    };
    Ok(Entry {
        fingerprint: fingerprint
            .try_into()
            .map_err(|_| wrong("a fingerprint is no digest"))?,
        attempt: u32::try_from(attempt).map_err(|_| wrong("a number of attempts is none"))?,
        lease_ends: UnixTime(row.try_get(4).map_err(StorageError::new)?),
        expires: UnixTime(row.try_get(5).map_err(StorageError::new)?),
        state: state.ok_or_else(|| wrong("what became of a key is not readable"))?,
    })
}
