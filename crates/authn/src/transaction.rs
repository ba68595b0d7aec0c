//! Transaction tokens (draft-ietf-oauth-transaction-tokens): what a call chain inside a trust domain is about, from its first workload to its last.
//!
//! A transaction token is no credential: it travels in its own header beside whatever authenticates the calling workload, and nothing that takes access tokens
//! takes it. Minting serializes [`TransactionTokenClaims`] and a workload reads it, so both mean the same.
//!
//! Not here: making and replacing them, which is a token exchange (`oauth`).

use crate::access_token::claims::{broken, optional, required, text, time};
use crate::access_token::{Act, TokenHash};
use crate::refusal::{Reason, Refusal};
use crate::resource::{Dependence, KeyAnswer, KeyNeeded, TrustedIssuer, Trusting, VerdictKey};
use crate::revocation::{Freshness, Revocations};
use crate::subject::SubjectId;
use countersign_base::{
    Audience, Bounded, ClientId, GrantId, Issuer, Scopes, SessionId, Tenant, UnixTime, limits,
};
use countersign_crypto::Verified;
use countersign_crypto::jose::Claims;
use http::HeaderMap;
use http::header::HeaderName;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// The header that carries it.
pub static TXN_TOKEN_HEADER: HeaderName = HeaderName::from_static("txn-token");

/// `typ` of the token.
pub const TRANSACTION_TOKEN_TYP: &str = "txntoken+jwt";

/// Workloads that one transaction may pass, each of which replaced the token.
pub const WORKLOADS_MAX: usize = 8;

/// What a transaction token says.
#[derive(Clone, PartialEq, Serialize)]
pub struct TransactionTokenClaims {
    /// Who made it.
    pub iss: Issuer,
    /// The trust domain.
    pub aud: Audience,
    /// When it was made.
    pub iat: UnixTime,
    /// When it expires.
    pub exp: UnixTime,
    /// Its name.
    pub jti: Bounded<256>,
    /// The transaction: the same in every token of the chain.
    pub txn: Bounded<64>,
    /// Whom the transaction is about.
    pub sub: Bounded<255>,
    /// What it is for.
    pub scope: Scopes,
    /// The workloads that asked for it, the first one first, separated by commas.
    pub req_wl: Bounded<1100>,
    /// Who acts for the subject, as the token said that began the chain.
    #[serde(skip_serializing_if = "Act::is_none")]
    pub act: Act,
    /// What was known of the request that began the chain.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rctx: Map<String, Value>,
    /// What the transaction is about: set by the first workload and unchanged since.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tctx: Map<String, Value>,
    /// The grant it came of.
    pub grant_id: GrantId,
    /// The sign-in it came of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// When the person signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTime>,
}

impl TransactionTokenClaims {
    /// Reads the claims of a token whose signature held.
    pub(crate) fn read(claims: &Verified<Claims>) -> Result<Self, Reason> {
        let bounded = |name| {
            text(claims, name)?
                .filter(|text| !text.is_empty())
                .ok_or(Reason::ClaimMissing)
        };
        Ok(Self {
            iss: required(claims, "iss")?,
            aud: required(claims, "aud")?,
            iat: time(claims, "iat")?.ok_or(Reason::ClaimMissing)?,
            exp: time(claims, "exp")?.ok_or(Reason::ClaimMissing)?,
            jti: Bounded::parse(bounded("jti")?).map_err(broken)?,
            txn: Bounded::parse(bounded("txn")?).map_err(broken)?,
            sub: Bounded::parse(bounded("sub")?).map_err(broken)?,
            scope: required(claims, "scope")?,
            req_wl: Bounded::parse(bounded("req_wl")?).map_err(broken)?,
            act: Act::read(claims.raw().get("act"))?,
            rctx: context(claims, "rctx")?,
            tctx: context(claims, "tctx")?,
            grant_id: required(claims, "grant_id")?,
            sid: optional(claims, "sid")?,
            auth_time: time(claims, "auth_time")?,
        })
    }

