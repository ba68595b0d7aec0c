//! DPoP proofs (RFC 9449 §11.1) and signed back-channel requests that were accepted, kept until they are too old to be: a digest over kind, owner and `jti`.
//!
//! What one process remembers of proofs it remembers in memory; here is what several processes of one installation have to agree on, and what a restart may
//! not forget.

use super::assertions::{Assertion, remember};
use crate::catalogue::used_proofs as sql;
use crate::{StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};

/// Remembers a digest until `expires`; a second one is [`Assertion::Replayed`].
pub async fn spend(
    tx: &mut Transaction,
    tenant: &Tenant,
    jti: &[u8; 32],
    expires: UnixTime,
) -> Result<Assertion, StoreError> {
    remember(tx, &sql::SPEND, tenant, jti, expires).await
}
