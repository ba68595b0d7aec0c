//! `[[users]]`: people that are declared in the configuration. A password is a reference, hashed at start and never kept.

use super::Tenants;
use super::error::Mistakes;
use super::groups::GroupSection;
use super::span::SecretReference;
use countersign_base::{Bounded, GroupName, Role, Tenant, Username};
use countersign_oauth::Profile;
use countersign_oauth::user::AttributeName;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// One of `[[users]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUser {
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    name: Spanned<Username>,
    password: SecretReference,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    groups: Vec<Spanned<GroupName>>,
    #[serde(default)]
    attributes: BTreeMap<AttributeName, Bounded<256>>,
    /// Names, addresses and numbers: the standard claims of OpenID Connect.
    #[serde(default)]
    profile: Profile,
}

/// One user. Roles already hold those of the groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSection {
    /// The tenant they belong to.
    pub tenant: Tenant,
    /// What they type into the field "Username".
    pub name: Username,
    /// Where their password is read from.
    pub password: SecretReference,
    /// Roles of their own.
    pub roles: BTreeSet<Role>,
    /// Their groups.
    pub groups: BTreeSet<GroupName>,
    /// Attributes that policies may ask for, such as `region`.
    pub attributes: BTreeMap<AttributeName, Bounded<256>>,
    /// What ID tokens and userinfo may tell of them, with their consent.
    pub profile: Profile,
}

pub(crate) fn check(
    raw: Vec<RawUser>,
    tenants: &Tenants<'_>,
    groups: &[GroupSection],
    mistakes: &mut Mistakes<'_>,
) -> Vec<UserSection> {
    let mut users: Vec<UserSection> = Vec::new();
    for user in raw {
        let Some(tenant) = tenants.find(user.tenant.as_ref(), mistakes) else {
            continue;
        };
        if users
            .iter()
            .any(|earlier| earlier.tenant == tenant && earlier.name == *user.name.get_ref())
        {
            mistakes.at(
                &user.name.span(),
                format!("the user `{}` stands here twice", user.name.get_ref()),
                "remove one of them",
            );
            continue;
        }
        for group in &user.groups {
            if !groups
                .iter()
                .any(|known| known.tenant == tenant && known.name == *group.get_ref())
            {
                mistakes.at(
                    &group.span(),
                    format!("no group `{}` in tenant `{tenant}`", group.get_ref()),
                    "declare it under `[[groups]]`",
                );
            }
        }
        users.push(UserSection {
            tenant,
            name: user.name.into_inner(),
            password: user.password,
            roles: user.roles,
            groups: user.groups.into_iter().map(Spanned::into_inner).collect(),
            attributes: user.attributes,
            profile: user.profile,
        });
    }
    users
}
