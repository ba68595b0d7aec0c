//! `[tenants.registration]`: which clients may register themselves with a tenant. Without it, none.

use super::egress::is_host;
use super::error::Mistakes;
use countersign_base::{Audience, Bounded, Scope};
use countersign_oauth::tenant::registration::{
    CLIENTS_MAX_DEFAULT, MetadataDocuments, RegistrationMode,
};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::Spanned;

/// The most that `clients_max` may be.
const CLIENTS_MAX: u32 = 100_000;

/// `[tenants.registration]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRegistration {
    /// `closed`, `initial_access_token`, `software_statement` or `open`.
    mode: RegistrationMode,
    /// How many clients may have registered themselves at once.
    clients_max: Option<Spanned<u32>>,
    /// Whether a client id may be the address of a metadata document.
    metadata_documents: bool,
    /// The scopes that such clients may have.
    scopes: BTreeSet<Scope>,
    /// The audiences that such clients may ask tokens for.
    audiences: BTreeSet<Audience>,
    /// The hosts on which their addresses must lie; none is everywhere.
    hosts: Vec<Spanned<String>>,
    /// Who may vouch for software.
    software_issuers: Vec<RawSoftwareIssuer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSoftwareIssuer {
    issuer: Bounded<256>,
    /// A file with its public JWK set.
    jwks: PathBuf,
}

/// How many clients that registered themselves a tenant has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientsMax(pub u32);

impl Default for ClientsMax {
    fn default() -> Self {
        Self(CLIENTS_MAX_DEFAULT)
    }
}

/// `[tenants.registration]` as used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationSection {
    /// Who may register.
    pub mode: RegistrationMode,
    /// How many clients may have registered themselves at once.
    pub clients_max: ClientsMax,
    /// Whether client ids may be addresses of documents.
    pub documents: MetadataDocuments,
    /// The scopes that such clients may have.
    pub scopes: BTreeSet<Scope>,
    /// The audiences that such clients may ask tokens for.
    pub audiences: BTreeSet<Audience>,
    /// The hosts on which their addresses must lie.
    pub hosts: BTreeSet<Bounded<253>>,
    /// Who may vouch for software, and the file with their keys.
    pub software_issuers: Vec<(Bounded<256>, PathBuf)>,
}

pub(crate) fn check(
    raw: Option<Spanned<RawRegistration>>,
    mistakes: &mut Mistakes<'_>,
) -> RegistrationSection {
    let Some(raw) = raw else {
        return RegistrationSection::default();
    };
    let span = raw.span();
    let raw = raw.into_inner();
    if raw.mode == RegistrationMode::SoftwareStatement && raw.software_issuers.is_empty() {
        mistakes.at(
            &span,
            "`software_statement` without anybody whose statements are believed",
            "add `[[tenants.registration.software_issuers]]` with `issuer` and `jwks`",
        );
    }
    let mut hosts = BTreeSet::new();
    for host in raw.hosts {
        match Bounded::parse(host.get_ref()) {
            Ok(name) if is_host(host.get_ref()) => _ = hosts.insert(name),
            Ok(_) | Err(_) => mistakes.at(
                &host.span(),
                "not a host",
                "write a whole host name in lower case, without scheme, port and pattern",
            ),
        }
    }
    let clients_max = match raw.clients_max {
        None => ClientsMax::default(),
        Some(max) if (1..=CLIENTS_MAX).contains(max.get_ref()) => ClientsMax(max.into_inner()),
        Some(max) => {
            mistakes.at(
                &max.span(),
                "not a number of clients that a tenant can have",
                "write a number from 1 to 100000, or `mode = \"closed\"`",
            );
            ClientsMax::default()
        }
    };
    RegistrationSection {
        mode: raw.mode,
        clients_max,
        documents: if raw.metadata_documents {
            MetadataDocuments::Accepted
        } else {
            MetadataDocuments::Refused
        },
        scopes: raw.scopes,
        audiences: raw.audiences,
        hosts,
        software_issuers: raw
            .software_issuers
            .into_iter()
            .map(|issuer| (issuer.issuer, issuer.jwks))
            .collect(),
    }
}
