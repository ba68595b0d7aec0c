//! Whether a token holds: its signature, its times, its issuer and its audience (RFC 7519 §4.1, RFC 8725).
//!
//! Shared by the auth methods whose credential is a JWT. What is refused says one of a few texts, and never repeats a claim.

use crate::VaultError;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::Verified;
use countersign_crypto::jose::{Algorithm, Claims, JwkSet, Jws, VerifyingKey};
use std::collections::BTreeSet;

/// What Vault answers when a token is for somebody and the role does not say for whom it may be (CVE-2024-5798).
pub(crate) const AUDIENCE_UNBOUND: &str =
    "audience claim found in JWT but no audiences bound to the role";

/// The claims of a token whose signature holds.
///
/// # Errors
/// When the token cannot be read, its algorithm is not allowed, or the signature holds under none of the keys.
pub(crate) fn signed(
    token: &str,
    keys: &JwkSet,
    allowed: &BTreeSet<Algorithm>,
) -> Result<Verified<Claims>, VaultError> {
    let refused = |_| VaultError::invalid("error validating token: the signature does not hold");
    let token = Jws::parse(token.trim()).map_err(|_| {
        VaultError::invalid("error validating token: it is no JWT with a known algorithm")
    })?;
    let algorithm = token.header().algorithm();
    if !allowed.is_empty() && !allowed.contains(&algorithm) {
        return Err(VaultError::invalid(
            "error validating token: its algorithm is not allowed",
        ));
    }
    let kid = token.header().kid().cloned();
    // A key without a name, as PEM texts give, is tried for every token of its algorithm.
    let may_be = |key: &&VerifyingKey| {
        key.algorithm() == algorithm
            && (kid.is_none() || key.kid().is_none() || key.kid() == kid.as_ref())
    };
    token
        .verify_with_any(keys.iter().filter(may_be))
        .map_err(refused)
}

/// How much clocks may differ, and how long a token without an end or a beginning lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leeway {
    pub(crate) skew: Duration,
    pub(crate) expiration: Duration,
    pub(crate) not_before: Duration,
}

/// What a token has to say.
pub(crate) struct Demand<'d> {
    /// `iss`, if it is bound.
    pub(crate) issuer: Option<&'d str>,
    /// `aud`: one of these, and none where the token has no audience.
    pub(crate) audiences: &'d [String],
    /// Its times.
    pub(crate) leeway: Leeway,
}

/// Evidence that a token is meant for this role, now. Only [`Demand::admit`] makes one.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct Admitted<'c>(&'c Claims);

impl<'c> Admitted<'c> {
    /// The claims.
    pub(crate) const fn claims(&self) -> &'c Claims {
        self.0
    }
}

impl Demand<'_> {
    /// Looks at issuer, audience and times.
    ///
    /// # Errors
    /// When one of them does not fit, or is of the wrong type.
    pub(crate) fn admit<'c>(
        &self,
        claims: &'c Verified<Claims>,
        now: UnixTime,
    ) -> Result<Admitted<'c>, VaultError> {
        let malformed = |_| VaultError::invalid("error validating claims: one has the wrong type");
        if let Some(issuer) = self.issuer
            && claims.text("iss").map_err(malformed)? != Some(issuer)
        {
            return Err(VaultError::invalid(
                "error validating claims: the issuer is another",
            ));
        }
        let audience = claims
            .strings("aud")
            .map_err(malformed)?
            .unwrap_or_default();
        if self.audiences.is_empty() && !audience.is_empty() {
            return Err(VaultError::invalid(AUDIENCE_UNBOUND));
        }
        let named = |bound: &String| audience.contains(&bound.as_str());
        if !self.audiences.is_empty() && !self.audiences.iter().any(named) {
            return Err(VaultError::invalid(
                "error validating claims: the audience is another",
            ));
        }
        let time = |name| claims.time(name).map_err(malformed);
        self.leeway
            .holds(time("iat")?, time("nbf")?, time("exp")?, now)?;
        Ok(Admitted(claims))
    }
}

impl Leeway {
    /// A token has to say at least one of its times; the others follow from it.
    fn holds(
        self,
        issued: Option<UnixTime>,
        not_before: Option<UnixTime>,
        expires: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<UnixTime, VaultError> {
        let begins = not_before.or(issued);
        let (begin, end) = match (begins, expires) {
            (None, None) => {
                return Err(VaultError::invalid(
                    "error validating claims: none of `iat`, `nbf` and `exp` is there",
                ));
            }
            (Some(begin), None) => (
                begin,
                begin.max(issued.unwrap_or(begin)).plus(self.expiration),
            ),
            (None, Some(end)) => (end.minus(self.not_before), end),
            (Some(begin), Some(end)) => (begin, end),
        };
        let ahead = |time: UnixTime| now.plus(self.skew) < time;
        if now >= end.plus(self.skew) {
            return Err(VaultError::invalid(
                "error validating claims: the token has expired",
            ));
        }
        // A token without a beginning that ends late has begun, as far as it says.
        if (begins.is_some() && ahead(begin)) || issued.is_some_and(ahead) {
            return Err(VaultError::invalid(
                "error validating claims: the token is not valid yet",
            ));
        }
        Ok(end)
    }
}
