//! A request to a protected resource: which credential it shows, what must be fetched to judge it, and the judgement (RFC 6750, RFC 9068,
//! RFC 9449 §7, RFC 8705 §3).
//!
//! [`demand`] reads headers only. The shell answers the demand from a cache of verdicts or from a key set. [`prove`] judges; it checks the
//! signature where no verdict was found, and everything else every time.
//!
//! Keys and kept tokens, which do not stand in `Authorization`: [`beside`]. What ends a token before its time: [`dependence`].
//!
//! Not here: scopes and policies ([`Subject::require_scopes`], the policy crate), and the spending of one-time values.

mod beside;
mod dependence;
mod issuers;
mod key;

pub use beside::demand_kept;
pub(crate) use dependence::{Dependence, check_revocations};
pub use issuers::{
    Believed, FOREIGN_CLIENT_MARK, IssuerMistake, LEEWAY_DEFAULT, LEEWAY_MAX, OtherIssuer,
    OtherIssuerSpec, TokenForm,
};
pub use key::{KeyAnswer, KeyNeeded};

use beside::{api_key_demand, api_key_in_its_field, holds_credential};
use issuers::Others;
pub(crate) use key::Trusting;

use crate::access_token::{Confirmation, TokenHash, VerifiedToken};
use crate::api_key::{self, ApiKeyField};
use crate::credential::Authorization;
use crate::dpop::{self, DpopProof, NoncePolicy, ProofUse};
use crate::opaque::{self, StoredAnswer};
use crate::refusal::{Reason, Refusal};
use crate::revocation::Revocations;
use crate::subject::Subject;
use crate::{Unspent, replay::ReplayEntry};
use countersign_base::{Audience, Conditional, Issuer, NoTls, Tenant, UnixTime, limits};
use countersign_crypto::digest;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::x509::PeerCertificate;
use http::{HeaderMap, Method};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The parts of a request that say who sent it.
#[derive(Debug, Clone)]
pub struct ResourceRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The address as its sender knows it: scheme, authority and path, without query.
    pub target_uri: &'a str,
    /// The query string.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The certificate with which the connection was made.
    pub peer: Conditional<&'a PeerCertificate, NoTls>,
    /// The address that it came from, where that is known.
    pub remote: Option<IpAddr>,
}

/// An issuer whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its name, compared as an exact string.
    pub issuer: Issuer,
    /// The tenant that its tokens speak for.
    pub tenant: Tenant,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
}

/// Whether tokens must be bound to a key or certificate. A bound token must always show its binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Unbound tokens are taken.
    Any,
    /// Only bound tokens are taken.
    Required,
}

/// Whether a request without a credential goes on to policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// It goes on, as anonymous.
    Allowed,
    /// It is refused.
    Refused,
}

/// Why a request is anonymous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnonymousReason {
    /// It has no credential of any kind.
    NoCredential,
}

/// What a resource takes. Cheap to clone.
#[derive(Clone)]
pub struct ResourceRules(Arc<Rules>);

#[derive(Clone)]
struct Rules {
    audience: Audience,
    issuers: Vec<TrustedIssuer>,
    others: Option<Others>,
    binding: Binding,
    anonymous: Anonymous,
    api_keys: Option<ApiKeyField>,
    digest: [u8; 32],
}

impl ResourceRules {
    /// Rules for one audience.
    #[must_use]
    pub fn new(
        audience: Audience,
        issuers: Vec<TrustedIssuer>,
        binding: Binding,
        anonymous: Anonymous,
    ) -> Self {
        Self::of(Rules {
            audience,
            issuers,
            others: None,
            binding,
            anonymous,
            api_keys: None,
            digest: [0; 32],
        })
    }

    fn of(mut rules: Rules) -> Self {
        rules.digest = rules_digest(&rules);
        Self(Arc::new(rules))
    }

    /// The same rules, under which API keys are taken too, in this field. A key is bound to nothing, whatever these rules ask of tokens.
    #[must_use]
    pub fn taking_api_keys(&self, field: ApiKeyField) -> Self {
        Self::of(Rules {
            api_keys: Some(field),
            ..Rules::clone(&self.0)
        })
    }

