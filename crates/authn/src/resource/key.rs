//! Which key checks a token's signature: that of the issuer which the token names, chosen before any key is looked at.
//!
//! `iss` is compared as an exact string with the issuers that the resource trusts, and with nobody else. What else the header says can only agree with what that
//! issuer may do. Not here: where keys come from.

use super::issuers::{OtherIssuer, Others};
use super::{TrustedIssuer, VerdictKey};
use crate::access_token::{TokenHash, VerifiedToken};
use crate::refusal::{Reason, Refusal};
use crate::trust::IssuerName;
use countersign_base::{Issuer, Kid, Tenant};
use countersign_crypto::jose::{Algorithm, Claims, Header, Jws, VerifyingKey};
use countersign_crypto::{Unverified, Verified};
use std::fmt;
use std::sync::Arc;

/// Whom a token may be of.
pub(crate) struct Trusting<'a> {
    /// What tokens of our own tenants are by their `typ`.
    pub(crate) typ: &'static str,
    pub(crate) own: &'a [TrustedIssuer],
    pub(crate) others: Option<&'a Others>,
}

/// Whose token it says that it is.
#[derive(Clone)]
enum Trusted {
    Other(Arc<OtherIssuer>, Tenant),
    Own(TrustedIssuer),
}

impl<'a> Trusting<'a> {
    /// Tokens of this `typ`, of our own tenants' issuers and of nobody else.
    pub(crate) const fn own(typ: &'static str, own: &'a [TrustedIssuer]) -> Self {
        Self {
            typ,
            own,
            others: None,
        }
    }
}

impl Trusting<'_> {
    fn find(&self, iss: &str) -> Option<Trusted> {
        let mut own = self.own.iter();
        if let Some(own) = own.find(|trusted| trusted.issuer.as_str() == iss) {
            return Some(Trusted::Own(own.clone()));
        }
        let others = self.others?;
        let mut known = others.issuers.iter();
        known
            .find(|other| other.iss() == iss)
            .map(|other| Trusted::Other(Arc::clone(other), others.tenant.clone()))
    }

    fn check(&self, trusted: &Trusted, header: &Header) -> Result<(), Reason> {
        let (is_typ, may_sign) = match trusted {
            Trusted::Other(other, _) => (
                other.takes_typ(header),
                other.algorithms().contains(&header.algorithm()),
            ),
            Trusted::Own(own) => (
                header.is_typ(self.typ),
                own.algorithms.contains(&header.algorithm()),
            ),
        };
        match (is_typ, may_sign) {
            (false, _) => Err(Reason::TypMismatch),
            (true, false) => Err(Reason::AlgorithmNotAllowed),
            (true, true) => Ok(()),
        }
    }
}

/// The key that a token's signature demands.
pub struct KeyNeeded(Box<Needed>);

struct Needed {
    jws: Unverified<Jws>,
    kid: Option<Kid>,
    algorithm: Algorithm,
    trusted: Trusted,
    cache_key: VerdictKey,
}

impl KeyNeeded {
    /// Reads header and issuer of a token, unverified: they only say which key will verify it.
    pub(crate) fn of(
        token: &str,
        trusting: &Trusting<'_>,
        cache_key: VerdictKey,
    ) -> Result<Self, Refusal> {
        let jws = Jws::parse(token).map_err(|_| Reason::TokenMalformed)?;
        let claimed = jws.danger_unverified_claims();
        let iss = claimed
            .text("iss")
            .map_err(|_| Reason::ClaimBroken)?
            .ok_or(Reason::ClaimMissing)?;
        let trusted = trusting.find(iss).ok_or(Reason::IssuerUnknown)?;
        let header = jws.header();
        trusting.check(&trusted, header)?;
        let (algorithm, kid) = (header.algorithm(), header.kid().cloned());
        Ok(Self(Box::new(Needed {
            jws,
            kid,
            algorithm,
            trusted,
            cache_key,
        })))
    }

    pub(super) fn cache_key(&self) -> VerdictKey {
        self.0.cache_key
    }

    pub(crate) fn token_hash(&self) -> TokenHash {
        self.0.cache_key.token
    }

    /// Whose key.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        match &self.0.trusted {
            Trusted::Other(other, _) => other.issuer(),
            Trusted::Own(own) => &own.issuer,
        }
    }

    /// The name of that issuer in the configuration, if it is none of our own tenants': only its own keys may answer then, whatever they are called.
    #[must_use]
    pub fn other(&self) -> Option<&IssuerName> {
        match &self.0.trusted {
            Trusted::Other(other, _) => Some(other.name()),
            Trusted::Own(_) => None,
        }
    }

    /// The tenant that the token counts in.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        match &self.0.trusted {
            Trusted::Other(_, tenant) => tenant,
            Trusted::Own(own) => &own.tenant,
        }
    }

    /// Which key.
    #[must_use]
    pub fn kid(&self) -> Option<&Kid> {
        self.0.kid.as_ref()
    }

    /// For which algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    pub(crate) fn verify(self, answer: KeyAnswer) -> Result<VerifiedToken, Reason> {
        let (kid, cache_key) = (self.0.kid.clone(), self.0.cache_key);
        let (claims, trusted) = self.verified(answer)?;
        match trusted {
            Trusted::Other(other, tenant) => {
                VerifiedToken::read_other(&claims, other, tenant, kid, cache_key)
            }
            Trusted::Own(own) => VerifiedToken::read(&claims, &own, kid, cache_key),
        }
    }

    /// The claims, and which of our own tenants' they are: the signature holds, and nothing else is judged.
    pub(crate) fn verify_claims(
        self,
        answer: KeyAnswer,
    ) -> Result<(Verified<Claims>, TrustedIssuer), Reason> {
        match self.verified(answer)? {
            (_, Trusted::Other(..)) => Err(Reason::IssuerUnknown),
            (claims, Trusted::Own(own)) => Ok((claims, own)),
        }
    }

    fn verified(self, answer: KeyAnswer) -> Result<(Verified<Claims>, Trusted), Reason> {
        let key = match answer {
            KeyAnswer::Key(key) => key,
            KeyAnswer::Unavailable => return Err(Reason::KeysUnavailable),
            KeyAnswer::Unknown => return Err(Reason::KeyUnknown),
        };
        let Needed { jws, trusted, .. } = *self.0;
        let claims = jws.verify(&key).map_err(|_| Reason::SignatureInvalid)?;
        Ok((claims, trusted))
    }
}

impl fmt::Debug for KeyNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyNeeded({}, {:?})", self.issuer(), self.kid())
    }
}

/// What the shell found for a [`KeyNeeded`].
#[derive(Debug, Clone)]
pub enum KeyAnswer {
    /// The key.
    Key(VerifyingKey),
    /// The issuer's keys cannot be had at the moment.
    Unavailable,
    /// The issuer has no such key.
    Unknown,
}
