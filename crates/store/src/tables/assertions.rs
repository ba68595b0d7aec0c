//! The `jti` of client assertions that were accepted (RFC 7523 §3), kept until they expire.
//!
//! A row is only made for a client that proved its key, and lives as long as the assertion may, minutes at most. Nothing is
//! ever evicted, so that no flood of one client makes another's assertion, or its own, acceptable again (R45).

use crate::catalogue::{Statement, assertions as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, Tenant, UnixTime};

/// Expired rows of one client that are cleared at a time.
const CLEARED: i64 = 1_000;

/// What became of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Assertion {
    /// It was never seen, and is remembered now.
    Fresh,
    /// It was seen before.
    Replayed,
}

impl Assertion {
    /// By how many rows were inserted.
    const fn of(inserted: u64) -> Self {
        if inserted == 1 {
            Self::Fresh
        } else {
            Self::Replayed
        }
    }
}

/// Remembers an assertion of the client until `expires`; a second one with the same `jti` is [`Assertion::Replayed`].
pub async fn spend(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    jti: &[u8; 32],
    expires: UnixTime,
) -> Result<Assertion, StoreError> {
    let inserted = tx
        .execute(
            &sql::SPEND,
            args![tenant.as_str(), client.as_str(), jti, expires.0],
        )
        .await?;
    Ok(Assertion::of(inserted))
}

/// Deletes some expired assertions of one client.
pub async fn sweep_client(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    now: UnixTime,
) -> Result<u64, StoreError> {
    tx.execute(
        &sql::SWEEP_CLIENT,
        args![tenant.as_str(), client.as_str(), now.0, CLEARED],
    )
    .await
}

/// How many assertions of the client are remembered.
pub async fn count(
    connection: &mut Connection,
    tenant: &Tenant,
    client: &ClientId,
) -> Result<i64, StoreError> {
    let row = connection
        .fetch_optional(&sql::COUNT, args![tenant.as_str(), client.as_str()])
        .await?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// Remembers a digest of the tenant until `expires`, by a statement that inserts it if it is not there.
pub(super) async fn remember(
    tx: &mut Transaction,
    statement: &'static Statement,
    tenant: &Tenant,
    digest: &[u8; 32],
    expires: UnixTime,
) -> Result<Assertion, StoreError> {
    let inserted = tx
        .execute(statement, args![tenant.as_str(), digest, expires.0])
        .await?;
    Ok(Assertion::of(inserted))
}