    /// The same rules, under which access tokens of these issuers are taken too. What they say counts in `tenant`, under names that none of its own people and
    /// clients has.
    #[must_use]
    pub fn trusting(&self, tenant: Tenant, issuers: Vec<Arc<OtherIssuer>>) -> Self {
        Self::of(Rules {
            others: (!issuers.is_empty()).then_some(Others { tenant, issuers }),
            ..Rules::clone(&self.0)
        })
    }

    /// Where API keys are taken, if they are.
    #[must_use]
    pub fn api_keys(&self) -> Option<ApiKeyField> {
        self.0.api_keys
    }

    /// Whom tokens must be for.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.0.audience
    }

    /// Whose tokens are taken, of our own tenants.
    #[must_use]
    pub fn issuers(&self) -> &[TrustedIssuer] {
        &self.0.issuers
    }

    /// Whose tokens are taken beside those of our own tenants.
    #[must_use]
    pub fn others(&self) -> &[Arc<OtherIssuer>] {
        match &self.0.others {
            Some(others) => &others.issuers,
            None => &[],
        }
    }

    /// Whether a request without a credential goes on to policy.
    #[must_use]
    pub fn anonymous(&self) -> Anonymous {
        self.0.anonymous
    }

    /// Whether tokens must be bound.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.0.binding
    }
}

impl fmt::Debug for ResourceRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceRules({})", self.0.audience)
    }
}

fn rules_digest(rules: &Rules) -> [u8; 32] {
    let Rules {
        audience,
        issuers,
        others,
        binding,
        anonymous,
        api_keys,
        digest: _,
    } = rules;
    // Debug forms quote their texts, so no two rules have the same one.
    let text =
        format!("{audience:?} {issuers:?} {others:?} {binding:?} {anonymous:?} {api_keys:?}");
    digest::sha256(text.as_bytes())
}

/// Under what a cache keeps a verdict: the whole token and the rules it was judged by. The cache adds the generation of its key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerdictKey {
    pub(crate) token: TokenHash,
    pub(crate) rules: [u8; 32],
}

/// What a request's credential demands.
#[derive(Debug)]
pub enum Demand {
    /// Nothing: there is none, and the rules allow that.
    Anonymous(AnonymousReason),
    /// A verdict or a key.
    Token(TokenDemand),
}

/// An access token that was presented in form, with its proof if it has one.
pub struct TokenDemand {
    token: String,
    hash: TokenHash,
    shown: Shown,
    rules: ResourceRules,
}

/// What the request shows besides the token.
enum Shown {
    ApiKey(Option<IpAddr>),
    /// Nothing: the gateway itself kept the token, and nobody sent it.
    Kept,
    Bearer(Conditional<countersign_crypto::x509::CertificateThumbprint, NoTls>),
    Dpop(Box<DpopProof>),
}

impl fmt::Debug for TokenDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDemand({:?})", self.hash)
    }
}

