//! Customers' keys: wrapped in a table of the service's own, under a transit key of the vault.

use super::connections::Connections;
use crate::demo::vault::VaultCaller;
use countersign_base::Secret;
use countersign_crypto::base64;
use countersign_guard::sealed::{
    DataKeyError, KeyId, KeyOwner, KeyRow, KeyRows, KeyVersion, KeyWrapper, NewKey, WrappedKey,
};
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::sync::Arc;

/// What the service makes at its first start. An owner with a row without a key was erased.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS data_keys
    (tenant TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, key_id BYTEA NOT NULL, version BIGINT NOT NULL, wrapped TEXT,
     PRIMARY KEY (tenant, kind, subject, version))";

const NEWEST: &str = "SELECT key_id, version, wrapped FROM data_keys WHERE tenant = $1 AND kind = $2 AND subject = $3
    ORDER BY (wrapped IS NULL) DESC, version DESC LIMIT 1";
const NAMED: &str = "SELECT key_id, version, wrapped FROM data_keys WHERE tenant = $1 AND kind = $2 AND subject = $3
    AND (wrapped IS NULL OR (key_id = $4 AND version = $5)) ORDER BY (wrapped IS NULL) DESC LIMIT 1";
const ADD: &str = "INSERT INTO data_keys (tenant, kind, subject, key_id, version, wrapped)
    SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS
        (SELECT 1 FROM data_keys WHERE tenant = $1 AND kind = $2 AND subject = $3 AND wrapped IS NULL)
    ON CONFLICT DO NOTHING";
const TOMBSTONE: &str = "INSERT INTO data_keys (tenant, kind, subject, key_id, version, wrapped)
    VALUES ($1, $2, $3, $4, 0, NULL) ON CONFLICT DO NOTHING";
const EMPTY: &str =
    "UPDATE data_keys SET wrapped = NULL WHERE tenant = $1 AND kind = $2 AND subject = $3";

/// The table.
#[derive(Clone)]
pub(super) struct KeyTable(pub(super) Arc<Connections>);

/// Tenant, kind and person, as columns.
fn columns(owner: &KeyOwner) -> (&str, &'static str, &str) {
    let tenant = owner.tenant().as_str();
    match owner {
        KeyOwner::Indexes(_) => (tenant, "indexes", ""),
        KeyOwner::Subject(_, subject) => (tenant, "subject", subject.as_str()),
        KeyOwner::Tenant(_) => (tenant, "tenant", ""),
    }
}

fn unavailable(_: sqlx::Error) -> DataKeyError {
    DataKeyError::Unavailable
}

fn read(row: Option<&PgRow>) -> Result<KeyRow, DataKeyError> {
    let Some(row) = row else {
        return Ok(KeyRow::Absent);
    };
    let wrapped: Option<String> = row.try_get("wrapped").map_err(unavailable)?;
    let Some(wrapped) = wrapped else {
        return Ok(KeyRow::Erased);
    };
    let id: Vec<u8> = row.try_get("key_id").map_err(unavailable)?;
    let version: i64 = row.try_get("version").map_err(unavailable)?;
    let id = <[u8; 8]>::try_from(id).map_err(|_| DataKeyError::Broken)?;
    let version = u32::try_from(version).map_err(|_| DataKeyError::Broken)?;
    Ok(KeyRow::Key(WrappedKey {
        id: KeyId::from_bytes(id),
        version: KeyVersion(version),
        wrapped,
    }))
}

/// Empties every key of an owner, in one transaction with the row that keeps anybody from making another.
pub(super) async fn erase(
    connection: &mut PgConnection,
    owner: &KeyOwner,
) -> Result<(), sqlx::Error> {
    let (tenant, kind, subject) = columns(owner);
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let tombstone = sqlx::query(TOMBSTONE).bind(tenant).bind(kind).bind(subject);
    let tombstone = tombstone.bind([0_u8; 8].as_slice());
    tombstone.execute(&mut *transaction).await?;
    let emptied = sqlx::query(EMPTY).bind(tenant).bind(kind).bind(subject);
    emptied.execute(&mut *transaction).await?;
    transaction.commit().await
}

pub(super) async fn newest(
    connection: &mut PgConnection,
    owner: &KeyOwner,
) -> Result<KeyRow, DataKeyError> {
    let (tenant, kind, subject) = columns(owner);
    let query = sqlx::query(NEWEST).bind(tenant).bind(kind).bind(subject);
    let row = query.fetch_optional(connection).await;
    read(row.map_err(unavailable)?.as_ref())
}

