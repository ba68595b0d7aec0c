//! Whom a tenant believes beside itself: issuers of workload identities and of assertions about people, and authorities of client certificates.
//!
//! An issuer is believed for what its entry says and for nothing else: each subject is mapped by name, or by a prefix that ends where a segment
//! ends. What no rule names is nobody. Not here: where an issuer's keys come from, which is the shell's business.

mod foreign;
mod spiffe;

pub use foreign::{AssertionFault, ForeignKeyNeeded};
pub(crate) use foreign::{Audiences, verify};
pub use spiffe::{SpiffeId, TrustDomain, bundle_keys};

use countersign_base::{Bounded, ClientId, Duration, Username};
use countersign_crypto::jose::{Algorithm, Claims};
use countersign_crypto::x509::TrustAnchors;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The name under which a configuration speaks of an issuer.
pub type IssuerName = Bounded<64>;

/// An issuer that is not ours, and what it is believed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignIssuer {
    /// What the configuration calls it.
    pub name: IssuerName,
    /// Whether it is believed at all now.
    pub state: IssuerState,
    /// What its tokens look like, and how it names itself in them.
    pub profile: Profile,
    /// What a workload's token must be addressed to, if that is not the tenant's issuer identifier. Assertions for the authorization grant are always
    /// addressed to the issuer identifier.
    #[serde(default)]
    pub audience: Option<Bounded<512>>,
    /// What it may sign with.
    pub algorithms: BTreeSet<Algorithm>,
    /// Seconds that a token may still live when it is shown.
    pub lifetime_max: u32,
    /// What its tokens may be used for.
    pub uses: BTreeSet<ForeignUse>,
    /// Which of its subjects is which client.
    #[serde(default)]
    pub clients: Vec<ClientRule>,
    /// Which of its subjects is which of our people.
    #[serde(default)]
    pub users: Vec<UserRule>,
}

/// Whether an issuer is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerState {
    /// Nothing that it signs is accepted.
    Disabled,
    /// It is believed for what its entry says.
    Enabled,
}

/// What an issuer's tokens look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// JWTs with `iss` and `sub` (RFC 7523 §3).
    Jwt {
        /// Its `iss`, compared as an exact string.
        issuer: Bounded<512>,
    },
    /// Service-account tokens of a Kubernetes cluster.
    Kubernetes {
        /// The cluster's `iss`, compared as an exact string.
        issuer: Bounded<512>,
    },
    /// JWT-SVIDs of a SPIFFE trust domain.
    Spiffe {
        /// The trust domain, whose keys verify its ids and no others.
        trust_domain: TrustDomain,
        /// The `iss` that its tokens must have, if they have to have one.
        #[serde(default)]
        issuer: Option<Bounded<512>>,
    },
}

/// What a token of a foreign issuer may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignUse {
    /// As an authorization grant (RFC 7523 §2.1).
    AuthorizationGrant,
    /// As the client authentication of a workload (RFC 7521 §4.2).
    ClientAuthentication,
    /// As an identity assertion authorization grant (typ `oauth-id-jag+jwt`).
    IdentityAssertion,
}

/// One subject of an issuer, or a family of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    try_from = "RawSubjectRule",
    into = "RawSubjectRule"
)]
pub struct SubjectRule(RawSubjectRule);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawSubjectRule {
    Exact(Bounded<2048>),
    Prefix(Bounded<2048>),
}

/// A rule that would match more than somebody who reads it thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a prefix must end with `/` or `:` after at least one other character, and no rule is empty"
)]
pub struct SubjectRuleError;

impl SubjectRule {
    /// This subject alone.
    ///
    /// # Errors
    /// When it is empty, too long, or holds control characters.
    pub fn exact(subject: &str) -> Result<Self, SubjectRuleError> {
        let subject = Bounded::parse(subject).map_err(|_| SubjectRuleError)?;
        RawSubjectRule::Exact(subject).try_into()
    }

    /// Every subject that goes on after this prefix, which ends with `/` or `:`.
    ///
    /// # Errors
    /// When it ends in the middle of a segment.
    pub fn prefix(prefix: &str) -> Result<Self, SubjectRuleError> {
        let prefix = Bounded::parse(prefix).map_err(|_| SubjectRuleError)?;
        RawSubjectRule::Prefix(prefix).try_into()
    }

    /// How specific the rule is for a subject: `None` if it does not speak of it; an exact rule comes before every prefix, a longer prefix before a shorter.
    fn fit(&self, subject: &str) -> Option<usize> {
        match &self.0 {
            RawSubjectRule::Exact(exact) => (exact.as_str() == subject).then_some(usize::MAX),
            RawSubjectRule::Prefix(prefix) => {
                let rest = subject.strip_prefix(prefix.as_str())?;
                let plain = |segment: &str| !matches!(segment, "" | "." | "..");
                rest.split(['/', ':'])
                    .all(plain)
                    .then_some(prefix.as_str().len())
            }
        }
    }

