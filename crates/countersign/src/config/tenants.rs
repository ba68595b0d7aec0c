//! `[[tenants]]`: each has its own issuer, signing keys, users, clients and cookies.

use super::branding::BrandingSection;
use super::error::Mistakes;
use super::registration::{self, RawRegistration, RegistrationSection};
use countersign_authn::access_token::DetailType;
use countersign_authn::trust::SecretInBody;
use countersign_base::{Audience, Bounded, Issuer, Role, Tenant};
use countersign_oauth::Claim;
use countersign_oauth::SecurityProfile;
use countersign_oauth::api_key;
use countersign_oauth::authentication::rules::FRESH_SECONDS_MAX;
use countersign_oauth::authentication::{AuthenticationRules, PasswordRules};
use countersign_oauth::tenant::{ClaimRelease, RoleRelease};
use countersign_oauth::user::AttributeName;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::Spanned;

/// No tenant may demand more characters than people can type.
const LENGTH_MIN_MAX: u16 = 64;
/// Nobody fills in a form in less.
const FRESH_SECONDS_MIN: u32 = 60;

/// One of `[[tenants]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTenant {
    name: Spanned<Tenant>,
    issuer: Option<Issuer>,
    /// `fapi2` or `fapi2-message-signing`: every client is held to the whole profile.
    #[serde(default)]
    profile: SecurityProfile,
    /// What tokens for an audience say about their subject; an audience that is not listed sees nothing but `sub`.
    #[serde(default)]
    audiences: Vec<RawRelease>,
    /// Which clients may register themselves.
    registration: Option<Spanned<RawRegistration>>,
    /// How its pages look.
    #[serde(default)]
    branding: BrandingSection,
    /// The types of authorization details that clients may ask for (RFC 9396).
    #[serde(default)]
    authorization_details: Vec<RawDetailType>,
    /// A file with the authorities of clients' certificates (`tls_client_auth`); without it, the local development authority.
    client_ca: Option<PathBuf>,
    /// Whether clients may send their secret in the body (`client_secret_post`).
    #[serde(default)]
    client_secret_post: SecretInBody,
    /// Characters of a password, at least; 8 without it, and never fewer.
    password_length_min: Option<Spanned<u16>>,
    /// Seconds after a sign-in in which people may change how they sign in; 300 without it.
    fresh_for: Option<Spanned<u32>>,
    /// Days that an API key may live; 90 without it, and never more than 366.
    api_key_days_max: Option<Spanned<u16>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetailType {
    #[serde(rename = "type")]
    kind: Spanned<DetailType>,
    /// A file with the JSON Schema of its objects.
    schema: PathBuf,
    /// What people read on the consent page.
    words: Bounded<128>,
    #[serde(default)]
    audiences: BTreeSet<Audience>,
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
    /// The profile that every client is held to at least.
    pub profile: SecurityProfile,
    /// What tokens for each audience say about their subject.
    pub audiences: BTreeMap<Audience, ClaimRelease>,
    /// Which clients may register themselves.
    pub registration: RegistrationSection,
    /// How its pages look.
    pub branding: BrandingSection,
    /// The types of authorization details that clients may ask for.
    pub detail_types: Vec<DetailTypeSection>,
    /// The authorities of clients' certificates, if not the local one.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may send their secret in the body.
    pub client_secret_post: SecretInBody,
    /// Characters of a password, at least.
    pub password_length_min: u16,
    /// Seconds after a sign-in in which people may change how they sign in.
    pub fresh_for: u32,
    /// Days that an API key may live.
    pub api_key_days_max: u16,
}

