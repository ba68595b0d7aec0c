//! API keys: each under its id, with a keyed hash of the whole key. The key itself is never stored.
//!
//! What is read is evidence that the very key was found ([`StoredToken`]), by a comparison in constant time, and that neither it nor its client has ended; its times, audience,
//! networks and revocation are `authn`'s to judge.

use super::{decode, encode, page, revocations};
use crate::catalogue::api_keys as sql;
use crate::engine::{Row, args};
use crate::tables::clients;
use crate::{Connection, Store, StoreError, Transaction};
use countersign_authn::api_key::{self, SourceNetworks};
use countersign_authn::danger;
use countersign_authn::opaque::StoredToken;
use countersign_base::{ClientId, GrantId, Secret, Tenant, UnixTime};
use countersign_crypto::mac::{MacKey, Tag};
use countersign_oauth::TenantRecord;
use countersign_oauth::api_key::ApiKeyRecord;

const DOMAIN: &str = "api_key";
const TABLE: &str = "api_keys";

/// Keys that one client may have at a time.
pub const KEYS_MAX: u16 = 16;

fn tag(key: &MacKey, tenant: &Tenant, shown: &str) -> Tag {
    key.tag(DOMAIN, &[tenant.as_str().as_bytes(), shown.as_bytes()])
}

/// A key that is about to be stored.
#[derive(Clone)]
pub struct NewApiKey {
    tag: Tag,
    record: ApiKeyRecord,
}

impl NewApiKey {
    /// The key that is shown as `shown`. `key` is the tenant's key of access tokens.
    #[must_use]
    pub fn new(
        key: &MacKey,
        tenant: &Tenant,
        shown: &Secret<String>,
        record: ApiKeyRecord,
    ) -> Self {
        Self {
            tag: tag(key, tenant, shown.expose()),
            record,
        }
    }
}

