//! Access tokens without content (RFC 6749 §1.4): a random name whose claims only the store knows.
//!
//! Such a token is judged as a signed one is: times, audience, binding and revocations, at every use. Only the signature's place is taken by the
//! store's answer, which is evidence that a row lies under the keyed hash of this very token ([`crate::danger::stored_token`]).
//!
//! Not here: who makes the name and where the row lies (`control`, `store`).

use crate::access_token::{AccessTokenClaims, TokenHash, VerifiedToken};
use crate::api_key::SourceNetworks;
use crate::refusal::{Reason, Refusal};
use crate::resource::{TrustedIssuer, VerdictKey, check_revocations};
use crate::revocation::Revocations;
use countersign_base::{Tenant, UnixTime};
use countersign_crypto::jose::Claims;
use serde_json::{Map, Value};
use std::fmt;

/// What every opaque access token begins with, so that scanners for leaked secrets know one.
pub const PREFIX: &str = "csat_";
/// Characters behind the prefix: 256 bits in base64url.
const NAME_CHARACTERS: usize = 43;

/// Whether a text has the form of an opaque access token. No JWT, code or refresh token has.
#[must_use]
pub fn is_opaque(token: &str) -> bool {
    token.strip_prefix(PREFIX).is_some_and(|name| {
        name.len() == NAME_CHARACTERS
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// An opaque token that the store knows: evidence that a row lies under its keyed hash.
pub struct StoredToken {
    claims: AccessTokenClaims,
    tenant: Tenant,
    hash: TokenHash,
    /// Of an API key alone.
    networks: Option<SourceNetworks>,
}

impl StoredToken {
    pub(crate) const fn of(
        claims: AccessTokenClaims,
        tenant: Tenant,
        hash: TokenHash,
        networks: Option<SourceNetworks>,
    ) -> Self {
        Self {
            claims,
            tenant,
            hash,
            networks,
        }
    }

    /// Reads a row. See [`crate::danger::stored_token`].
    pub(crate) fn read(tenant: Tenant, token: &str, record: &str) -> Result<Self, Reason> {
        let members: Map<String, Value> =
            serde_json::from_str(record).map_err(|_| Reason::ClaimBroken)?;
        let claims = AccessTokenClaims::of(&Claims::from_members(members))?;
        Ok(Self::of(claims, tenant, TokenHash::of(token), None))
    }

    pub(crate) const fn hash(&self) -> TokenHash {
        self.hash
    }

    /// The verdict, if one of `issuers` is the tenant that keeps the row.
    pub(crate) fn verdict(
        self,
        issuers: &[TrustedIssuer],
        cache_key: VerdictKey,
    ) -> Result<VerifiedToken, Reason> {
        let trusted = issuers
            .iter()
            .any(|issuer| issuer.tenant == self.tenant && issuer.issuer == self.claims.iss);
        if trusted {
            Ok(VerifiedToken::stored(
                self.claims,
                self.tenant,
                cache_key,
                self.networks,
            ))
        } else {
            Err(Reason::IssuerUnknown)
        }
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredToken({:?})", self.hash)
    }
}

/// What the shell found for an opaque token.
#[derive(Debug)]
pub enum StoredAnswer {
    /// Its row.
    Token(Box<StoredToken>),
    /// The store cannot be asked at the moment.
    Unavailable,
    /// No row: never made, swept, or another tenant's.
    Unknown,
}

impl StoredAnswer {
    pub(crate) fn token(self) -> Result<StoredToken, Reason> {
        match self {
            Self::Token(token) => Ok(*token),
            Self::Unavailable => Err(Reason::KeysUnavailable),
            Self::Unknown => Err(Reason::TokenUnknown),
        }
    }
}

/// Judges an opaque token that is a parameter of a request, as [`crate::presented::prove`] judges a signed one.
///
/// # Errors
/// When there is no such token, its time is over, it is revoked, or it cannot be told.
pub fn prove_presented(
    answer: StoredAnswer,
    issuer: &TrustedIssuer,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<VerifiedToken, Refusal> {
    let stored = answer.token()?;
    let cache_key = VerdictKey {
        token: stored.hash(),
        rules: [0; 32],
    };
    let token = stored.verdict(std::slice::from_ref(issuer), cache_key)?;
    token.check(&token.claims().aud, now)?;
    check_revocations(&token, revocations, now)?;
    Ok(token)
}

#[cfg(test)]
mod tests;
