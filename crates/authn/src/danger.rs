//! What would be an error nearly everywhere. `cargo xtask tidy` holds the list of callers.

use crate::Unspent;
use crate::access_token::AccessTokenClaims;
use crate::api_key::SourceNetworks;
use crate::client::AuthenticatedClient;
use crate::opaque::StoredToken;
use crate::refusal::Reason;
use countersign_base::{ClientId, Tenant};

/// Opens a credential whose one-time values the caller has just spent: the replay memory, or the store inside the transaction that
/// inserted them.
pub fn spent<T>(unspent: Unspent<T>) -> T {
    unspent.value
}

/// Lets the process itself act as a client that its operator configured for that: the exchange before an upstream, and nothing else. The
/// registration is judged in the transaction that issues, like that of any client.
pub fn configured_client(tenant: Tenant, id: ClientId) -> Unspent<AuthenticatedClient> {
    crate::client::configured(tenant, id)
}

/// Takes the row that the store found under the keyed hash of `token`, in the tenant's own table.
///
/// # Errors
/// When the row does not hold the claims of an access token.
pub fn stored_token(tenant: Tenant, token: &str, record: &str) -> Result<StoredToken, Reason> {
    StoredToken::read(tenant, token, record)
}

/// Takes the row of an API key: the store found it under the key's id, in the tenant's own table, compared the keyed hash of the whole key with it, and neither the key nor
/// its client has ended.
///
/// # Errors
/// When `claims` are not those of this very key.
pub fn stored_api_key(
    tenant: Tenant,
    key: &str,
    claims: AccessTokenClaims,
    networks: SourceNetworks,
) -> Result<StoredToken, Reason> {
    StoredToken::of_api_key(tenant, key, claims, networks)
}