    /// The text that it compares with.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            RawSubjectRule::Exact(text) | RawSubjectRule::Prefix(text) => text.as_str(),
        }
    }
}

impl TryFrom<RawSubjectRule> for SubjectRule {
    type Error = SubjectRuleError;

    fn try_from(raw: RawSubjectRule) -> Result<Self, SubjectRuleError> {
        let holds = match &raw {
            RawSubjectRule::Exact(exact) => !exact.as_str().is_empty(),
            RawSubjectRule::Prefix(prefix) => {
                let text = prefix.as_str();
                // `spiffe://` alone, or the scheme with its colon, would be everybody.
                text.len() > 1
                    && text.ends_with(['/', ':'])
                    && text
                        .split(['/', ':'])
                        .filter(|part| !part.is_empty())
                        .count()
                        > 1
            }
        };
        if holds {
            Ok(Self(raw))
        } else {
            Err(SubjectRuleError)
        }
    }
}

impl From<SubjectRule> for RawSubjectRule {
    fn from(rule: SubjectRule) -> Self {
        rule.0
    }
}

/// A subject that is a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRule {
    /// Which subject.
    pub subject: SubjectRule,
    /// Which client.
    pub client: ClientId,
}

/// A subject that is one of our people. Never a prefix: a person is named one by one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRule {
    /// What is compared.
    pub by: UserClaim,
    /// With what.
    pub value: Bounded<255>,
    /// Which person.
    pub user: Username,
}

impl std::fmt::Debug for UserRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRule({:?})", self.by)
    }
}

/// What an assertion names a person by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserClaim {
    /// `sub`.
    Subject,
    /// `email`, if the issuer says `email_verified: true` beside it.
    VerifiedEmail,
}

impl ForeignIssuer {
    /// How long a token may still live when it is shown.
    #[must_use]
    pub fn lifetime_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.lifetime_max.max(1)))
    }

    /// The `iss` of its tokens, if they have to have one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.profile {
            Profile::Jwt { issuer } | Profile::Kubernetes { issuer } => Some(issuer.as_str()),
            Profile::Spiffe { issuer, .. } => issuer.as_ref().map(Bounded::as_str),
        }
    }

    /// The client that a subject is: by the most specific rule.
    #[must_use]
    pub fn client_of(&self, subject: &str) -> Option<&ClientId> {
        let fitting = self
            .clients
            .iter()
            .filter_map(|rule| Some((rule.subject.fit(subject)?, &rule.client)));
        fitting
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, client)| client)
    }

    /// The person that an assertion is about: by its subject, else by an address that the issuer vouches for.
    pub(crate) fn user_of(&self, claims: &Claims) -> Option<&Username> {
        let subject = claims.text("sub").ok().flatten();
        let vouched = claims.flag("email_verified").ok().flatten() == Some(true);
        let email = claims.text("email").ok().flatten().filter(|_| vouched);
        let named = |by: UserClaim, value: Option<&str>| {
            let value = value?;
            let found = self
                .users
                .iter()
                .find(|rule| rule.by == by && rule.value.as_str() == value);
            found.map(|rule| &rule.user)
        };
        named(UserClaim::Subject, subject).or_else(|| named(UserClaim::VerifiedEmail, email))
    }
}

/// The issuer that a token says it is of: by `iss`, else by the trust domain of its subject. Nothing of the token is believed for that but which key is to
/// verify it.
pub(crate) fn issuer_of<'a>(
    issuers: &'a [ForeignIssuer],
    claims: &Claims,
) -> Option<&'a ForeignIssuer> {
    let iss = claims.text("iss").ok()?;
    if let Some(iss) = iss
        && let Some(issuer) = issuers.iter().find(|issuer| issuer.issuer() == Some(iss))
    {
        return Some(issuer);
    }
    let id: SpiffeId = claims.text("sub").ok()??.parse().ok()?;
    issuers.iter().find(|issuer| match &issuer.profile {
        Profile::Spiffe {
            trust_domain,
            issuer: None,
        } => trust_domain == id.trust_domain(),
        Profile::Jwt { .. } | Profile::Kubernetes { .. } | Profile::Spiffe { .. } => false,
    })
}

/// Whether a secret may come in the body of a request (`client_secret_post`), where logs of intermediaries see it more often than a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretInBody {
    /// It may, for clients that are registered for it.
    Allowed,
    /// It may not, whoever is registered for what.
    #[default]
    Refused,
}

/// Whom a tenant believes about its clients. By default nobody.
#[derive(Debug, Clone, Default)]
pub struct ClientTrust {
    /// Authorities of certificates, for `tls_client_auth`.
    pub authorities: TrustAnchors,
    /// Issuers of workload identities.
    pub issuers: Vec<ForeignIssuer>,
    /// Whether `client_secret_post` is served.
    pub secret_in_body: SecretInBody,
}

#[cfg(test)]
mod tests;
