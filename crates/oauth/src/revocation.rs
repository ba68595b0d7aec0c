//! Token revocation (RFC 7009): a client gives back what it got; the whole grant ends with it.

use crate::change::Change;
use crate::client::ClientRecord;
use crate::grant::RevocationReason;
use crate::refresh::{RefreshFamily, RefreshHandle};
use crate::token::PresentedToken;
use countersign_base::UnixTime;

/// What a revocation request comes to. The caller gets 200 for either, so that nobody learns whose a token is (RFC 7009 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The grant ends.
    Revoke(Box<Change>),
    /// Not a live token of this client.
    Nothing,
}

/// Revokes by an access token that was verified.
#[must_use]
pub fn of_access_token(token: &PresentedToken, client: &ClientRecord, now: UnixTime) -> Revocation {
    if token.client != client.id {
        return Revocation::Nothing;
    }
    Revocation::Revoke(Box::new(Change::GrantRevoked {
        grant: token.grant,
        reason: RevocationReason::ClientRevoked,
        at: now,
    }))
}

/// Revokes by a refresh token. A bound one needs no proof to be given back (DPOP-32), and an earlier generation ends the grant as well.
#[must_use]
pub fn of_refresh_token(
    handle: RefreshHandle,
    family: &RefreshFamily,
    client: &ClientRecord,
    now: UnixTime,
) -> Revocation {
    if family.id != handle.family() || family.client != client.id || family.tenant != client.tenant
    {
        return Revocation::Nothing;
    }
    Revocation::Revoke(Box::new(Change::GrantRevoked {
        grant: family.grant,
        reason: RevocationReason::ClientRevoked,
        at: now,
    }))
}

#[cfg(test)]
mod tests;
