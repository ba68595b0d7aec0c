//! `[[tenants]]`: each has its own issuer, signing keys, users, clients and cookies.

use super::branding::BrandingSection;
use super::error::Mistakes;
use countersign_base::{Audience, Issuer, Role, Tenant};
use countersign_oauth::tenant::{ClaimRelease, RoleRelease};
use countersign_oauth::user::AttributeName;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// One of `[[tenants]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTenant {
    name: Spanned<Tenant>,
    issuer: Option<Issuer>,
    /// What tokens for an audience say about their subject; an audience that is not listed sees nothing but `sub`.
    #[serde(default)]
    audiences: Vec<RawRelease>,
    /// How its pages look.
    #[serde(default)]
    branding: BrandingSection,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    audience: Spanned<Audience>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    attributes: BTreeSet<AttributeName>,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSection {
    /// Its name, which stands in URLs.
    pub name: Tenant,
    /// Its issuer, if it does not follow from the listener.
    pub issuer: Option<Issuer>,
    /// What tokens for each audience say about their subject.
    pub audiences: BTreeMap<Audience, ClaimRelease>,
    /// How its pages look.
    pub branding: BrandingSection,
}

impl TenantSection {
    /// The issuer, given what issuers of this installation begin with.
    ///
    /// # Errors
    /// When `base` is not the beginning of an issuer.
    pub fn issuer(&self, base: &str) -> Result<Issuer, countersign_base::ParseError> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None if self.name.is_default() => base.parse(),
            None => format!("{base}/t/{}", self.name).parse(),
        }
    }
}

pub(crate) fn check(raw: Vec<RawTenant>, mistakes: &mut Mistakes<'_>) -> Vec<TenantSection> {
    let mut tenants: Vec<TenantSection> = Vec::new();
    for tenant in raw {
        if tenants
            .iter()
            .any(|earlier| earlier.name == *tenant.name.get_ref())
        {
            mistakes.at(
                &tenant.name.span(),
                format!("the tenant `{}` stands here twice", tenant.name.get_ref()),
                "remove one of them",
            );
            continue;
        }
        let audiences = releases(tenant.audiences, mistakes);
        tenants.push(TenantSection {
            name: tenant.name.into_inner(),
            issuer: tenant.issuer,
            audiences,
            branding: tenant.branding,
        });
    }
    if !tenants.iter().any(|tenant| tenant.name.is_default()) {
        tenants.insert(
            0,
            TenantSection {
                name: Tenant::default_tenant(),
                issuer: None,
                audiences: BTreeMap::new(),
                branding: BrandingSection::default(),
            },
        );
    }
    tenants
}

fn releases(raw: Vec<RawRelease>, mistakes: &mut Mistakes<'_>) -> BTreeMap<Audience, ClaimRelease> {
    let mut releases = BTreeMap::new();
    for release in raw {
        let span = release.audience.span();
        let roles = if release.roles.is_empty() {
            RoleRelease::None
        } else {
            RoleRelease::Only(release.roles)
        };
        let claims = ClaimRelease {
            roles,
            attributes: release.attributes,
        };
        if releases
            .insert(release.audience.into_inner(), claims)
            .is_some()
        {
            mistakes.at(
                &span,
                "this audience stands here twice",
                "join the two entries",
            );
        }
    }
    releases
}