pub(super) async fn named(
    connection: &mut PgConnection,
    owner: &KeyOwner,
    id: KeyId,
    version: KeyVersion,
) -> Result<KeyRow, DataKeyError> {
    let (tenant, kind, subject) = columns(owner);
    let query = sqlx::query(NAMED).bind(tenant).bind(kind).bind(subject);
    let query = query
        .bind(id.as_bytes().as_slice())
        .bind(i64::from(version.0));
    let row = query.fetch_optional(connection).await;
    read(row.map_err(unavailable)?.as_ref())
}

pub(super) async fn add(
    connection: &mut PgConnection,
    owner: &KeyOwner,
    key: &WrappedKey,
) -> Result<KeyRow, DataKeyError> {
    let (tenant, kind, subject) = columns(owner);
    let query = sqlx::query(ADD).bind(tenant).bind(kind).bind(subject);
    let query = query
        .bind(key.id.as_bytes().as_slice())
        .bind(i64::from(key.version.0))
        .bind(&key.wrapped);
    query.execute(&mut *connection).await.map_err(unavailable)?;
    newest(connection, owner).await
}

impl KeyRows for KeyTable {
    fn newest(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        let (table, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let mut connection = table.0.connection().await.map_err(unavailable)?;
            newest(&mut connection, &owner).await
        })
    }

    fn named(
        &self,
        owner: &KeyOwner,
        id: KeyId,
        version: KeyVersion,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        let (table, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let mut connection = table.0.connection().await.map_err(unavailable)?;
            named(&mut connection, &owner, id, version).await
        })
    }

    fn add(
        &self,
        owner: &KeyOwner,
        key: WrappedKey,
    ) -> BoxFuture<'static, Result<KeyRow, DataKeyError>> {
        let (table, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let mut connection = table.0.connection().await.map_err(unavailable)?;
            add(&mut connection, &owner, &key).await
        })
    }
}

/// The vault's transit key `cards`.
pub(super) struct Transit(pub(super) Arc<VaultCaller>);

/// 32 bytes in the member `plaintext`.
fn plaintext(data: &Value) -> Option<Secret<[u8; 32]>> {
    let text = data.get("plaintext").and_then(Value::as_str)?;
    let bytes = Secret::new(base64::decode(text).ok()?);
    let key = <[u8; 32]>::try_from(bytes.expose().as_slice()).ok()?;
    Some(Secret::new(key))
}

impl KeyWrapper for Transit {
    fn make(&self, owner: &KeyOwner) -> BoxFuture<'static, Result<NewKey, DataKeyError>> {
        let (vault, bound) = (
            Arc::clone(&self.0),
            base64::encode(&owner.associated_data()),
        );
        Box::pin(async move {
            let body = json!({ "bits": 256, "associated_data": bound });
            let path = "transit/datakey/plaintext/cards";
            let data = vault.data(Method::POST, path, &body).await;
            let data = data.map_err(|_| DataKeyError::Unavailable)?;
            let wrapped = data.get("ciphertext").and_then(Value::as_str);
            match (plaintext(&data), wrapped) {
                (Some(secret), Some(wrapped)) => Ok(NewKey {
                    secret,
                    wrapped: wrapped.to_owned(),
                }),
                (Some(_), None) | (None, _) => Err(DataKeyError::Broken),
            }
        })
    }

    fn unwrap(
        &self,
        owner: &KeyOwner,
        wrapped: &str,
    ) -> BoxFuture<'static, Result<Secret<[u8; 32]>, DataKeyError>> {
        let body = json!({ "ciphertext": wrapped, "associated_data": base64::encode(&owner.associated_data()) });
        let vault = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = vault
                .call(Method::POST, "transit/decrypt/cards", &body)
                .await;
            let answer = answer.map_err(|_| DataKeyError::Unavailable)?;
            match answer.status.as_u16() {
                200 => {}
                // It was wrapped for somebody else, or changed.
                400 => return Err(DataKeyError::Broken),
                _ => return Err(DataKeyError::Unavailable),
            }
            let answer = answer.json().map_err(|_| DataKeyError::Unavailable)?;
            let data = answer.get("data").unwrap_or(&Value::Null);
            plaintext(data).ok_or(DataKeyError::Broken)
        })
    }
}