/// Stores a key of a client that is enabled and has fewer than [`KEYS_MAX`] live ones.
///
/// # Errors
/// [`StoreError::Superseded`] when the client is not there or disabled, [`StoreError::Full`] when it has as many as it may have.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewApiKey,
    now: UnixTime,
) -> Result<(), StoreError> {
    let record = &new.record;
    let client = clients::lock(tx, tenant, &record.client).await?;
    if !client.is_some_and(|client| client.enabled) {
        return Err(StoreError::Superseded("clients"));
    }
    let row = tx
        .fetch_optional(
            &sql::COUNT,
            args![
                tenant.as_str(),
                record.client.as_str(),
                now.0,
                i64::from(KEYS_MAX)
            ],
        )
        .await?;
    let live: i64 = row.map_or(Ok(0), |row| row.get(0))?;
    if live >= i64::from(KEYS_MAX) {
        return Err(StoreError::Full(TABLE));
    }
    let values = args![
        tenant.as_str(),
        record.id.as_u64().cast_signed(),
        record.client.as_str(),
        new.tag.as_bytes(),
        encode(TABLE, record)?,
        record.expires.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Lets a key end at `at`, if it would live longer: the overlap with the key that follows it.
///
/// # Errors
/// [`StoreError::Superseded`] when this client has no such key, or it was ended.
pub(crate) async fn shorten(
    tx: &mut Transaction,
    tenant: &Tenant,
    client: &ClientId,
    id: GrantId,
    at: UnixTime,
) -> Result<(), StoreError> {
    let values = args![
        tenant.as_str(),
        id.as_u64().cast_signed(),
        client.as_str(),
        at.0
    ];
    match tx.execute(&sql::SHORTEN, values).await? {
        0 => Err(StoreError::Superseded(TABLE)),
        _ => Ok(()),
    }
}

/// Ends a key, and tells every node as the end of a grant is told.
///
/// # Errors
/// [`StoreError::Superseded`] when the tenant has no such key, or it was ended before.
pub(crate) async fn end(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: GrantId,
    now: UnixTime,
) -> Result<(), StoreError> {
    let values = args![tenant.as_str(), id.as_u64().cast_signed(), now.0];
    if tx.execute(&sql::END, values).await? == 0 {
        return Err(StoreError::Superseded(TABLE));
    }
    revocations::add(tx, tenant, &revocations::Revoked::Grant(id), now).await
}

/// The key that is shown, and what it says now, if the tenant has it and it stands: neither it nor its client has ended.
pub async fn find(
    connection: &mut Connection,
    tenant: &TenantRecord,
    key: &MacKey,
    shown: &str,
    now: UnixTime,
) -> Result<Option<(ApiKeyRecord, StoredToken)>, StoreError> {
    let Some(record) = shown_record(connection, &tenant.name, key, shown).await? else {
        return Ok(None);
    };
    let client = clients::find_known(connection, &tenant.name, &record.client).await?;
    let Some(claims) = client.and_then(|client| record.claims(&client, tenant, now)) else {
        return Ok(None);
    };
    let networks = SourceNetworks(record.networks.iter().copied().collect());
    let stored = danger::stored_api_key(tenant.name.clone(), shown, claims, networks)
        .map_err(|reason| StoreError::corrupt(TABLE, reason))?;
    Ok(Some((record, stored)))
}

async fn shown_record(
    connection: &mut Connection,
    tenant: &Tenant,
    key: &MacKey,
    shown: &str,
) -> Result<Option<ApiKeyRecord>, StoreError> {
    let Some(id) = api_key::id_of(shown) else {
        return Ok(None);
    };
    // Made before it is known whether there is a row, so that both take as long.
    let tag = tag(key, tenant, shown);
    let row = connection
        .fetch_optional(
            &sql::FIND,
            args![tenant.as_str(), id.as_u64().cast_signed()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let kept = Tag::from_bytes(super::bytes(TABLE, &row.get::<Vec<u8>>(4)?)?);
    match tag.verify_same(&kept) {
        Ok(_same) => record(&row).map(Some),
        Err(_) => Ok(None),
    }
}

/// Whose key this id is, if the tenant has it. For whoever administers it; nobody has shown the key.
pub async fn by_id(
    connection: &mut Connection,
    tenant: &Tenant,
    id: GrantId,
) -> Result<Option<ApiKeyRecord>, StoreError> {
    let values = args![tenant.as_str(), id.as_u64().cast_signed()];
    let row = connection.fetch_optional(&sql::FIND, values).await?;
    row.map(|row| record(&row)).transpose()
}

/// Up to `limit` keys of a client, whose row is not yet swept; those that end first come first.
pub async fn of_client(
    connection: &mut Connection,
    tenant: &Tenant,
    client: &ClientId,
    limit: u16,
) -> Result<Vec<ApiKeyRecord>, StoreError> {
    let values = args![tenant.as_str(), client.as_str(), page(limit)];
    let rows = connection.fetch_all(&sql::OF_CLIENT, values).await?;
    rows.iter().map(record).collect()
}

/// What changes stands in columns of its own.
fn record(row: &Row) -> Result<ApiKeyRecord, StoreError> {
    let mut record: ApiKeyRecord = decode(TABLE, &row.get::<String>(0)?)?;
    record.expires = UnixTime(row.get(1)?);
    record.ended = row.get::<Option<i64>>(2)?.map(UnixTime);
    record.used_on = row.get::<Option<i64>>(3)?.map(UnixTime);
    Ok(record)
}

impl Store {
    /// Remembers the day of a key's last use. It may be lost when the process ends at that moment; the use itself is in the audit log.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn api_key_used(
        &self,
        tenant: &Tenant,
        id: GrantId,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let day = ApiKeyRecord::day_of(now);
                let values = args![tenant.as_str(), id.as_u64().cast_signed(), day.0];
                tx.execute(&sql::USED, values).await.map(drop)
            })
        })
        .await
    }
}
