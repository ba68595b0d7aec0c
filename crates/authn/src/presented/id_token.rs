//! An ID token of ours that comes back as a parameter (RFC 8693 §3, OpenID Connect Core §2).
//!
//! It says who signed in to which client, under which grant; it allows nothing by itself. Not here: hints at logout, which may have expired.

use crate::access_token::TokenHash;
use crate::access_token::claims::{broken, optional, required, text, time};
use crate::refusal::Reason;
use crate::resource::{Dependence, TrustedIssuer};
use crate::revocation::{Freshness, Revocations};
use crate::subject::SubjectId;
use countersign_base::{Bounded, ClientId, GrantId, Issuer, SessionId, Tenant, UnixTime, limits};
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use std::fmt;

pub(super) const TYP: &str = "JWT";

/// An ID token whose signature, times and revocations were checked.
#[derive(Clone, PartialEq, Eq)]
pub struct IdTokenShown {
    hash: TokenHash,
    tenant: Tenant,
    sub: SubjectId,
    client: ClientId,
    grant: GrantId,
    session: Option<SessionId>,
    issued: UnixTime,
    expires: UnixTime,
}

impl IdTokenShown {
    pub(super) fn read(
        claims: &Verified<Claims>,
        issuer: TrustedIssuer,
        hash: TokenHash,
    ) -> Result<Self, Reason> {
        let iss: Issuer = required(claims, "iss")?;
        if iss != issuer.issuer {
            return Err(Reason::IssuerUnknown);
        }
        // Ours have one audience, the client (OpenID Connect Core §2).
        let client: ClientId = required(claims, "aud")?;
        let sub = text(claims, "sub")?.ok_or(Reason::ClaimMissing)?;
        let sub = match sub.parse() {
            Ok(user) => SubjectId::User(user),
            Err(_) => SubjectId::External(Bounded::parse(sub).map_err(broken)?),
        };
        Ok(Self {
            hash,
            tenant: issuer.tenant,
            sub,
            client,
            grant: required(claims, "grant_id")?,
            session: optional(claims, "sid")?,
            issued: time(claims, "iat")?.ok_or(Reason::ClaimMissing)?,
            expires: time(claims, "exp")?.ok_or(Reason::ClaimMissing)?,
        })
    }

    pub(super) fn check(&self, revocations: &dyn Revocations, now: UnixTime) -> Result<(), Reason> {
        if self.expires <= now {
            return Err(Reason::TokenExpired);
        }
        if self.issued > now.plus(limits::TOKEN_LEEWAY) {
            return Err(Reason::IssuedAhead);
        }
        match revocations.freshness(now) {
            Freshness::Current => {}
            Freshness::Stale => return Err(Reason::RevocationsStale),
        }
        let dependence = Dependence {
            tenant: &self.tenant,
            client: Some(&self.client),
            grant: Some(self.grant),
            session: self.session,
            subject: &self.sub,
            actors: &[],
            issued: self.issued,
        };
        if dependence.is_revoked(revocations) {
            return Err(Reason::Revoked);
        }
        Ok(())
    }

    /// The hash of the whole token: its name, since it has no `jti`.
    #[must_use]
    pub const fn hash(&self) -> TokenHash {
        self.hash
    }

    /// The tenant of its issuer.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The client that it was made for.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The grant that it came of.
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.grant
    }

    /// When it expires.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }
}

/// It speaks of a person, so only its hash is shown.
impl fmt::Debug for IdTokenShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdTokenShown({:?})", self.hash)
    }
}
