//! Which sessions came of which provider, so that they end with it or with its link (RT-13, A59).

use crate::catalogue::upstream_sessions as sql;
use crate::engine::{Row, args};
use crate::tables::{identity_providers, revocations, sessions, upstream_links, users};
use crate::{StoreError, Transaction};
use countersign_base::{SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_federation::id_token::UpstreamSubject;
use countersign_federation::{IssuerUrl, ProviderName};
use countersign_oauth::Session;

/// Rows that are ended at a time.
const BATCH: i64 = 500;

/// A session that began by an identity of a provider.
#[derive(Debug, Clone)]
pub struct UpstreamSession {
    /// The keyed hash of its cookie.
    pub handle: Tag,
    /// The session.
    pub session: Session,
    /// The provider.
    pub provider: ProviderName,
    /// Its issuer.
    pub issuer: IssuerUrl,
    /// Who it is there.
    pub subject: UpstreamSubject,
}

/// Adds a session, if provider, link and person still stand as they were judged: whatever ended one of them meanwhile has ended this too.
///
/// # Errors
/// [`StoreError::Superseded`] when the provider is disabled, the link is gone or another's, or the person is disabled.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &UpstreamSession,
) -> Result<(), StoreError> {
    let provider = identity_providers::hold(tx, tenant, &new.provider).await?;
    if !provider.is_some_and(|provider| provider.is_enabled() && provider.issuer == new.issuer) {
        return Err(StoreError::Superseded("identity_providers"));
    }
    let link = upstream_links::hold(tx, tenant, &new.provider, &new.issuer, &new.subject).await?;
    if link.is_none_or(|link| link.user != new.session.user) {
        return Err(StoreError::Superseded("upstream_links"));
    }
    let user = users::hold(tx, tenant, new.session.user).await?;
    if !user.is_some_and(|user| user.enabled) {
        return Err(StoreError::Superseded("users"));
    }
    sessions::add(tx, tenant, &new.handle, &new.session).await?;
    let values = args![
        tenant.as_str(),
        new.session.id.as_u64().cast_signed(),
        new.provider.as_str(),
        new.session.user.as_bytes(),
        new.session.kept_until().0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// Ends every session that came of a provider.
pub(crate) async fn end_of_provider(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
    now: UnixTime,
) -> Result<(), StoreError> {
    loop {
        let rows = tx
            .fetch_all(
                &sql::OF_PROVIDER,
                args![tenant.as_str(), provider.as_str(), BATCH],
            )
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        end(tx, tenant, &rows, now).await?;
    }
}

/// Ends every session of a person that came of a provider.
pub(crate) async fn end_of_user(
    tx: &mut Transaction,
    tenant: &Tenant,
    provider: &ProviderName,
    user: UserId,
    now: UnixTime,
) -> Result<(), StoreError> {
    loop {
        let rows = tx
            .fetch_all(
                &sql::OF_USER,
                args![tenant.as_str(), provider.as_str(), user.as_bytes(), BATCH],
            )
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        end(tx, tenant, &rows, now).await?;
    }
}

async fn end(
    tx: &mut Transaction,
    tenant: &Tenant,
    rows: &[Row],
    now: UnixTime,
) -> Result<(), StoreError> {
    for row in rows {
        let id: i64 = row.get(0)?;
        let session = SessionId::from_u64(id.cast_unsigned());
        crate::logout::of_session_later(tx, tenant, session, now).await?;
        sessions::end(tx, tenant, session, now).await?;
        revocations::add(tx, tenant, &revocations::Revoked::Session(session), now).await?;
        tx.execute(&sql::REMOVE, args![tenant.as_str(), id]).await?;
    }
    Ok(())
}
