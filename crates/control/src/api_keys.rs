//! API keys: how one is made, and the look-up when one is shown. Whoever keeps a verdict on one asks again within a minute, so that what ends a key without a revocation of its
//! own is heard of: its client lost a scope, the tenant lets keys live shorter.
//!
//! Not here: how a key is judged (`authn::api_key`, `oauth::api_key`), and who makes keys (`api`).

use crate::Fabric;
use countersign_authn::opaque::StoredAnswer;
use countersign_base::{GrantId, Secret, Tenant, UnixTime};
use countersign_crypto::random::Random;
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_store::tables::api_keys::{self, NewApiKey};
use countersign_store::{Store, StoreError, Write};

/// A new key for a record, and the write that keeps its hash. The key itself is told once, by the caller.
#[must_use]
pub fn make(
    fabric: &Fabric,
    tenant: &Tenant,
    record: ApiKeyRecord,
    random: &Random,
) -> (Secret<String>, Write) {
    let key = countersign_authn::api_key::generate(record.id, &random.secret());
    let keys = fabric.keys().opaque_keys(tenant);
    let new = NewApiKey::new(&keys.handles, tenant, &key, record);
    (key, Write::AddApiKey(Box::new(new)))
}

/// What a tenant's table says of a key that was shown.
pub(crate) async fn of_tenant(
    fabric: &Fabric,
    key: &str,
    tenant: &Tenant,
) -> Result<Option<StoredAnswer>, StoreError> {
    let Some(settings) = fabric.directory().tenant(tenant) else {
        return Ok(None);
    };
    let now = fabric.now();
    let keys = fabric.keys().opaque_keys(tenant);
    let found = {
        let mut connection = fabric.store().read().await?;
        api_keys::find(&mut connection, &settings, &keys.handles, key, now).await?
    };
    let Some((record, stored)) = found else {
        return Ok(None);
    };
    if record
        .used_on
        .is_none_or(|day| day < ApiKeyRecord::day_of(now))
    {
        tokio::spawn(used(fabric.store().clone(), tenant.clone(), record.id, now));
    }
    Ok(Some(StoredAnswer::Token(Box::new(stored))))
}

/// The day of its last use is for people; that it cannot be kept is no reason to refuse anybody.
async fn used(store: Store, tenant: Tenant, id: GrantId, now: UnixTime) {
    if let Err(error) = store.api_key_used(&tenant, id, now).await {
        tracing::warn!(event = "store_failed", %error);
    }
}
