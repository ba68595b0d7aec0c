//! Signing keys of tenants: the public half in the open, the private half sealed.

use super::{clients::Removed, parsed};
use crate::catalogue::signing_keys as sql;
use crate::engine::{Row, args};
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Kid, Tenant, UnixTime};
use countersign_crypto::jose::KeyAlgorithm;
use countersign_keys::rotation::SigningKeyState;

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Whose.
    pub tenant: Tenant,
    /// Its identifier.
    pub kid: Kid,
    /// What it signs, in the caller's words (`access_token`).
    pub purpose: String,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Where in its life it is.
    pub state: SigningKeyState,
    /// The public key as a JWK.
    pub public_jwk: String,
    /// The private key, sealed to this row.
    pub sealed: Vec<u8>,
    /// When it was made, and published.
    pub created: UnixTime,
    /// When it came into its state.
    pub changed: UnixTime,
}

/// Adds a key.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    row: &SigningKeyRecord,
) -> Result<(), StoreError> {
    let algorithm = super::encode("signing_keys", &row.algorithm)?;
    let values = args![
        tenant.as_str(),
        row.kid.as_str(),
        row.purpose.as_str(),
        algorithm,
        state_name(row.state),
        row.public_jwk.as_str(),
        row.sealed.clone(),
        row.created.0,
        row.changed.0,
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Moves a key from one state to another; [`Removed::Absent`] if it is not in `from`, because another node moved it first.
pub async fn advance(
    tx: &mut Transaction,
    tenant: &Tenant,
    kid: &Kid,
    from: SigningKeyState,
    to: SigningKeyState,
    now: UnixTime,
) -> Result<Removed, StoreError> {
    tx.execute(
        &sql::MOVE,
        args![
            tenant.as_str(),
            kid.as_str(),
            state_name(to),
            now.0,
            state_name(from)
        ],
    )
    .await
    .map(Removed::from_count)
}

/// Removes a key for good.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    kid: &Kid,
) -> Result<Removed, StoreError> {
    tx.execute(&sql::REMOVE, args![tenant.as_str(), kid.as_str()])
        .await
        .map(Removed::from_count)
}

/// The keys of a tenant, oldest first.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Vec<SigningKeyRecord>, StoreError> {
    connection
        .fetch_all(&sql::LIST, args![tenant.as_str()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The keys of every tenant, oldest first within a tenant, for the program's own start.
pub async fn all(connection: &mut Connection) -> Result<Vec<SigningKeyRecord>, StoreError> {
    connection
        .fetch_all(&sql::ALL, args![])
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &Row) -> Result<SigningKeyRecord, StoreError> {
    Ok(SigningKeyRecord {
        tenant: parsed("signing_keys", &row.get::<String>(0)?)?,
        kid: parsed("signing_keys", &row.get::<String>(1)?)?,
        purpose: row.get(2)?,
        algorithm: super::decode("signing_keys", &row.get::<String>(3)?)?,
        state: state_named(&row.get::<String>(4)?)?,
        public_jwk: row.get(5)?,
        sealed: row.get(6)?,
        created: UnixTime(row.get(7)?),
        changed: UnixTime(row.get(8)?),
    })
}

const fn state_name(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Next => "next",
        SigningKeyState::Current => "current",
        SigningKeyState::Retired => "retired",
        SigningKeyState::Gone => "gone",
    }
}

fn state_named(name: &str) -> Result<SigningKeyState, StoreError> {
    match name {
        "next" => Ok(SigningKeyState::Next),
        "current" => Ok(SigningKeyState::Current),
        "retired" => Ok(SigningKeyState::Retired),
        "gone" => Ok(SigningKeyState::Gone),
        _ => Err(StoreError::corrupt("signing_keys", "unknown state")),
    }
}
