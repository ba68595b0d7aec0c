//! `[[groups]]`: names for sets of users; a group gives its roles to its members.

use super::Tenants;
use super::error::Mistakes;
use countersign_base::{GroupName, Role, Tenant};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;

/// One of `[[groups]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    #[serde(default)]
    tenant: Option<Spanned<Tenant>>,
    name: Spanned<GroupName>,
    #[serde(default)]
    roles: BTreeSet<Role>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSection {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// Its name.
    pub name: GroupName,
    /// The roles that its members have.
    pub roles: BTreeSet<Role>,
}

pub(crate) fn check(
    raw: Vec<RawGroup>,
    tenants: &Tenants<'_>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<GroupSection> {
    let mut groups: Vec<GroupSection> = Vec::new();
    for group in raw {
        let Some(tenant) = tenants.find(group.tenant.as_ref(), mistakes) else {
            continue;
        };
        if groups
            .iter()
            .any(|earlier| earlier.tenant == tenant && earlier.name == *group.name.get_ref())
        {
            mistakes.at(
                &group.name.span(),
                format!("the group `{}` stands here twice", group.name.get_ref()),
                "remove one of them",
            );
            continue;
        }
        groups.push(GroupSection {
            tenant,
            name: group.name.into_inner(),
            roles: group.roles,
        });
    }
    groups
}
