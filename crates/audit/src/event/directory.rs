//! Tenants, clients and users.

use super::decision::Actor;
use crate::text::Code;
use countersign_base::{ClientId, Tenant, UserId};
use serde::{Deserialize, Serialize};

/// A tenant came into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantAdded {
    /// Who did it.
    pub by: Actor,
    /// The tenant.
    pub name: Tenant,
}

/// A client came into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAdded {
    /// Who did it.
    pub by: Actor,
    /// The client.
    pub client: ClientId,
    /// How it authenticates (`private_key_jwt`).
    pub method: Code,
}

/// A client's registration changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientChanged {
    /// Who did it.
    pub by: Actor,
    /// What changed (`secret`, `scopes`, `disabled`).
    pub change: Code,
    /// The client.
    pub client: ClientId,
}

/// A user came into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserAdded {
    /// Who did it.
    pub by: Actor,
    /// The user.
    pub user: UserId,
}

/// A user's record changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChanged {
    /// Who did it.
    pub by: Actor,
    /// What changed (`password`, `disabled`, `roles`, `attributes`).
    pub change: Code,
    /// The user.
    pub user: UserId,
}
