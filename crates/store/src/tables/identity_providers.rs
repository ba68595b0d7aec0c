//! Identity providers that are not ours. Our secrets there are not here.

use super::{decode, encode};
use crate::catalogue::{Statement, identity_providers as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};
use countersign_federation::provider::ProviderState;
use countersign_federation::{ProviderName, ProviderRecord};

/// Adds or replaces a provider.
pub async fn put(
    tx: &mut Transaction,
    tenant: &Tenant,
    record: &ProviderRecord,
    now: UnixTime,
) -> Result<(), StoreError> {
    let text = encode("identity_providers", record)?;
    let state = match record.state {
        ProviderState::Disabled => "disabled",
        ProviderState::Enabled => "enabled",
    };
    tx.execute(
        &sql::PUT,
        args![tenant.as_str(), record.name.as_str(), state, text, now.0],
    )
    .await
    .map(drop)
}

/// The provider of this name.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    provider: &ProviderName,
) -> Result<Option<ProviderRecord>, StoreError> {
    read(connection, &sql::FIND, tenant, provider).await
}

/// The provider of this name, unchanged until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
) -> Result<Option<ProviderRecord>, StoreError> {
    read(tx, &sql::HOLD, tenant, provider).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    provider: &ProviderName,
) -> Result<Option<ProviderRecord>, StoreError> {
    connection
        .fetch_optional(statement, args![tenant.as_str(), provider.as_str()])
        .await?
        .map(|row| decode("identity_providers", &row.get::<String>(0)?))
        .transpose()
}

/// Every provider of a tenant, in the order of their names.
pub async fn list(
    connection: &mut Connection,
    tenant: &Tenant,
) -> Result<Vec<ProviderRecord>, StoreError> {
    let rows = connection
        .fetch_all(&sql::LIST, args![tenant.as_str()])
        .await?;
    rows.iter()
        .map(|row| decode("identity_providers", &row.get::<String>(0)?))
        .collect()
}
