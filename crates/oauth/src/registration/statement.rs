//! Software statements (RFC 7591 §2.3): metadata that somebody trusted signed. What a statement says wins over what stands beside it.

use super::refusal::RegistrationRefusal;
use crate::metadata::CLIENT_ALGORITHMS;
use crate::tenant::registration::SoftwareIssuer;
use countersign_base::{Bounded, Issuer, UnixTime, limits};
use countersign_crypto::jose::{Claims, JwkSet, Jws};
use serde_json::{Map, Value};

/// Members that belong to the statement itself or name a credential; they never become metadata.
const OWN: [&str; 11] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "client_secret",
    "registration_access_token",
    "software_statement",
];

/// A statement whose signature holds under a key of a trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedStatement {
    issuer: Bounded<256>,
    software: Bounded<128>,
    metadata: Map<String, Value>,
}

impl ApprovedStatement {
    /// Judges a statement sent to the server `audience`.
    ///
    /// # Errors
    /// When it cannot be read, is of nobody trusted, has expired, is for another server, or names no software.
    pub fn verify(
        statement: &str,
        issuers: &[SoftwareIssuer],
        audience: &Issuer,
        now: UnixTime,
    ) -> Result<Self, RegistrationRefusal> {
        let parsed = || Jws::parse(statement).map_err(|_| RegistrationRefusal::Statement);
        if !CLIENT_ALGORITHMS.contains(&parsed()?.header().algorithm()) {
            return Err(RegistrationRefusal::Statement);
        }
        for trusted in issuers {
            let Ok((keys, _skipped)) = JwkSet::parse(trusted.jwks.to_string().as_bytes()) else {
                continue;
            };
            let jws = parsed()?;
            let (kid, algorithm) = (jws.header().kid().cloned(), jws.header().algorithm());
            let Ok(claims) = jws.verify_with_any(keys.candidates(kid.as_ref(), algorithm)) else {
                continue;
            };
            if claims.text("iss").ok().flatten() != Some(trusted.issuer.as_str()) {
                return Err(RegistrationRefusal::StatementUnapproved);
            }
            return Self::of(&claims, trusted, audience, now);
        }
        Err(RegistrationRefusal::StatementUnapproved)
    }

    fn of(
        claims: &Claims,
        trusted: &SoftwareIssuer,
        audience: &Issuer,
        now: UnixTime,
    ) -> Result<Self, RegistrationRefusal> {
        let refused = |_| RegistrationRefusal::Statement;
        let ahead = now.plus(limits::CLIENT_SKEW_AHEAD);
        let expired = claims
            .time("exp")
            .map_err(refused)?
            .is_some_and(|expires| expires <= now);
        let early = claims
            .time("nbf")
            .map_err(refused)?
            .is_some_and(|from| from > ahead)
            || claims
                .time("iat")
                .map_err(refused)?
                .is_some_and(|issued| issued > ahead);
        let elsewhere = claims
            .strings("aud")
            .map_err(refused)?
            .is_some_and(|audiences| !audiences.contains(&audience.as_str()));
        if expired || early || elsewhere {
            return Err(RegistrationRefusal::Statement);
        }
        let software = claims
            .text("software_id")
            .map_err(refused)?
            .and_then(|id| Bounded::parse(id).ok())
            .ok_or(RegistrationRefusal::Statement)?;
        let metadata = claims
            .raw()
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Ok(Self {
            issuer: trusted.issuer.clone(),
            software,
            metadata,
        })
    }

    /// Who vouches.
    #[must_use]
    pub const fn issuer(&self) -> &Bounded<256> {
        &self.issuer
    }

    /// For which software.
    #[must_use]
    pub const fn software(&self) -> &Bounded<128> {
        &self.software
    }

    /// Puts what it says over what stands beside it.
    #[must_use]
    pub fn over(&self, mut beside: Map<String, Value>) -> Map<String, Value> {
        for (name, value) in &self.metadata {
            beside.insert(name.clone(), value.clone());
        }
        beside
    }
}
