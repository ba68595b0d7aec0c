//! What a client is registered for in token exchange, beyond its audiences (RFC 8693): who may act on its tokens, how it exchanges, and which authorization
//! servers and trust domains it may ask tokens for.
//!
//! Everything here is empty or the strict choice by default.

use countersign_base::{Audience, Bounded, Issuer, Scopes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The rules of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelegationRules {
    /// Who may act for the subjects of this client's access tokens: their `may_act` (RFC 8693 §4.4).
    pub may_act: Option<Bounded<255>>,
    /// What it asks for when it names no actor.
    pub exchange: ExchangeStyle,
    /// Which audiences it may exchange towards.
    pub targets: TargetRule,
    /// The authorization servers that it may ask identity assertions for.
    pub assertions: BTreeMap<Issuer, AssertionTarget>,
    /// The trust domains in which it may begin or carry on a transaction.
    pub trust_domains: BTreeSet<Audience>,
}

/// What an exchange without `actor_token` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeStyle {
    /// The client acts, and the token says so.
    #[default]
    Delegation,
    /// The token says nothing of the client: what no default policy permits.
    Impersonation,
}

/// Which audiences a client may exchange towards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetRule {
    /// Any that a policy permits it, whatever is registered.
    Policy,
    /// Those that are registered for it.
    #[default]
    Registered,
}

/// An authorization server that trusts our assertions, as one client knows it (draft-ietf-oauth-identity-assertion-authz-grant §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionTarget {
    /// The client's identifier there.
    pub client_id: Bounded<255>,
    /// The scopes that may be asserted: they are the other server's, not ours.
    #[serde(default)]
    pub scopes: Scopes,
    /// The resources that may be named.
    #[serde(default)]
    pub resources: BTreeSet<Audience>,
}
