//! Opaque access tokens: the row that is written with the decision, and the look-up when one is shown.
//!
//! Not here: what a row says and how it is judged (`authn::opaque`), and who asks: the token endpoint, introspection, userinfo and the gateway of this process.

use crate::{Fabric, api_keys};
use countersign_authn::opaque::{PREFIX, StoredAnswer};
use countersign_authn::{TrustedIssuer, api_key};
use countersign_base::{Secret, Tenant};
use countersign_crypto::base64url;
use countersign_crypto::mac::MacKey;
use countersign_oauth::Issuance;
use countersign_oauth::client::AccessTokenFormat;
use countersign_store::tables::access_tokens::{self, NewAccessToken};
use countersign_store::{StoreError, Write};

/// The keys of a tenant's opaque tokens.
#[derive(Clone)]
pub struct OpaqueKeys {
    pub(crate) tokens: MacKey,
    pub(crate) handles: MacKey,
}

impl OpaqueKeys {
    /// The token for these random bytes: 256 bits that nobody without the key can tell from random ones. The same bytes always give the same token, so that it
    /// need not be kept between the decision and its answer.
    #[must_use]
    pub fn token(&self, token_id: &[u8; 16]) -> Secret<String> {
        let tag = self.tokens.tag("opaque access token", &[token_id]);
        let name = base64url::encode(tag.as_bytes());
        Secret::new(format!("{PREFIX}{name}"))
    }
}

/// What has to be written in the transaction that decides about `issuance`, so that its token is found: nothing for a signed one.
///
/// # Errors
/// When its claims have no JSON form.
pub fn row_of(
    issuance: &Issuance,
    keys: impl FnOnce() -> OpaqueKeys,
) -> Result<Option<Write>, StoreError> {
    match issuance.access_token_format() {
        AccessTokenFormat::Jwt => Ok(None),
        AccessTokenFormat::Opaque => {
            let keys = keys();
            let new = NewAccessToken::new(
                &keys.handles,
                issuance.tenant(),
                keys.token(issuance.token_id()).expose(),
                &issuance.access_token_claims(),
            )?;
            Ok(Some(Write::AddAccessToken(Box::new(new))))
        }
    }
}

/// Looks a shown token up in the tables of those `issuers` that are tenants of ours.
pub async fn find(fabric: &Fabric, token: &str, issuers: &[TrustedIssuer]) -> StoredAnswer {
    let mut answer = StoredAnswer::Unknown;
    for issuer in issuers {
        let ours = fabric
            .directory()
            .tenant(&issuer.tenant)
            .is_some_and(|tenant| tenant.issuer == issuer.issuer);
        if !ours {
            continue;
        }
        match of_tenant(fabric, token, &issuer.tenant).await {
            Ok(Some(stored)) => return stored,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(event = "store_failed", %error);
                answer = StoredAnswer::Unavailable;
            }
        }
    }
    answer
}

async fn of_tenant(
    fabric: &Fabric,
    token: &str,
    tenant: &Tenant,
) -> Result<Option<StoredAnswer>, StoreError> {
    if api_key::is_api_key(token) {
        return api_keys::of_tenant(fabric, token, tenant).await;
    }
    let keys = fabric.keys().opaque_keys(tenant);
    let mut connection = fabric.store().read().await?;
    let stored = access_tokens::find(&mut connection, tenant, &keys.handles, token).await?;
    Ok(stored.map(|stored| StoredAnswer::Token(Box::new(stored))))
}