/// One type of authorization details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailTypeSection {
    /// Its name.
    pub kind: DetailType,
    /// The file with the JSON Schema of its objects.
    pub schema: PathBuf,
    /// What people read on the consent page.
    pub words: Bounded<128>,
    /// The audiences whose tokens carry it; empty for every audience of a grant.
    pub audiences: BTreeSet<Audience>,
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
        let detail_types = detail_types(tenant.authorization_details, mistakes);
        tenants.push(TenantSection {
            name: tenant.name.into_inner(),
            issuer: tenant.issuer,
            profile: tenant.profile,
            audiences,
            branding: tenant.branding,
            detail_types,
            client_ca: tenant.client_ca,
            client_secret_post: tenant.client_secret_post,
            password_length_min: password_length_min(tenant.password_length_min, mistakes),
            fresh_for: fresh_for(tenant.fresh_for, mistakes),
            api_key_days_max: api_key_days_max(tenant.api_key_days_max, mistakes),
            registration: registration::check(tenant.registration, mistakes),
        });
    }
    if !tenants.iter().any(|tenant| tenant.name.is_default()) {
        tenants.insert(
            0,
            TenantSection {
                name: Tenant::default_tenant(),
                issuer: None,
                profile: SecurityProfile::Standard,
                audiences: BTreeMap::new(),
                branding: BrandingSection::default(),
                detail_types: Vec::new(),
                client_ca: None,
                client_secret_post: SecretInBody::Refused,
                password_length_min: PasswordRules::LENGTH_MIN,
                fresh_for: AuthenticationRules::default().fresh_for,
                api_key_days_max: api_key::DAYS_MAX_DEFAULT,
                registration: RegistrationSection::default(),
            },
        );
    }
    tenants
}

fn password_length_min(raw: Option<Spanned<u16>>, mistakes: &mut Mistakes<'_>) -> u16 {
    let Some(length) = raw else {
        return PasswordRules::LENGTH_MIN;
    };
    let allowed = PasswordRules::LENGTH_MIN..=LENGTH_MIN_MAX;
    if !allowed.contains(length.get_ref()) {
        mistakes.at(
            &length.span(),
            "not a least length of passwords",
            format!(
                "a number from {} to {LENGTH_MIN_MAX}",
                PasswordRules::LENGTH_MIN
            ),
        );
    }
    length.into_inner()
}

fn api_key_days_max(raw: Option<Spanned<u16>>, mistakes: &mut Mistakes<'_>) -> u16 {
    let Some(days) = raw else {
        return api_key::DAYS_MAX_DEFAULT;
    };
    if !(1..=api_key::DAYS_MAX).contains(days.get_ref()) {
        mistakes.at(
            &days.span(),
            "not a longest life of API keys",
            format!("a number of days from 1 to {}", api_key::DAYS_MAX),
        );
    }
    days.into_inner()
}

fn fresh_for(raw: Option<Spanned<u32>>, mistakes: &mut Mistakes<'_>) -> u32 {
    let Some(seconds) = raw else {
        return AuthenticationRules::default().fresh_for;
    };
    if !(FRESH_SECONDS_MIN..=FRESH_SECONDS_MAX).contains(seconds.get_ref()) {
        mistakes.at(
            &seconds.span(),
            "not a time for which a sign-in is fresh",
            format!("a number of seconds from {FRESH_SECONDS_MIN} to {FRESH_SECONDS_MAX}"),
        );
    }
    seconds.into_inner()
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
        for attribute in &release.attributes {
            if Claim::named(attribute.as_str()).is_some() {
                mistakes.at(
                    &span,
                    format!("`{attribute}` is personal data and never stands in an access token"),
                    "put it into the `profile` of users: ID tokens and userinfo tell it with consent",
                );
            }
        }
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

fn detail_types(raw: Vec<RawDetailType>, mistakes: &mut Mistakes<'_>) -> Vec<DetailTypeSection> {
    let mut types: Vec<DetailTypeSection> = Vec::new();
    for written in raw {
        if types
            .iter()
            .any(|earlier| earlier.kind == *written.kind.get_ref())
        {
            mistakes.at(
                &written.kind.span(),
                format!("the type `{}` stands here twice", written.kind.get_ref()),
                "remove one of them",
            );
            continue;
        }
        types.push(DetailTypeSection {
            kind: written.kind.into_inner(),
            schema: written.schema,
            words: written.words,
            audiences: written.audiences,
        });
    }
    types
}