    /// Issuer, times and revocations.
    pub(crate) fn check(
        &self,
        trusted: &TrustedIssuer,
        revocations: &dyn Revocations,
        now: UnixTime,
    ) -> Result<(), Reason> {
        if self.iss != trusted.issuer {
            return Err(Reason::IssuerUnknown);
        }
        if self.exp <= now {
            return Err(Reason::TokenExpired);
        }
        if self.iat > now.plus(limits::TOKEN_LEEWAY) {
            return Err(Reason::IssuedAhead);
        }
        match revocations.freshness(now) {
            Freshness::Current => {}
            Freshness::Stale => return Err(Reason::RevocationsStale),
        }
        if self.is_revoked(&trusted.tenant, revocations) {
            return Err(Reason::Revoked);
        }
        Ok(())
    }

    fn is_revoked(&self, tenant: &Tenant, revocations: &dyn Revocations) -> bool {
        let dependence = |client: Option<&ClientId>| {
            Dependence {
                tenant,
                client,
                grant: Some(self.grant_id),
                session: self.sid,
                subject: &self.subject(),
                actors: self.act.actors(),
                issued: self.iat,
            }
            .is_revoked(revocations)
        };
        dependence(None)
            || self
                .workloads()
                .filter_map(|workload| workload.parse().ok())
                .any(|client| dependence(Some(&client)))
    }

    /// The workloads that asked for it, the first one first.
    pub fn workloads(&self) -> impl Iterator<Item = &str> {
        self.req_wl.as_str().split(',')
    }

    /// Whom the transaction is about.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        match self.sub.as_str().parse() {
            Ok(user) => SubjectId::User(user),
            Err(_) => SubjectId::External(self.sub.clone()),
        }
    }
}

fn context(claims: &Verified<Claims>, name: &'static str) -> Result<Map<String, Value>, Reason> {
    Ok(claims
        .object(name)
        .map_err(broken)?
        .cloned()
        .unwrap_or_default())
}

/// It may speak of people, so only its name is shown.
impl fmt::Debug for TransactionTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionTokenClaims({})", self.jti)
    }
}

/// What a workload takes.
#[derive(Debug, Clone)]
pub struct TransactionRules {
    /// The trust domain: what `aud` must be.
    pub trust_domain: Audience,
    /// The transaction token services of the trust domain.
    pub issuers: Vec<TrustedIssuer>,
    /// What the transaction must be for.
    pub scopes: Scopes,
}

/// Reads the header of a request.
///
/// # Errors
/// When there is none, more than one, or what it holds is not a transaction token of a trusted issuer.
pub fn demand(headers: &HeaderMap, rules: &TransactionRules) -> Result<KeyNeeded, Refusal> {
    let mut values = headers.get_all(&TXN_TOKEN_HEADER).iter();
    let token = match (values.next(), values.next()) {
        (None, _) => return Err(Reason::NoCredential.into()),
        (Some(value), None) => value.to_str().map_err(|_| Reason::TokenMalformed)?,
        (Some(_), Some(_)) => return Err(Reason::AuthorizationBroken.into()),
    };
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    let cache_key = VerdictKey {
        token: TokenHash::of(token),
        rules: [0; 32],
    };
    let trusting = Trusting::own(TRANSACTION_TOKEN_TYP, &rules.issuers);
    KeyNeeded::of(token, &trusting, cache_key)
}

/// Judges a transaction token for a workload of its trust domain.
///
/// # Errors
/// When signature, trust domain, times, revocations or scopes say no, or when it cannot be told.
pub fn prove(
    needed: KeyNeeded,
    answer: KeyAnswer,
    rules: &TransactionRules,
    revocations: &dyn Revocations,
    now: UnixTime,
) -> Result<Transaction, Refusal> {
    let (claims, trusted) = needed.verify_claims(answer)?;
    let claims = TransactionTokenClaims::read(&claims)?;
    if claims.aud != rules.trust_domain {
        return Err(Reason::AudienceMismatch.into());
    }
    claims.check(&trusted, revocations, now)?;
    if !rules.scopes.is_subset(&claims.scope) {
        return Err(Refusal::insufficient_scope(rules.scopes.clone()));
    }
    Ok(Transaction {
        tenant: trusted.tenant,
        claims,
    })
}

/// A transaction that a workload takes part in: its token was checked.
#[derive(Debug, Clone)]
#[must_use]
pub struct Transaction {
    tenant: Tenant,
    claims: TransactionTokenClaims,
}

impl Transaction {
    /// The tenant of its issuer.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What its token says.
    #[must_use]
    pub const fn claims(&self) -> &TransactionTokenClaims {
        &self.claims
    }
}

#[cfg(test)]
mod tests;
