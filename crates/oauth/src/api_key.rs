//! The record of an API key (`countersign_authn::api_key`), and what a tenant allows of keys.
//!
//! A key belongs to a client and may never more than it: what it allows is cut to what the client is registered for whenever the key is looked up. It
//! always ends: at its own time, and no later than the tenant's longest life of keys after it was made, which may be shortened afterwards.

use crate::{ClientRecord, TenantRecord};
use countersign_authn::SubjectId;
use countersign_authn::access_token::{AccessTokenClaims, Act, AuthorizationDetails};
use countersign_base::{
    AddressBlock, Audience, Bounded, ClientId, Duration, GrantId, Issuer, Scopes, UnixTime,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Days that a key may live unless the tenant says otherwise.
pub const DAYS_MAX_DEFAULT: u16 = 90;
/// Days that a tenant may let keys live: a year, and a day for the change.
pub const DAYS_MAX: u16 = 366;
/// Blocks of addresses that one key may name.
pub const NETWORKS_MAX: usize = 32;

/// What a tenant allows of API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRules {
    /// Days that a key may live.
    pub days_max: u16,
}

impl Default for ApiKeyRules {
    fn default() -> Self {
        Self {
            days_max: DAYS_MAX_DEFAULT,
        }
    }
}

impl ApiKeyRules {
    /// The longest life of a key.
    #[must_use]
    pub fn life_max(self) -> Duration {
        Duration::from_secs(u64::from(self.days_max.min(DAYS_MAX)) * 86_400)
    }
}

/// A key as it is kept. Of the key itself there is only a keyed hash, beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// Its id, which stands in the key, and names its grant.
    pub id: GrantId,
    /// Whose key it is.
    pub client: ClientId,
    /// What people call it.
    pub name: Bounded<64>,
    /// The one audience that it is for.
    pub audience: Audience,
    /// What it allows.
    pub scopes: Scopes,
    /// Where it may come from; without any, from anywhere.
    #[serde(default)]
    pub networks: BTreeSet<AddressBlock>,
    /// When it was made.
    pub created: UnixTime,
    /// When it ends.
    pub expires: UnixTime,
    /// When it was ended before its time.
    #[serde(default)]
    pub ended: Option<UnixTime>,
    /// The day on which it was last used, as its first second.
    #[serde(default)]
    pub used_on: Option<UnixTime>,
}

/// Why a key can't be made so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The client may not ask for this audience.
    #[error("the client is not registered for the audience `{0}`")]
    Audience(Audience),
    /// The client does not take part any more.
    #[error("the client is disabled")]
    Client,
    /// It would live too long, or not at all.
    #[error("a key lives from one second to {0} days")]
    Life(u16),
    /// Too many blocks of addresses.
    #[error("a key names at most {NETWORKS_MAX} networks")]
    Networks,
    /// The client may not ask for these scopes, or there is none.
    #[error(
        "the client is not registered for these scopes, or there is none: a key allows something"
    )]
    Scopes,
}

impl ApiKeyRecord {
    /// Checks a new key against its client and tenant.
    ///
    /// # Errors
    /// The first thing that may not be.
    pub fn check(&self, client: &ClientRecord, tenant: &TenantRecord) -> Result<(), ApiKeyError> {
        let rules = tenant.api_keys;
        if !client.enabled {
            return Err(ApiKeyError::Client);
        }
        if !client.audiences.contains(&self.audience) {
            return Err(ApiKeyError::Audience(self.audience.clone()));
        }
        if self.scopes.is_empty() || !self.scopes.is_subset(&client.scopes) {
            return Err(ApiKeyError::Scopes);
        }
        if self.networks.len() > NETWORKS_MAX {
            return Err(ApiKeyError::Networks);
        }
        if self.expires <= self.created || self.expires > self.created.plus(rules.life_max()) {
            return Err(ApiKeyError::Life(rules.days_max.min(DAYS_MAX)));
        }
        Ok(())
    }

    /// What the key says at this moment, as a token would; nothing if it has ended, or its client is disabled or no longer registered for it.
    #[must_use]
    pub fn claims(
        &self,
        client: &ClientRecord,
        tenant: &TenantRecord,
        now: UnixTime,
    ) -> Option<AccessTokenClaims> {
        let expires = self
            .expires
            .min(self.created.plus(tenant.api_keys.life_max()));
        let stands = self.ended.is_none()
            && expires > now
            && client.enabled
            && client.id == self.client
            && client.audiences.contains(&self.audience);
        if !stands {
            return None;
        }
        let issuer: Issuer = tenant.issuer.clone();
        Some(AccessTokenClaims {
            iss: issuer,
            sub: SubjectId::Client(self.client.clone()),
            aud: self.audience.clone(),
            exp: expires,
            iat: self.created,
            nbf: None,
            jti: Bounded::parse(&self.id.to_string()).ok()?,
            client_id: self.client.clone(),
            scope: self.scopes.intersection(&client.scopes),
            grant_id: Some(self.id),
            sid: None,
            auth_time: None,
            acr: None,
            amr: BTreeSet::new(),
            roles: BTreeSet::new(),
            attrs: BTreeMap::new(),
            act: Act::none(),
            may_act: None,
            authorization_details: AuthorizationDetails::none(),
            cnf: None,
        })
    }

    /// The day of this instant, as its first second: all that is kept of a key's last use.
    #[must_use]
    pub const fn day_of(now: UnixTime) -> UnixTime {
        UnixTime(now.0.div_euclid(86_400).saturating_mul(86_400))
    }
}

#[cfg(test)]
mod tests;
