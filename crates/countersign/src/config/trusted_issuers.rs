//! `[[trusted_issuers]]`: issuers that are not ours, and what a tenant believes them for: which workload is which client, and which of our people an
//! assertion is about.
//!
//! Nothing is believed that no line says: an issuer has its uses, its keys, and a rule for each subject. A rule for clients may be a prefix that ends where a
//! segment ends; people are named one by one.

use super::Tenants;
use super::error::Mistakes;
use super::span::Span;
use countersign_authn::trust::{
    ClientRule, ForeignIssuer, ForeignUse, IssuerName, IssuerState, Profile, SubjectRule,
    TrustDomain, UserClaim, UserRule,
};
use countersign_base::{Bounded, ClientId, Duration, Tenant, Username};
use countersign_crypto::jose::Algorithm;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

/// How long a token of a workload may still live when it is shown, unless the line says otherwise.
const WORKLOAD_LIFETIME: Duration = Duration::from_secs(3600);
/// The same for an assertion that is a grant.
const GRANT_LIFETIME: Duration = Duration::from_secs(300);
/// The most that any line may say.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// One of `[[trusted_issuers]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTrustedIssuer {
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    name: Spanned<String>,
    /// What its tokens look like.
    #[serde(default)]
    profile: RawProfile,
    /// Its `iss`. A SPIFFE trust domain may have none.
    issuer: Option<Bounded<512>>,
    /// The trust domain, with profile `spiffe`.
    trust_domain: Option<TrustDomain>,
    keys: RawKeys,
    /// What a workload's token is addressed to, if not the tenant's issuer.
    audience: Option<Bounded<512>>,
    algorithms: Option<BTreeSet<Algorithm>>,
    lifetime_max: Option<Spanned<Span>>,
    #[serde(default = "believed")]
    enabled: bool,
    uses: BTreeSet<ForeignUse>,
    #[serde(default)]
    clients: Vec<Spanned<RawClientRule>>,
    #[serde(default)]
    users: Vec<Spanned<RawUserRule>>,
}

