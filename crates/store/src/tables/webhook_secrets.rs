//! What endpoints' webhooks are signed with, sealed under the installation's key. While an old secret and a new one overlap, both sign.

use super::bytes;
use crate::catalogue::webhooks::webhook_secrets as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{EndpointId, Tenant, UnixTime, WebhookSecretId};

const TABLE: &str = "webhook_secrets";

/// Secrets that an endpoint may have at a time.
pub const SECRETS_MAX: u16 = 10;

/// What kind of secret it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A key of Ed25519.
    Ed25519,
    /// A key of HMAC-SHA256, which the receiver has too.
    Hmac,
}

impl SecretKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Hmac => "hmac",
        }
    }
}

/// A secret that is to be stored. It is sealed for the column `webhook_secrets.sealed` and the row of its id.
#[derive(Debug, Clone)]
pub struct NewWebhookSecret {
    /// Its id.
    pub id: WebhookSecretId,
    /// What it is.
    pub kind: SecretKind,
    /// The envelope.
    pub sealed: Vec<u8>,
}

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecretRow {
    /// Its id.
    pub id: WebhookSecretId,
    /// What it is.
    pub kind: SecretKind,
    /// The envelope.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created: UnixTime,
    /// When it ends, if another follows it.
    pub ends: Option<UnixTime>,
}

/// Stores a secret. Those before it end at `others_end`, if they would live longer.
///
/// # Errors
/// [`StoreError::Full`] when the endpoint has as many as it may have.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    endpoint: EndpointId,
    new: &NewWebhookSecret,
    (others_end, now): (UnixTime, UnixTime),
) -> Result<(), StoreError> {
    let ends = args![
        tenant.as_str(),
        endpoint.as_bytes(),
        new.id.as_bytes(),
        others_end.0
    ];
    tx.execute(&sql::END_OTHERS, ends).await?;
    if of_endpoint(tx, tenant, endpoint, now).await?.len() >= usize::from(SECRETS_MAX) {
        return Err(StoreError::Full(TABLE));
    }
    let values = args![
        tenant.as_str(),
        new.id.as_bytes(),
        endpoint.as_bytes(),
        new.kind.as_str(),
        new.sealed.as_slice(),
        now.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Removes every secret of an endpoint.
pub(crate) async fn clear(
    tx: &mut Transaction,
    tenant: &Tenant,
    endpoint: EndpointId,
) -> Result<(), StoreError> {
    tx.execute(&sql::CLEAR, args![tenant.as_str(), endpoint.as_bytes()])
        .await
        .map(drop)
}

/// The secrets of an endpoint that have not ended, the newest first.
pub async fn of_endpoint(
    connection: &mut Connection,
    tenant: &Tenant,
    endpoint: EndpointId,
    now: UnixTime,
) -> Result<Vec<WebhookSecretRow>, StoreError> {
    let values = args![
        tenant.as_str(),
        endpoint.as_bytes(),
        now.0,
        i64::from(SECRETS_MAX)
    ];
    let rows = connection.fetch_all(&sql::OF_ENDPOINT, values).await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.get(1)?;
            let kind = [SecretKind::Ed25519, SecretKind::Hmac]
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or_else(|| StoreError::corrupt(TABLE, "a secret is of no known kind"))?;
            Ok(WebhookSecretRow {
                id: WebhookSecretId::from_bytes(bytes(TABLE, &row.get::<Vec<u8>>(0)?)?),
                kind,
                sealed: row.get(2)?,
                created: UnixTime(row.get(3)?),
                ends: row.get::<Option<i64>>(4)?.map(UnixTime),
            })
        })
        .collect()
}
