//! Idempotency keys: who was first under each, what was asked, and what became of it.
//!
//! One transaction decides who is first: the row is inserted by one of however many come, and the others find it. Whoever took a key has a fencing token (`owner`), and an end is
//! written only for the token that the row still has: a first request that was given up, and whose key was taken anew since, changes nothing.
//!
//! Not here: what a name is made of, and what an answer says.

use crate::catalogue::{Statement, idempotency_keys as sql};
use crate::engine::{Value, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};

/// The table, as envelopes are bound to it.
pub(crate) const NAME: &str = "idempotency_keys";
/// The column of the sealed answer.
pub(crate) const SEALED: &str = "sealed";

/// A key that somebody wants to be the first under.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    /// The keyed hash of everything that the key belongs to.
    pub(crate) name: [u8; 32],
    /// The keyed hash of whose it is.
    pub(crate) caller: [u8; 32],
    /// The keyed hash of what is asked.
    pub(crate) print: [u8; 32],
    /// The fencing token of whoever takes it.
    pub(crate) owner: [u8; 32],
    /// When it was asked.
    pub(crate) begun: UnixTime,
    /// Until when its answer is kept.
    pub(crate) expires: UnixTime,
    /// Until when it is kept while it runs.
    pub(crate) kept_until: UnixTime,
}

/// Whether somebody is the first.
pub(crate) enum Standing {
    /// Somebody else was, and their row was swept while it was looked up: the next look finds the place free.
    Gone,
    /// Somebody else was.
    Known(KeyRow),
    /// Yes.
    Taken,
}

/// What became of the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It was answered, and the answer is there.
    Answered,
    /// It was answered, and the answer is not kept.
    NotKept,
    /// It is under way, as far as anybody said.
    Running,
    /// Nobody knows.
    Unknown,
}

impl KeyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotKept => "not_kept",
            Self::Running => "running",
            Self::Unknown => "unknown",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Answered, Self::NotKept, Self::Running, Self::Unknown];
        all.into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| StoreError::corrupt(NAME, "a key is in a state that there is not"))
    }
}

/// A key as it is kept.
pub(crate) struct KeyRow {
    /// The keyed hash of what was asked.
    pub(crate) print: Vec<u8>,
    /// What became of it.
    pub(crate) state: KeyState,
    /// Who took it.
    pub(crate) owner: Vec<u8>,
    /// Its answer.
    pub(crate) sealed: Option<Vec<u8>>,
    /// When it was taken.
    pub(crate) begun: UnixTime,
}

/// How an end is written.
pub(crate) struct KeyEnding {
    pub(crate) state: KeyState,
    pub(crate) sealed: Option<Vec<u8>>,
}

/// Takes a key that nobody has, or tells what is known of it. What is past its time is as if it were not there.
pub(crate) async fn begin(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewKey,
) -> Result<Standing, StoreError> {
    let added = tx.execute(&sql::BEGIN, values(tenant, new)).await?;
    if added == 1 {
        return Ok(Standing::Taken);
    }
    let row = tx
        .fetch_optional(&sql::LOCK, args![tenant.as_str(), &new.name])
        .await?;
    let Some(row) = row else {
        return Ok(Standing::Gone);
    };
    if row.get::<i64>(5)? <= new.begun.0 {
        tx.execute(&sql::BEGIN_AGAIN, values(tenant, new)).await?;
        return Ok(Standing::Taken);
    }
    Ok(Standing::Known(KeyRow {
        print: row.get(0)?,
        state: KeyState::parse(&row.get::<String>(1)?)?,
        owner: row.get(2)?,
        sealed: row.get(3)?,
        begun: UnixTime(row.get(4)?),
    }))
}

fn values(tenant: &Tenant, new: &NewKey) -> Vec<Value> {
    args![
        tenant.as_str(),
        &new.name,
        &new.caller,
        &new.print,
        &new.owner,
        new.begun.0,
        new.expires.0,
        new.kept_until.0
    ]
}

/// Writes what became of it, for the token that took it; whether the key was still its own.
pub(crate) async fn end(
    tx: &mut Transaction,
    tenant: &Tenant,
    (name, owner): (&[u8; 32], &[u8; 32]),
    ending: &KeyEnding,
) -> Result<bool, StoreError> {
    let bytes = ending.sealed.as_ref().map_or(0, Vec::len);
    let values = args![
        tenant.as_str(),
        name,
        owner,
        ending.state.as_str(),
        ending.sealed.clone(),
        i64::try_from(bytes).unwrap_or(i64::MAX)
    ];
    Ok(tx.execute(&sql::END, values).await? == 1)
}

/// Frees it, for the token that took it; whether the key was still its own.
pub(crate) async fn free(
    tx: &mut Transaction,
    tenant: &Tenant,
    (name, owner): (&[u8; 32], &[u8; 32]),
) -> Result<bool, StoreError> {
    let values = args![tenant.as_str(), name, owner];
    Ok(tx.execute(&sql::FREE, values).await? == 1)
}

/// How much of the table somebody has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Keys.
    pub(crate) keys: u64,
    /// Bytes of sealed answers.
    pub(crate) bytes: u64,
}

/// How much one caller has.
pub(crate) async fn of_caller(
    connection: &mut Connection,
    tenant: &Tenant,
    caller: &[u8; 32],
) -> Result<Held, StoreError> {
    held(connection, &sql::OF_CALLER, args![tenant.as_str(), caller]).await
}

/// How much all callers of a tenant have.
pub(crate) async fn of_tenant(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Held, StoreError> {
    held(connection, &sql::OF_TENANT, args![tenant.as_str()]).await
}

async fn held(
    connection: &mut Connection,
    statement: &'static Statement,
    values: Vec<Value>,
) -> Result<Held, StoreError> {
    let row = connection.fetch_optional(statement, values).await?;
    let Some(row) = row else {
        return Ok(Held::default());
    };
    let number = |at| {
        row.get::<i64>(at)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    Ok(Held {
        keys: number(0)?,
        bytes: number(1)?,
    })
}
