//! The `jti` of assertions that were accepted as grants (RFC 7523 §3), kept until they expire: a digest over issuer and `jti`, so that the values of one
//! issuer are never those of another, whichever client brings them.

use super::assertions::{Assertion, remember};
use crate::catalogue::grant_assertions as sql;
use crate::{StoreError, Transaction};
use countersign_base::{Tenant, UnixTime};

/// Remembers an assertion until `expires`; a second one with the same digest is [`Assertion::Replayed`].
pub async fn spend(
    tx: &mut Transaction,
    tenant: &Tenant,
    jti: &[u8; 32],
    expires: UnixTime,
) -> Result<Assertion, StoreError> {
    remember(tx, &sql::SPEND, tenant, jti, expires).await
}
