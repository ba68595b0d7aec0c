//! `[[identity_providers]]`: OpenID Connect providers that people may sign in by. Our secret or key there is a reference.

use super::error::Mistakes;
use super::span::SecretReference;
use super::{Tenants, nearest};
use countersign_base::{Bounded, Kid, Tenant};
use countersign_crypto::jose::Algorithm;
use countersign_federation::provider::{
    Offer, ProviderState, ResponseIssuer, UpstreamResponseMode,
};
use countersign_federation::{IssuerUrl, LinkingRule, MailDomain, ProviderName, ProviderRecord};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// One of `[[identity_providers]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProvider {
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    /// Stands in the address that the provider answers to: `ISSUER/federation/callback/NAME`.
    name: Spanned<ProviderName>,
    /// What people read on the button.
    label: Option<Bounded<64>>,
    /// Its issuer, character for character.
    issuer: IssuerUrl,
    /// Our name there.
    client_id: Bounded<256>,
    /// Our secret there (`client_secret_basic`).
    client_secret: Option<SecretReference>,
    /// Our key there, PKCS#8 in PEM (`private_key_jwt`).
    client_key: Option<SecretReference>,
    /// The name of our key there.
    client_key_id: Option<Kid>,
    /// The algorithm of our key.
    client_key_algorithm: Option<Algorithm>,
    /// Who types an address in one of these is sent there.
    #[serde(default)]
    domains: Vec<Spanned<MailDomain>>,
    /// How its identities come to accounts.
    linking: Option<LinkingRule>,
    /// Whether the sign-in page names it to everybody.
    offer: Option<Offer>,
    /// The algorithms of its ID tokens.
    algorithms: Option<BTreeSet<Algorithm>>,
    /// Whether its responses must name it (RFC 9207).
    response_issuer: Option<ResponseIssuer>,
    /// How it answers.
    response_mode: Option<UpstreamResponseMode>,
    /// Whether it may be used.
    state: Option<ProviderState>,
    /// A file with the certificate authority of its certificate; without it, the system's authorities.
    ca: Option<PathBuf>,
    /// Why it may be reached at a private address.
    private_address_because: Option<String>,
}

/// How we authenticate at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderCredential {
    /// With a key.
    Key {
        /// Where it is read from.
        key: SecretReference,
        /// Its name there.
        id: Kid,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// With a secret.
    Secret(SecretReference),
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSection {
    /// What it is to us.
    pub record: ProviderRecord,
    /// How we authenticate there.
    pub credential: ProviderCredential,
    /// The certificate authority of its certificate, if not one of the system's.
    pub ca: Option<PathBuf>,
    /// Why it may be reached at a private address.
    pub private_address_because: Option<String>,
}

pub(crate) fn check(
    raw: Vec<RawProvider>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<ProviderSection> {
    let mut sections: Vec<ProviderSection> = Vec::new();
    for provider in raw {
        let Some(tenant) = tenants.find(provider.tenant.as_ref(), mistakes) else {
            continue;
        };
        let of_tenant = || {
            sections
                .iter()
                .map(|section| &section.record)
                .filter(|record| record.tenant == tenant)
        };
        if of_tenant().any(|earlier| earlier.name == *provider.name.get_ref()) {
            mistakes.at(
                &provider.name.span(),
                format!(
                    "the identity provider `{}` stands here twice",
                    provider.name.get_ref()
                ),
                "remove one of them",
            );
            continue;
        }
        for domain in &provider.domains {
            if let Some(owner) = of_tenant().find(|other| other.domains.contains(domain.get_ref()))
            {
                mistakes.at(
                    &domain.span(),
                    format!("the domain `{}` belongs to two providers", domain.get_ref()),
                    format!("`{}` has it already", owner.name),
                );
            }
        }
        if let Some(section) = check_one(provider, tenant, mistakes) {
            sections.push(section);
        }
    }
    sections
}

fn check_one(
    raw: RawProvider,
    tenant: Tenant,
    mistakes: &mut Mistakes<'_>,
) -> Option<ProviderSection> {
    let span = raw.name.span();
    let credential = match (raw.client_secret, raw.client_key, raw.client_key_id) {
        (Some(secret), None, None) => ProviderCredential::Secret(secret),
        (None, Some(key), Some(id)) => ProviderCredential::Key {
            key,
            id,
            algorithm: raw.client_key_algorithm.unwrap_or(Algorithm::Es256),
        },
        (Some(_) | None, _, _) => {
            mistakes.at(
                &span,
                "how this program authenticates at the provider is not clear",
                "write `client_key` with `client_key_id`, or `client_secret`",
            );
            return None;
        }
    };
    if raw.algorithms.as_ref().is_some_and(BTreeSet::is_empty) {
        let known = Algorithm::ALL.into_iter().map(Algorithm::name);
        mistakes.at(&span, "no algorithm of an ID token is accepted", {
            format!(
                "leave `algorithms` out, or name one; {}",
                nearest("ES256", known)
            )
        });
    }
    let name = raw.name.into_inner();
    let label = raw.label.or_else(|| Bounded::parse(name.as_str()).ok())?;
    let mut record = ProviderRecord::new(tenant, name, label, raw.issuer, raw.client_id);
    record.domains = raw.domains.into_iter().map(Spanned::into_inner).collect();
    if let Some(algorithms) = raw.algorithms {
        record.algorithms = algorithms;
    }
    record.linking = raw.linking.unwrap_or(record.linking);
    record.offer = raw.offer.unwrap_or(record.offer);
    record.response_issuer = raw.response_issuer.unwrap_or(record.response_issuer);
    record.response_mode = raw.response_mode.unwrap_or(record.response_mode);
    record.state = raw.state.unwrap_or(record.state);
    Some(ProviderSection {
        record,
        credential,
        ca: raw.ca,
        private_address_because: raw.private_address_because,
    })
}
