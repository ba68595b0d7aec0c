//! A person known to a tenant, and the groups that give roles.
//!
//! Not here: how a password is checked; hashing is `crypto`'s and runs on the shell's bounded pool.

use crate::client::Origin;
use crate::profile::Profile;
use countersign_base::{Bounded, GroupName, Role, Tenant, UnixTime, UserId, Username};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A person, as the store keeps them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The `sub` of their tokens.
    pub id: UserId,
    /// The tenant they belong to.
    pub tenant: Tenant,
    /// What they type. Personal data.
    pub username: Username,
    /// Their password's hash; absent for people who cannot sign in by password.
    pub password: Option<StoredPassword>,
    /// Roles given to them directly.
    pub roles: BTreeSet<Role>,
    /// Groups whose roles they have too.
    pub groups: BTreeSet<GroupName>,
    /// Attributes that policies see, such as `region`.
    pub attributes: BTreeMap<AttributeName, Bounded<256>>,
    /// What ID tokens and userinfo may tell of them, with their consent. Personal data.
    #[serde(default)]
    pub profile: Profile,
    /// Whether they may do anything at all (R42).
    pub enabled: bool,
    /// Who manages the record.
    pub origin: Origin,
    /// When it was made.
    pub created: UnixTime,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// The name of an attribute: at most 64 bytes.
pub type AttributeName = Bounded<64>;

/// A group and the roles that it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// Its name.
    pub name: GroupName,
    /// The roles of its members.
    pub roles: BTreeSet<Role>,
    /// Who manages the record.
    pub origin: Origin,
}

/// The hash of a password in one of the forms that `crypto::password::StoredHash` reads. It is never shown, not even hashed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredPassword(String);

impl StoredPassword {
    /// Takes a hash that `crypto::password` made or read.
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash, for `crypto::password` to check against.
    #[must_use]
    pub fn phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredPassword")
    }
}

/// A user with the roles of their groups: what claims and policies see.
#[derive(Debug, Clone)]
pub struct ResolvedUser {
    /// The person.
    pub user: UserRecord,
    /// Direct roles and those of their groups.
    pub roles: BTreeSet<Role>,
}

impl ResolvedUser {
    /// Adds the roles that the person's groups give.
    #[must_use]
    pub fn new(user: UserRecord, groups: &[GroupRecord]) -> Self {
        let mut roles = user.roles.clone();
        for group in groups
            .iter()
            .filter(|group| user.groups.contains(&group.name))
        {
            roles.extend(group.roles.iter().cloned());
        }
        Self { user, roles }
    }
}
