//! What was revoked while tokens of it may still be alive. Nodes read it by sequence into their revocation tables.

use super::parsed;
use crate::catalogue::revocations as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{ClientId, Duration, GrantId, SessionId, Tenant, UnixTime, UserId};

/// How long a revocation is kept: longer than any access token lives.
pub const KEPT: Duration = Duration::from_secs(2 * 3600);

/// How much later than its end a client may still be given a token: by whoever read its record just before, on this node or by another's clock. Grants,
/// sessions and people end with every token of theirs, whenever it was issued; of a client only time tells which tokens are meant.
pub const CLIENT_READ_BEFORE: Duration = Duration::from_secs(5);

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// Every token of a client.
    Client(ClientId),
    /// Every token of a grant.
    Grant(GrantId),
    /// Every token that came of a sign-in.
    Session(SessionId),
    /// Every token about a person.
    User(UserId),
}

impl Revoked {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Client(id) => ("client", id.to_string()),
            Self::Grant(id) => ("grant", id.to_string()),
            Self::Session(id) => ("session", id.to_string()),
            Self::User(id) => ("user", id.to_string()),
        }
    }

    fn from_columns(kind: &str, subject: &str) -> Result<Self, StoreError> {
        match kind {
            "client" => parsed("revocations", subject).map(Self::Client),
            "grant" => parsed("revocations", subject).map(Self::Grant),
            "session" => parsed("revocations", subject).map(Self::Session),
            "user" => parsed("revocations", subject).map(Self::User),
            _ => Err(StoreError::corrupt("revocations", "unknown kind")),
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the order of insertion.
    pub sequence: i64,
    /// Whose tokens.
    pub tenant: Tenant,
    /// Which tokens.
    pub revoked: Revoked,
    /// Tokens issued at or before this instant are dead.
    pub not_before: UnixTime,
    /// When no such token can be alive any more.
    pub expires: UnixTime,
}

/// Declares every token of `revoked` that was issued at or before `now` dead.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    revoked: &Revoked,
    now: UnixTime,
) -> Result<(), StoreError> {
    let (kind, subject) = revoked.columns();
    let not_before = match revoked {
        Revoked::Client(_) => now.plus(CLIENT_READ_BEFORE),
        Revoked::Grant(_) | Revoked::Session(_) | Revoked::User(_) => now,
    };
    let expires = now.plus(KEPT);
    tx.execute(
        &sql::ADD,
        args![tenant.as_str(), kind, subject, not_before.0, expires.0],
    )
    .await
    .map(drop)
}

/// Up to `limit` live revocations after `sequence`, across tenants.
///
/// On PostgreSQL a row of a lower sequence may appear later than one of a higher: a reader looks at [`recent`] ones too.
pub async fn after(
    connection: &mut Connection,
    sequence: i64,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<Revocation>, StoreError> {
    let rows = connection
        .fetch_all(&sql::AFTER, args![sequence, now.0, i64::from(limit)])
        .await?;
    rows.iter().map(revocation).collect()
}

/// Up to `limit` revocations that were declared within `span` before now, beginning after `sequence`, across tenants.
pub async fn recent(
    connection: &mut Connection,
    span: Duration,
    sequence: i64,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<Revocation>, StoreError> {
    let since = now.plus(KEPT).minus(span).0;
    let rows = connection
        .fetch_all(&sql::RECENT, args![since, sequence, i64::from(limit)])
        .await?;
    rows.iter().map(revocation).collect()
}

/// Whether something that never comes back, a grant or a session, is revoked.
pub async fn is_revoked(
    connection: &mut Connection,
    tenant: &Tenant,
    revoked: &Revoked,
) -> Result<bool, StoreError> {
    let (kind, subject) = revoked.columns();
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), kind, subject])
        .await?;
    Ok(row.is_some())
}

fn revocation(row: &Row) -> Result<Revocation, StoreError> {
    Ok(Revocation {
        sequence: row.get(0)?,
        tenant: parsed("revocations", &row.get::<String>(1)?)?,
        revoked: Revoked::from_columns(&row.get::<String>(2)?, &row.get::<String>(3)?)?,
        not_before: UnixTime(row.get(4)?),
        expires: UnixTime(row.get(5)?),
    })
}
