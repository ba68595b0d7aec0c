//! Failed sign-ins, counted by what they have in common: a keyed hash of a username or of a network address.

use crate::catalogue::throttle as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_crypto::mac::Tag;

/// Failures that still count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many in a row, none of them older than the window after the one before.
    pub count: i64,
    /// When the last one was.
    pub last: UnixTime,
}

/// What a count with an end says to one guess more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// It may be judged; it is the one of this number since the last success, and counted as a failure until it is forgiven.
    Left(i64),
    /// As many failed as may. Nothing was counted, so that the count is forgotten in time whoever goes on.
    Spent,
}

/// Counts a guess before it is judged, unless `limit` failed already; the count is forgotten `window` after the last one.
pub async fn begin(
    tx: &mut Transaction,
    tenant: &Tenant,
    source: &Tag,
    limit: i64,
    window: Duration,
    now: UnixTime,
) -> Result<Allowance, StoreError> {
    let before = find(tx, tenant, source, now).await?;
    if before.is_some_and(|before| before.count >= limit) {
        return Ok(Allowance::Spent);
    }
    fail(tx, tenant, source, window, now).await?;
    // Read again: guesses that are made at once wait for each other at the row, and each finds its own number.
    let counted = find(tx, tenant, source, now).await?;
    let number = counted.map_or(1, |counted| counted.count);
    Ok(match number <= limit {
        true => Allowance::Left(number),
        false => Allowance::Spent,
    })
}

/// Counts one failure; the count is forgotten `window` after the last one.
pub async fn fail(
    tx: &mut Transaction,
    tenant: &Tenant,
    source: &Tag,
    window: Duration,
    now: UnixTime,
) -> Result<(), StoreError> {
    tx.execute(
        &sql::FAIL,
        args![
            tenant.as_str(),
            source.as_bytes(),
            now.0,
            now.plus(window).0
        ],
    )
    .await
    .map(drop)
}

/// The failures that still count, if there are any.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    source: &Tag,
    now: UnixTime,
) -> Result<Option<Failures>, StoreError> {
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), source.as_bytes(), now.0])
        .await?;
    row.map(|row| {
        Ok(Failures {
            count: row.get(0)?,
            last: UnixTime(row.get(1)?),
        })
    })
    .transpose()
}

/// Forgets the failures, after a success.
pub async fn clear(tx: &mut Transaction, tenant: &Tenant, source: &Tag) -> Result<(), StoreError> {
    tx.execute(&sql::CLEAR, args![tenant.as_str(), source.as_bytes()])
        .await
        .map(drop)
}
