//! Access tokens without content: their claims, under a keyed hash of the token. The token itself is never stored.
//!
//! What is read is evidence that the very token was found ([`StoredToken`]); its times, audience, binding and revocations are `authn`'s to judge.

use super::{page, parsed};
use crate::catalogue::access_tokens as sql;
use crate::engine::args;
use crate::{Connection, StoreError, Transaction};
use countersign_authn::access_token::AccessTokenClaims;
use countersign_authn::opaque::StoredToken;
use countersign_authn::{SubjectId, danger};
use countersign_base::{ClientId, GrantId, Tenant, UnixTime, UserId};
use countersign_crypto::mac::MacKey;

const DOMAIN: &str = "access_token";

/// The keyed hash under which a token lies.
fn handle(key: &MacKey, tenant: &Tenant, token: &str) -> [u8; 32] {
    let tag = key.tag(DOMAIN, &[tenant.as_str().as_bytes(), token.as_bytes()]);
    *tag.as_bytes()
}

/// A token that is about to be stored.
#[derive(Clone)]
pub struct NewAccessToken {
    handle: [u8; 32],
    client: ClientId,
    grant: Option<GrantId>,
    user: Option<UserId>,
    record: String,
    expires: UnixTime,
}

impl NewAccessToken {
    /// `token`, which says `claims`. `key` is the tenant's key of access tokens.
    ///
    /// # Errors
    /// When the claims have no JSON form, which is a fault of their type.
    pub fn new(
        key: &MacKey,
        tenant: &Tenant,
        token: &str,
        claims: &AccessTokenClaims,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            handle: handle(key, tenant, token),
            client: claims.client_id.clone(),
            grant: claims.grant_id,
            user: match &claims.sub {
                SubjectId::User(user) => Some(*user),
                SubjectId::Client(_) | SubjectId::External(_) | SubjectId::Foreign(_) => None,
            },
            record: super::encode("access_tokens", claims)?,
            expires: claims.exp,
        })
    }
}

/// Stores a token.
///
/// # Errors
/// [`StoreError::Conflict`] if the tenant has a token of this hash.
pub(crate) async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: &NewAccessToken,
) -> Result<(), StoreError> {
    let user: Option<Vec<u8>> = new.user.map(|user| user.as_bytes().to_vec());
    let values = args![
        tenant.as_str(),
        &new.handle,
        new.client.as_str(),
        new.grant.map(|grant| grant.as_u64().cast_signed()),
        user,
        new.record.clone(),
        new.expires.0
    ];
    tx.execute(&sql::ADD, values).await.map(drop)
}

/// The token, if the tenant has it. It may have expired or been revoked.
pub async fn find(
    connection: &mut Connection,
    tenant: &Tenant,
    key: &MacKey,
    token: &str,
) -> Result<Option<StoredToken>, StoreError> {
    let handle = handle(key, tenant, token);
    let row = connection
        .fetch_optional(&sql::FIND, args![tenant.as_str(), &handle])
        .await?;
    row.map(|row| {
        danger::stored_token(tenant.clone(), token, &row.get::<String>(0)?)
            .map_err(|reason| StoreError::corrupt("access_tokens", reason))
    })
    .transpose()
}

/// What a person's list shows of one token: who has it, of which grant, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedToken {
    /// Who has it.
    pub client: ClientId,
    /// Revoking this ends it.
    pub grant: Option<GrantId>,
    /// When it expires.
    pub expires: UnixTime,
}

/// The live tokens about a person (R57). They end with their grant.
pub async fn of_user(
    connection: &mut Connection,
    tenant: &Tenant,
    user: UserId,
    limit: u16,
    now: UnixTime,
) -> Result<Vec<ListedToken>, StoreError> {
    let values = args![tenant.as_str(), user.as_bytes(), now.0, page(limit)];
    let rows = connection.fetch_all(&sql::OF_USER, values).await?;
    rows.iter()
        .map(|row| {
            Ok(ListedToken {
                client: parsed("access_tokens", &row.get::<String>(0)?)?,
                grant: row
                    .get::<Option<i64>>(1)?
                    .map(|grant| GrantId::from_u64(grant.cast_unsigned())),
                expires: UnixTime(row.get(2)?),
            })
        })
        .collect()
}