/// Reads the credential of a request.
///
/// # Errors
/// When it is broken, ambiguous, or absent where the rules demand one.
pub fn demand(request: &ResourceRequest<'_>, rules: &ResourceRules) -> Result<Demand, Refusal> {
    if request.query.is_some_and(holds_credential) {
        return Err(Reason::TokenInQuery.into());
    }
    if rules.0.api_keys != Some(ApiKeyField::ApiKey) && beside::shows_api_key(request.headers) {
        return Err(Reason::ApiKeyNotTaken.into());
    }
    let has_proof = request.headers.contains_key(dpop::DPOP_HEADER);
    if rules.0.api_keys == Some(ApiKeyField::ApiKey) && request.headers.contains_key(api_key::FIELD)
    {
        return api_key_in_its_field(request, rules);
    }
    let (scheme, token) = match Authorization::read(request.headers) {
        Authorization::Absent if has_proof => return Err(Reason::ProofWithoutToken.into()),
        Authorization::Absent => {
            return match rules.0.anonymous {
                Anonymous::Allowed => Ok(Demand::Anonymous(AnonymousReason::NoCredential)),
                Anonymous::Refused => Err(Reason::NoCredential.into()),
            };
        }
        Authorization::Broken => return Err(Reason::AuthorizationBroken.into()),
        Authorization::Present {
            scheme,
            credentials,
        } => (scheme, credentials),
    };
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Reason::TokenTooLong.into());
    }
    let shown = if scheme.eq_ignore_ascii_case("dpop") {
        match dpop::demand(request.headers, request.method, request.target_uri)? {
            Conditional::Absent(_) => return Err(Reason::ProofMissing.into()),
            Conditional::Present(proof) => Shown::Dpop(Box::new(proof)),
        }
    } else if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Reason::SchemeUnknown.into());
    } else if has_proof {
        return Err(Reason::ProofBesideBearer.into());
    } else if api_key::is_api_key(token) {
        if rules.0.api_keys != Some(ApiKeyField::Authorization) {
            return Err(Reason::ApiKeyNotTaken.into());
        }
        return api_key_demand(token, request, rules);
    } else {
        Shown::Bearer(match request.peer {
            Conditional::Absent(reason) => Conditional::Absent(reason),
            Conditional::Present(certificate) => Conditional::Present(certificate.thumbprint()),
        })
    };
    Ok(Demand::Token(TokenDemand {
        token: token.to_owned(),
        hash: TokenHash::of(token),
        shown,
        rules: rules.clone(),
    }))
}

impl TokenDemand {
    /// Under what a verdict on this token would be found.
    #[must_use]
    pub fn cache_key(&self) -> VerdictKey {
        VerdictKey {
            token: self.hash,
            rules: self.rules.0.digest,
        }
    }

    /// The token, if it is an opaque one or an API key: no key checks it, the store knows it or not. Asked only where no verdict was found.
    #[must_use]
    pub fn opaque(&self) -> Option<&str> {
        (self.is_api_key() || opaque::is_opaque(&self.token)).then_some(self.token.as_str())
    }

    /// Whether it is an API key: it lives so long that a verdict on it is asked for anew now and then.
    #[must_use]
    pub const fn is_api_key(&self) -> bool {
        matches!(self.shown, Shown::ApiKey(_))
    }

    /// Whose tokens are taken, of our own tenants. Nobody else's are opaque to us.
    #[must_use]
    pub fn issuers(&self) -> &[TrustedIssuer] {
        self.rules.issuers()
    }

    /// Whether somebody else's tokens are taken too, so that what becomes of their keys counts.
    #[must_use]
    pub fn trusts_others(&self) -> bool {
        self.rules.0.others.is_some()
    }

    /// Which key would check the signature. Needed only where no verdict was found.
    ///
    /// # Errors
    /// When the token is malformed, of another type, of an issuer that is not trusted, or signed in a way that its issuer may not.
    pub fn key(&self) -> Result<KeyNeeded, Refusal> {
        let rules = &self.rules.0;
        let trusting = Trusting {
            typ: ACCESS_TOKEN_TYP,
            own: &rules.issuers,
            others: match self.shown {
                // What the gateway kept came from an issuer of our own.
                Shown::Kept => None,
                Shown::ApiKey(_) | Shown::Bearer(_) | Shown::Dpop(_) => rules.others.as_ref(),
            },
        };
        KeyNeeded::of(&self.token, &trusting, self.cache_key())
    }
}

/// `typ` of an access token (RFC 9068 §2.1).
pub(crate) const ACCESS_TOKEN_TYP: &str = "at+jwt";

/// What the shell found for a [`TokenDemand`].
#[derive(Debug)]
pub enum Found {
    /// No verdict, but a key.
    Key(KeyNeeded, KeyAnswer),
    /// No verdict, but what the store says of an opaque token.
    Stored(StoredAnswer),
    /// The verdict of an earlier request with the same token and rules.
    Verdict(Arc<VerifiedToken>),
}

/// A request whose sender is known.
#[must_use]
pub struct Proven {
    /// Who sent it, once the one-time values are spent.
    pub subject: Unspent<Subject>,
    /// For the cache of verdicts.
    pub verdict: Arc<VerifiedToken>,
}

