//! Signs the pages of what was revoked, for services that check tokens themselves.

use super::MintError;
use crate::{Fabric, KeyRing};
use countersign_authn::revocation_list::{Cursor, RevocationListClaims};
use countersign_authn::{Freshness, Revocations as _};
use countersign_base::{Duration, Issuer, Tenant};
use countersign_crypto::jose::sign_jwt;

/// How long a page is worth anything; a service that hears nothing for that long denies.
pub const PAGE_LIFETIME: Duration = Duration::from_secs(30);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be signed.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// This node itself does not know what was revoked.
    #[error("what was revoked is not known at the moment")]
    Stale,
}

/// The next page after `cursor`; waits up to `limit` where there is no news.
///
/// # Errors
/// When this node is cut off from the store, or has no key.
pub async fn revocation_list(
    fabric: &Fabric,
    (tenant, issuer): (&Tenant, &Issuer),
    cursor: Option<Cursor>,
    limit: Duration,
) -> Result<String, ListError> {
    let table = fabric.revocations();
    let page = table.feed().next_page(tenant, cursor.as_ref(), limit).await;
    if table.freshness(fabric.now()) == Freshness::Stale {
        return Err(ListError::Stale);
    }
    let claims = RevocationListClaims {
        iss: issuer.clone(),
        iat: table.as_of(),
        exp: table.as_of().plus(PAGE_LIFETIME),
        after: cursor,
        cursor: page.cursor,
        more: page.more,
        revoked: page.entries,
    };
    Ok(signed(fabric.keys(), tenant, &claims)?)
}

fn signed(
    keys: &KeyRing,
    tenant: &Tenant,
    claims: &RevocationListClaims,
) -> Result<String, MintError> {
    let signer = keys.signer(tenant).ok_or(MintError::NoKey)?;
    Ok(sign_jwt(&signer.revocation_list, claims)?)
}