const fn believed() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawProfile {
    #[default]
    Jwt,
    Kubernetes,
    Spiffe,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeys {
    file: Option<PathBuf>,
    url: Option<Spanned<String>>,
    ca: Option<PathBuf>,
    #[serde(default)]
    reach: Reach,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClientRule {
    subject: Option<String>,
    subject_prefix: Option<String>,
    client: ClientId,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUserRule {
    subject: Option<Bounded<255>>,
    email: Option<Bounded<255>>,
    user: Username,
}

/// Which addresses a set of keys may be fetched from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Also a private or local one: a cluster of one's own.
    Private,
    /// Public ones alone.
    #[default]
    Public,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file in the configuration directory.
    File(PathBuf),
    /// An address.
    Url {
        /// The address.
        url: Url,
        /// The authority of its server's certificate, if not the local one.
        ca: Option<PathBuf>,
        /// Where it may lie.
        reach: Reach,
    },
}

/// One trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuerSection {
    /// The tenant that believes it.
    pub tenant: Tenant,
    /// What it is believed for.
    pub issuer: ForeignIssuer,
    /// Where its keys come from.
    pub keys: KeySource,
}

pub(crate) fn check(
    raw: Vec<RawTrustedIssuer>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<TrustedIssuerSection> {
    let mut sections: Vec<TrustedIssuerSection> = Vec::new();
    for raw in raw {
        let Some(tenant) = tenants.find(raw.tenant.as_ref(), mistakes) else {
            continue;
        };
        let span = raw.name.span();
        let Some(section) = check_one(raw, tenant, mistakes) else {
            continue;
        };
        let clash = sections.iter().any(|earlier| {
            earlier.tenant == section.tenant && is_same(&earlier.issuer, &section.issuer)
        });
        if clash {
            mistakes.at(
                &span,
                "this tenant has another trusted issuer of the same name, `issuer` or trust domain",
                "join the two entries: a token could not tell which of them it is of",
            );
            continue;
        }
        sections.push(section);
    }
    sections
}

fn is_same(one: &ForeignIssuer, other: &ForeignIssuer) -> bool {
    let domain = |issuer: &ForeignIssuer| match &issuer.profile {
        Profile::Spiffe { trust_domain, .. } => Some(trust_domain.clone()),
        Profile::Jwt { .. } | Profile::Kubernetes { .. } => None,
    };
    one.name == other.name
        || (one.issuer().is_some() && one.issuer() == other.issuer())
        || (domain(one).is_some() && domain(one) == domain(other))
}

fn check_one(
    raw: RawTrustedIssuer,
    tenant: Tenant,
    mistakes: &mut Mistakes<'_>,
) -> Option<TrustedIssuerSection> {
    let span = raw.name.span();
    let name = Bounded::parse(raw.name.get_ref())
        .ok()
        .filter(|name: &IssuerName| !name.as_str().is_empty());
    let Some(name) = name else {
        mistakes.at(
            &span,
            "the name of an issuer has 1 to 64 bytes",
            "shorten it",
        );
        return None;
    };
    let profile = profile(raw.profile, raw.issuer, raw.trust_domain, &span, mistakes)?;
    let keys = key_source(raw.keys, &span, mistakes)?;
    let workloads_only = raw.uses.iter().eq([&ForeignUse::ClientAuthentication]);
    check_uses(&raw.uses, &raw.clients, &raw.users, &span, mistakes);
    let lifetime_max = lifetime(raw.lifetime_max.as_ref(), workloads_only, mistakes);
    let issuer = ForeignIssuer {
        name,
        state: if raw.enabled {
            IssuerState::Enabled
        } else {
            IssuerState::Disabled
        },
        algorithms: raw.algorithms.unwrap_or_else(|| algorithms(&profile)),
        profile,
        audience: raw.audience,
        lifetime_max,
        uses: raw.uses,
        clients: client_rules(&raw.clients, mistakes),
        users: user_rules(&raw.users, mistakes),
    };
    Some(TrustedIssuerSection {
        tenant,
        issuer,
        keys,
    })
}

fn profile(
    profile: RawProfile,
    issuer: Option<Bounded<512>>,
    trust_domain: Option<TrustDomain>,
    span: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Profile> {
    let named = issuer.filter(|issuer| !issuer.as_str().is_empty());
    match (profile, named, trust_domain) {
        (RawProfile::Jwt, Some(issuer), None) => Some(Profile::Jwt { issuer }),
        (RawProfile::Kubernetes, Some(issuer), None) => Some(Profile::Kubernetes { issuer }),
        (RawProfile::Spiffe, issuer, Some(trust_domain)) => Some(Profile::Spiffe {
            trust_domain,
            issuer,
        }),
        (RawProfile::Jwt | RawProfile::Kubernetes, _, _) => {
            mistakes.at(
                span,
                "an issuer of this profile has an `issuer` and no `trust_domain`",
                "write the `iss` of its tokens, character for character",
            );
            None
        }
        (RawProfile::Spiffe, _, None) => {
            mistakes.at(
                span,
                "profile `spiffe` needs a `trust_domain`",
                "write `trust_domain = \"example.org\"`",
            );
            None
        }
    }
}

/// What such issuers sign with. A JWT-SVID is never EdDSA (JWT-SVID §2.1).
fn algorithms(profile: &Profile) -> BTreeSet<Algorithm> {
    let known = Algorithm::ALL.into_iter();
    match profile {
        Profile::Spiffe { .. } => known
            .filter(|algorithm| *algorithm != Algorithm::EdDsa)
            .collect(),
        Profile::Jwt { .. } | Profile::Kubernetes { .. } => known.collect(),
    }
}

pub(super) fn key_source(
    raw: RawKeys,
    span: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) -> Option<KeySource> {
    match (raw.file, raw.url) {
        (Some(file), None) => Some(KeySource::File(file)),
        (None, Some(url)) => match Url::parse(url.get_ref()) {
            Ok(parsed) if parsed.scheme() == "https" && parsed.has_host() => Some(KeySource::Url {
                url: parsed,
                ca: raw.ca,
                reach: raw.reach,
            }),
            Ok(_) | Err(_) => {
                mistakes.at(
                    &url.span(),
                    "keys are fetched over https",
                    "write `https://HOST/PATH`, or name a file",
                );
                None
            }
        },
        (Some(_), Some(_)) | (None, None) => {
            mistakes.at(
                span,
                "the keys of an issuer come from one place",
                "write `keys = { file = \"...\" }` or `keys = { url = \"https://...\" }`",
            );
            None
        }
    }
}

fn check_uses(
    uses: &BTreeSet<ForeignUse>,
    clients: &[Spanned<RawClientRule>],
    users: &[Spanned<RawUserRule>],
    span: &Range<usize>,
    mistakes: &mut Mistakes<'_>,
) {
    let workloads = uses.contains(&ForeignUse::ClientAuthentication);
    let people = uses.contains(&ForeignUse::AuthorizationGrant)
        || uses.contains(&ForeignUse::IdentityAssertion);
    if uses.is_empty() {
        mistakes.at(
            span,
            "this issuer is believed for nothing",
            "write `uses`: client_authentication, authorization_grant or identity_assertion",
        );
    }
    if workloads == clients.is_empty() || people == users.is_empty() {
        mistakes.at(
            span,
            "the uses of an issuer and its rules belong together",
            "`clients` say which workload is which client, `users` whom an assertion is about",
        );
    }
}

fn lifetime(
    written: Option<&Spanned<Span>>,
    workloads_only: bool,
    mistakes: &mut Mistakes<'_>,
) -> u32 {
    let default = if workloads_only {
        WORKLOAD_LIFETIME
    } else {
        GRANT_LIFETIME
    };
    let lifetime = written.map_or(default, |written| written.get_ref().0);
    if let Some(written) = written
        && lifetime > LIFETIME_MAX
    {
        mistakes.at(
            &written.span(),
            "a token of a foreign issuer may live a day at most",
            "let the workload fetch a new one: `expirationSeconds` of a projected token, or the trust domain's lifetime of JWT-SVIDs",
        );
    }
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}

fn client_rules(
    written: &[Spanned<RawClientRule>],
    mistakes: &mut Mistakes<'_>,
) -> Vec<ClientRule> {
    let mut rules: Vec<ClientRule> = Vec::new();
    for line in written {
        let raw = line.get_ref();
        let subject = match (&raw.subject, &raw.subject_prefix) {
            (Some(subject), None) => SubjectRule::exact(subject),
            (None, Some(prefix)) => SubjectRule::prefix(prefix),
            (Some(_), Some(_)) | (None, None) => {
                mistakes.at(
                    &line.span(),
                    "a rule has one of `subject` and `subject_prefix`",
                    "write which subject is the client",
                );
                continue;
            }
        };
        match subject {
            Err(error) => mistakes.at(
                &line.span(),
                error.to_string(),
                "write `spiffe://example.org/batch/` or `system:serviceaccount:batch:`",
            ),
            Ok(subject) if rules.iter().any(|rule| rule.subject == subject) => mistakes.at(
                &line.span(),
                "another rule before it is about the same subjects",
                "a subject is one client",
            ),
            Ok(subject) => rules.push(ClientRule {
                subject,
                client: raw.client.clone(),
            }),
        }
    }
    rules
}

fn user_rules(written: &[Spanned<RawUserRule>], mistakes: &mut Mistakes<'_>) -> Vec<UserRule> {
    let mut rules: Vec<UserRule> = Vec::new();
    for line in written {
        let raw = line.get_ref();
        let (by, value) = match (&raw.subject, &raw.email) {
            (Some(subject), None) => (UserClaim::Subject, subject.clone()),
            (None, Some(email)) => (UserClaim::VerifiedEmail, email.clone()),
            (Some(_), Some(_)) | (None, None) => {
                mistakes.at(
                    &line.span(),
                    "a rule has one of `subject` and `email`",
                    "write whom the assertion is about",
                );
                continue;
            }
        };
        if value.as_str().is_empty()
            || rules
                .iter()
                .any(|rule| rule.by == by && rule.value == value)
        {
            mistakes.at(
                &line.span(),
                "this rule is empty, or another before it is about the same person",
                "a subject is one person",
            );
            continue;
        }
        rules.push(UserRule {
            by,
            value,
            user: raw.user.clone(),
        });
    }
    rules
}

#[cfg(test)]
mod tests;