/// Judges a token.
///
/// # Errors
/// When anything about the token, its proof or its certificate does not hold, or when it cannot be told.
pub fn prove(
    demand: TokenDemand,
    found: Found,
    revocations: &dyn Revocations,
    nonces: NoncePolicy<'_>,
    now: UnixTime,
) -> Result<Proven, Refusal> {
    let verdict = match found {
        Found::Key(needed, _) if needed.cache_key() != demand.cache_key() => {
            return Err(Reason::VerdictMismatch.into());
        }
        Found::Key(needed, answer) => Arc::new(needed.verify(answer)?),
        Found::Stored(answer) => {
            let stored = answer.token()?;
            if stored.hash() != demand.hash {
                return Err(Reason::VerdictMismatch.into());
            }
            Arc::new(stored.verdict(&demand.rules.0.issuers, demand.cache_key())?)
        }
        Found::Verdict(verdict) if verdict.cache_key() != demand.cache_key() => {
            return Err(Reason::VerdictMismatch.into());
        }
        Found::Verdict(verdict) => verdict,
    };
    verdict.check(&demand.rules.0.audience, now)?;
    check_revocations(&verdict, revocations, now)?;
    let entries = check_binding(demand, &verdict, nonces, now)?;
    Ok(Proven {
        subject: Unspent::new(Subject::new(Arc::clone(&verdict)), entries),
        verdict,
    })
}

/// Whether what the request shows is what the token is bound to. Answers the one-time values of the proof.
fn check_binding(
    demand: TokenDemand,
    token: &VerifiedToken,
    nonces: NoncePolicy<'_>,
    now: UnixTime,
) -> Result<Vec<ReplayEntry>, Refusal> {
    match (&demand.shown, token.networks()) {
        (Shown::ApiKey(remote), Some(networks)) if networks.allow(*remote) => {
            return Ok(Vec::new());
        }
        (Shown::ApiKey(_), Some(_)) => return Err(Reason::ApiKeyNetwork.into()),
        (Shown::Bearer(_) | Shown::Dpop(_) | Shown::Kept, None) => {}
        // What was shown as one thing is not judged as another.
        (Shown::ApiKey(_), None) | (Shown::Bearer(_) | Shown::Dpop(_) | Shown::Kept, Some(_)) => {
            return Err(Reason::VerdictMismatch.into());
        }
    }
    match (demand.shown, &token.claims().cnf) {
        (Shown::ApiKey(_), _) => Err(Reason::VerdictMismatch.into()),
        // It never left this process and its issuer, so there is nobody who could have stolen it on the way.
        (Shown::Kept, None) => Ok(Vec::new()),
        // Nobody here holds that key.
        (Shown::Kept, Some(Confirmation::Dpop(_))) => Err(Reason::BoundTokenAsBearer.into()),
        (Shown::Kept, Some(Confirmation::Certificate(_))) => Err(Reason::CertificateMissing.into()),
        (Shown::Bearer(_), None) => match demand.rules.0.binding {
            Binding::Any => Ok(Vec::new()),
            Binding::Required => Err(Reason::BindingRequired.into()),
        },
        (Shown::Bearer(_), Some(Confirmation::Dpop(_))) => Err(Reason::BoundTokenAsBearer.into()),
        (Shown::Bearer(Conditional::Absent(_)), Some(Confirmation::Certificate(_))) => {
            Err(Reason::CertificateMissing.into())
        }
        (Shown::Bearer(Conditional::Present(shown)), Some(Confirmation::Certificate(bound)))
            if shown == *bound =>
        {
            Ok(Vec::new())
        }
        (Shown::Bearer(Conditional::Present(_)), Some(Confirmation::Certificate(_))) => {
            Err(Reason::CertificateMismatch.into())
        }
        (Shown::Dpop(_), None | Some(Confirmation::Certificate(_))) => {
            Err(Reason::TokenNotBound.into())
        }
        (Shown::Dpop(proof), Some(Confirmation::Dpop(bound))) => {
            if proof.thumbprint() != bound {
                return Err(Reason::ProofKeyMismatch.into());
            }
            let key = dpop::prove(*proof, ProofUse::WithToken(&demand.hash), nonces, now)?;
            Ok(key.entries().to_vec())
        }
    }
}

#[cfg(test)]
mod tests;
