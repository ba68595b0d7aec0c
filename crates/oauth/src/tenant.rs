//! What a tenant is to the protocol: its issuer, what each audience may see of its people, and whom it believes beside itself.

mod trust;

pub use trust::TenantTrust;

pub mod branding;

pub use branding::Branding;
pub mod registration;

pub use registration::RegistrationRules;

use countersign_base::{Audience, Duration, Issuer, Role, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::api_key::ApiKeyRules;
use crate::authentication::AuthenticationRules;
use crate::authorization_details::DetailTypes;
use crate::security_profile::SecurityProfile;
use crate::user::AttributeName;

/// A tenant's settings, as the store and the configuration keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name.
    pub name: Tenant,
    /// The issuer of its tokens, remembered apart from any listener's address.
    pub issuer: Issuer,
    /// What tokens for an audience say about their subject. An audience that is not listed sees nothing but `sub`.
    pub audiences: BTreeMap<Audience, ClaimRelease>,
    /// How people sign in.
    #[serde(default)]
    pub authentication: AuthenticationRules,
    /// Seconds in which the previous refresh token is answered with the same successor (RT-18).
    pub refresh_grace: u32,
    /// How its pages look.
    #[serde(default)]
    pub branding: Branding,
    /// The types of authorization details that clients may ask for (RFC 9396).
    #[serde(default)]
    pub detail_types: DetailTypes,
    /// The profile that every client is held to at least.
    #[serde(default)]
    pub profile: SecurityProfile,
    /// Whom it believes about its clients and people.
    #[serde(default)]
    pub trust: TenantTrust,
    /// Which clients may register themselves.
    #[serde(default)]
    pub registration: RegistrationRules,
    /// How long API keys may live.
    #[serde(default)]
    pub api_keys: ApiKeyRules,
}

impl TenantRecord {
    /// A tenant with the defaults.
    #[must_use]
    pub fn new(name: Tenant, issuer: Issuer) -> Self {
        Self {
            name,
            issuer,
            audiences: BTreeMap::new(),
            authentication: AuthenticationRules::default(),
            refresh_grace: REFRESH_GRACE_SECONDS,
            branding: Branding {
                name: None,
                accent: None,
                logo: None,
            },
            detail_types: DetailTypes::none(),
            profile: SecurityProfile::Standard,
            trust: TenantTrust::nobody(),
            registration: RegistrationRules::default(),
            api_keys: ApiKeyRules::default(),
        }
    }

    /// The grace period, at most a minute.
    #[must_use]
    pub fn refresh_grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_grace.min(60)))
    }

    /// The audience of tokens for the tenant's own `userinfo`: its issuer identifier.
    #[must_use]
    pub fn own_audience(&self) -> Option<Audience> {
        self.issuer.as_str().parse().ok()
    }
}

/// The default of [`TenantRecord::refresh_grace`].
pub const REFRESH_GRACE_SECONDS: u32 = 10;

/// What an audience may see of a subject in an access token. Never a name, an address or a username: those are not attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRelease {
    /// Which roles.
    #[serde(default)]
    pub roles: RoleRelease,
    /// Which attributes.
    #[serde(default)]
    pub attributes: BTreeSet<AttributeName>,
}

/// Which of a subject's roles an audience may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleRelease {
    /// Every role.
    All,
    /// None.
    #[default]
    None,
    /// These, if the subject has them.
    Only(BTreeSet<Role>),
}
