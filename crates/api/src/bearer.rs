//! From one of our own access tokens to its subject, at a surface that takes tokens of every tenant for one audience: the decision point and the vault.

use crate::access::lookups::LookUps;
use countersign_authn::opaque::StoredAnswer;
use countersign_authn::{
    Anonymous, Binding, Demand, Found, KeyAnswer, Reason, Refusal, ResourceRequest, ResourceRules,
    Subject, TokenDemand, TrustedIssuer, demand, prove,
};
use countersign_base::{Audience, Conditional, Duration, NoTls, UnixTime};
use countersign_control::{Fabric, opaque};
use countersign_crypto::x509::PeerCertificate;
use http::{HeaderMap, Method};
use std::net::IpAddr;

/// Why nobody knows who asks.
pub(crate) enum Unproven {
    /// The token, its proof or its scopes.
    Refused(Box<Refusal>),
    /// The network showed too many tokens that nobody knows; after how long it may show another.
    TooMany(Duration),
}

impl Unproven {
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason().as_str(),
            Self::TooMany(_) => "too_many_unknown_tokens",
        }
    }
}

impl From<Refusal> for Unproven {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Reason> for Unproven {
    fn from(reason: Reason) -> Self {
        Refusal::from(reason).into()
    }
}

/// A request as far as its token is about it.
pub(crate) struct BearerRequest<'a> {
    /// Its method.
    pub(crate) method: &'a Method,
    /// The address it was sent to, without the query.
    pub(crate) target_uri: &'a str,
    /// The query.
    pub(crate) query: Option<&'a str>,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// The certificate whose key the caller holds.
    pub(crate) peer: Option<&'a Conditional<PeerCertificate, NoTls>>,
    /// Where it comes from.
    pub(crate) from: IpAddr,
}

/// A surface that takes tokens of every tenant of ours for one audience.
pub(crate) struct Surface<'a> {
    /// The fabric.
    pub(crate) fabric: &'a Fabric,
    /// The audience.
    pub(crate) audience: &'static str,
    /// How often a network may show opaque tokens that nobody knows.
    pub(crate) lookups: &'a LookUps,
}

impl Surface<'_> {
    /// Proves the token that a request shows, and spends its proof.
    pub(crate) async fn subject(
        &self,
        request: &BearerRequest<'_>,
        now: UnixTime,
    ) -> Result<Subject, Unproven> {
        let fabric = self.fabric;
        let resource = ResourceRequest {
            method: request.method,
            target_uri: request.target_uri,
            query: request.query,
            headers: request.headers,
            peer: match request.peer {
                None => Conditional::Absent(NoTls::NoCertificate),
                Some(Conditional::Absent(reason)) => Conditional::Absent(*reason),
                Some(Conditional::Present(certificate)) => Conditional::Present(certificate),
            },
            remote: None,
        };
        let token = match demand(&resource, &self.rules()?)? {
            Demand::Token(token) => token,
            Demand::Anonymous(_) => return Err(Reason::NoCredential.into()),
        };
        let found = self.found(&token, request.from, now).await?;
        let nonces = fabric.nonces().policy(now);
        let proven = prove(token, found, fabric.revocations(), nonces, now)?;
        let tenant = proven.verdict.tenant().clone();
        let subject = fabric
            .store()
            .spend_proof(fabric.replay(), &tenant, proven.subject, now)
            .await
            .map_err(|error| {
                tracing::warn!(event = "store_failed", %error);
                Reason::SpentUnknown
            })?
            .map_err(Refusal::from)?;
        Ok(subject)
    }

    fn rules(&self) -> Result<ResourceRules, Refusal> {
        let audience: Audience = self
            .audience
            .parse()
            .map_err(|_| Reason::AudienceMismatch)?;
        let issuers = self
            .fabric
            .directory()
            .tenants()
            .iter()
            .map(|tenant| TrustedIssuer {
                issuer: tenant.issuer.clone(),
                tenant: tenant.name.clone(),
                algorithms: self.fabric.keys().algorithms().to_vec(),
            })
            .collect();
        Ok(ResourceRules::new(
            audience,
            issuers,
            Binding::Any,
            Anonymous::Refused,
        ))
    }

    async fn found(
        &self,
        token: &TokenDemand,
        from: IpAddr,
        now: UnixTime,
    ) -> Result<Found, Unproven> {
        let fabric = self.fabric;
        if let Some(opaque) = token.opaque() {
            // One that nobody knows costs a look-up in the table of every tenant.
            self.lookups.begin(from, now).map_err(Unproven::TooMany)?;
            let answer = opaque::find(fabric, opaque, token.issuers()).await;
            if matches!(answer, StoredAnswer::Unknown) {
                self.lookups.missed(from, now);
            }
            return Ok(Found::Stored(answer));
        }
        let needed = token.key()?;
        let tenant = fabric.directory().by_issuer(needed.issuer());
        let published = tenant.and_then(|tenant| fabric.keys().jwks(&tenant.name));
        let key = published
            .as_ref()
            .zip(needed.kid())
            .and_then(|(keys, kid)| keys.set.find(kid, needed.algorithm()));
        let answer = key.map_or(KeyAnswer::Unknown, |key| KeyAnswer::Key(key.clone()));
        Ok(Found::Key(needed, answer))
    }
}
