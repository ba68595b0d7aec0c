//! Which identity of which provider belongs to which account. Subjects are personal data.

use super::clients::Removed;
use super::{decode, encode};
use crate::catalogue::{Statement, upstream_links as sql};
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_base::{Tenant, UserId};
use countersign_federation::id_token::UpstreamSubject;
use countersign_federation::{IssuerUrl, LinkRecord, ProviderName};

/// Adds a link.
///
/// # Errors
/// [`StoreError::Conflict`] if the identity is linked already.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    link: &LinkRecord,
) -> Result<(), StoreError> {
    let text = encode("upstream_links", link)?;
    tx.execute(
        &sql::ADD,
        args![
            tenant.as_str(),
            link.provider.as_str(),
            link.issuer.as_str(),
            link.subject.as_str(),
            link.user.as_bytes(),
            text
        ],
    )
    .await
    .map(drop)
}

/// Forgets the links of a person to a provider.
pub async fn remove(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
    user: UserId,
) -> Result<Removed, StoreError> {
    tx.execute(
        &sql::REMOVE,
        args![tenant.as_str(), provider.as_str(), user.as_bytes()],
    )
    .await
    .map(Removed::from_count)
}

/// The link of an identity.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    provider: &ProviderName,
    issuer: &IssuerUrl,
    subject: &UpstreamSubject,
) -> Result<Option<LinkRecord>, StoreError> {
    read(connection, &sql::FIND, tenant, provider, issuer, subject).await
}

/// The link of an identity, unchanged until the transaction ends.
pub(crate) async fn hold(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
    issuer: &IssuerUrl,
    subject: &UpstreamSubject,
) -> Result<Option<LinkRecord>, StoreError> {
    read(tx, &sql::HOLD, tenant, provider, issuer, subject).await
}

async fn read(
    connection: &mut Connection,
    statement: &'static Statement,
    tenant: &Tenant,
    provider: &ProviderName,
    issuer: &IssuerUrl,
    subject: &UpstreamSubject,
) -> Result<Option<LinkRecord>, StoreError> {
    connection
        .fetch_optional(
            statement,
            args![
                tenant.as_str(),
                provider.as_str(),
                issuer.as_str(),
                subject.as_str()
            ],
        )
        .await?
        .map(|row| decode("upstream_links", &row.get::<String>(0)?))
        .transpose()
}

/// The links of a person, in the order of the providers' names.
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
) -> Result<Vec<LinkRecord>, StoreError> {
    let rows = connection
        .fetch_all(&sql::OF_USER, args![tenant.as_str(), user.as_bytes()])
        .await?;
    rows.iter()
        .map(|row| decode("upstream_links", &row.get::<String>(0)?))
        .collect()
}
