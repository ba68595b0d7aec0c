//! Access tokens as JWTs (RFC 9068): their claims as one type for who signs and who reads them, and the verdict that a cache may keep.
//!
//! A [`VerifiedToken`] says that a signature held under a key of its issuer and that the claims have their types; it says nothing about
//! time, audience, binding or revocation, which are judged at every use.

pub(crate) mod claims;
mod details;

pub use claims::{AccessTokenClaims, Act, AttributeValue, Confirmation, MayAct};
pub use details::{
    AuthorizationDetail, AuthorizationDetails, DETAILS_BYTES_MAX, DETAILS_MAX, DetailType,
    DetailsBroken,
};

use crate::api_key::SourceNetworks;
use crate::refusal::Reason;
use crate::resource::{OtherIssuer, TrustedIssuer, VerdictKey};
use countersign_base::{Audience, Duration, Kid, Tenant, UnixTime, limits};
use countersign_crypto::jose::Claims;
use countersign_crypto::{Verified, base64url, digest};
use std::fmt;
use std::sync::Arc;

/// SHA-256 of a whole access token: `ath` of its proofs (RFC 9449 §4.2) and its name in caches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as it was presented.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(digest::sha256(token.as_bytes()))
    }

    /// The form that `ath` has.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64url())
    }
}

/// A token whose signature held: what the cache of verdicts keeps.
///
/// Nobody outside this crate makes one. It carries the key under which it may be found again, so that a cache that mixes tokens or
/// rules up is noticed.
pub struct VerifiedToken {
    claims: AccessTokenClaims,
    tenant: Tenant,
    kid: Option<Kid>,
    cache_key: VerdictKey,
    /// Where an API key may come from; absent for every other token.
    networks: Option<SourceNetworks>,
    /// Whose it is, if it is of none of our own tenants.
    other: Option<Arc<OtherIssuer>>,
}

impl VerifiedToken {
    pub(crate) fn read(
        claims: &Verified<Claims>,
        issuer: &TrustedIssuer,
        kid: Option<Kid>,
        cache_key: VerdictKey,
    ) -> Result<Self, Reason> {
        let claims = AccessTokenClaims::read(claims)?;
        if claims.iss != issuer.issuer {
            return Err(Reason::IssuerUnknown);
        }
        Ok(Self {
            claims,
            tenant: issuer.tenant.clone(),
            kid,
            cache_key,
            networks: None,
            other: None,
        })
    }

    /// The same of a token of an issuer that is not ours. What it says counts in `tenant`.
    pub(crate) fn read_other(
        claims: &Verified<Claims>,
        other: Arc<OtherIssuer>,
        tenant: Tenant,
        kid: Option<Kid>,
        cache_key: VerdictKey,
    ) -> Result<Self, Reason> {
        Ok(Self {
            claims: other.read(claims, cache_key.token)?,
            tenant,
            kid,
            cache_key,
            networks: None,
            other: Some(other),
        })
    }

    /// The verdict on an opaque token whose row was found; the caller compared the issuer.
    pub(crate) const fn stored(
        claims: AccessTokenClaims,
        tenant: Tenant,
        cache_key: VerdictKey,
        networks: Option<SourceNetworks>,
    ) -> Self {
        Self {
            claims,
            tenant,
            kid: None,
            cache_key,
            networks,
            other: None,
        }
    }

    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// The tenant that its issuer stands for.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key that signed it.
    #[must_use]
    pub const fn kid(&self) -> Option<&Kid> {
        self.kid.as_ref()
    }

    /// Where it may come from, if it is an API key.
    pub(crate) const fn networks(&self) -> Option<&SourceNetworks> {
        self.networks.as_ref()
    }

    /// Whether it is an API key and no token that somebody signed or was issued for minutes.
    #[must_use]
    pub const fn is_api_key(&self) -> bool {
        self.networks.is_some()
    }

    /// Who made it, if that is none of our own tenants.
    #[must_use]
    pub fn other(&self) -> Option<&OtherIssuer> {
        self.other.as_deref()
    }

    /// When it expires, leeway left out: a cache keeps it no longer.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.claims.exp
    }

    /// Under what a cache keeps it.
    #[must_use]
    pub const fn cache_key(&self) -> VerdictKey {
        self.cache_key
    }

    /// By how much the clock of whoever made it may differ from ours.
    pub(crate) fn leeway(&self) -> Duration {
        self.other()
            .map_or(limits::TOKEN_LEEWAY, OtherIssuer::leeway)
    }

    /// Audience and times (RFC 9068 §4), judged at every use.
    pub(crate) fn check(&self, audience: &Audience, now: UnixTime) -> Result<(), Reason> {
        let audience = self
            .other()
            .map_or(audience, |other| other.audience(audience));
        let leeway = self.leeway();
        if self.claims.aud != *audience {
            return Err(Reason::AudienceMismatch);
        }
        if self.claims.exp <= now.minus(leeway) {
            return Err(Reason::TokenExpired);
        }
        let ahead_max = now.plus(leeway);
        if self
            .claims
            .nbf
            .is_some_and(|not_before| not_before > ahead_max)
        {
            return Err(Reason::NotYetValid);
        }
        if self.claims.iat > ahead_max {
            return Err(Reason::IssuedAhead);
        }
        Ok(())
    }
}

/// A token speaks of people, so only its name is shown.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedToken({})", self.claims.jti)
    }
}

#[cfg(test)]
mod tests;
