//! What a client learns as `sub` (OpenID Connect Core §8): the same for everybody, or another one for each sector.
//!
//! A pairwise identifier is a keyed hash of sector and person: clients of one sector see the same, those of two cannot tell that it is one person, and nobody
//! without the key can find the person (§8.1).
//!
//! Not here: fetching and checking the document of a `sector_identifier_uri`; whoever registers a client does that and stores the host.

use crate::client::ClientRecord;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_base::{ParseError, UserId};
use countersign_crypto::mac::MacKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use url::Url;

const DOMAIN: &str = "countersign pairwise subject v1";

/// Which kind of `sub` a client learns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// Another one for each sector.
    Pairwise,
    /// The same as every other client.
    #[default]
    Public,
}

/// A sector: the host that vouches for clients of one owner (§8.1), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sector(String);

impl Sector {
    /// The host.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sector {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::expected("a sector: a host name");
        let host = url::Host::parse(text).map_err(|_| error())?.to_string();
        if text.len() > 255 || host != text {
            return Err(error());
        }
        Ok(Self(host))
    }
}

impl TryFrom<String> for Sector {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Sector> for String {
    fn from(sector: Sector) -> Self {
        sector.0
    }
}

/// The order to make a `sub`: for whom, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectOrder {
    user: UserId,
    sector: Option<String>,
}

impl SubjectOrder {
    /// What `client` learns of `user`.
    #[must_use]
    pub fn of(user: UserId, client: &ClientRecord) -> Self {
        let sector = match client.token_rules.subject_type {
            SubjectType::Public => None,
            SubjectType::Pairwise => Some(sector(client)),
        };
        Self { user, sector }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn subject_type(&self) -> SubjectType {
        match self.sector {
            None => SubjectType::Public,
            Some(_) => SubjectType::Pairwise,
        }
    }

    /// Makes it, with the tenant's key of pairwise subjects.
    #[must_use]
    pub fn derive(&self, key: &MacKey) -> SubjectIdentifier {
        match &self.sector {
            None => SubjectIdentifier::Public(self.user),
            Some(sector) => {
                let tag = key.tag(DOMAIN, &[sector.as_bytes(), self.user.as_bytes()]);
                SubjectIdentifier::Pairwise(URL_SAFE_NO_PAD.encode(tag.as_bytes()))
            }
        }
    }
}

/// The sector that the registration names, or the one host of its redirect URIs. A client with several hosts and no sector is one of its own
/// ([`ClientRecord::check`] refuses to register it).
fn sector(client: &ClientRecord) -> String {
    match (&client.token_rules.sector, only_host(client)) {
        (Some(sector), _) => sector.as_str().to_owned(),
        (None, Some(host)) => host,
        (None, None) => format!("client {}", client.id),
    }
}

/// The host of every redirect URI, if they share one.
pub(crate) fn only_host(client: &ClientRecord) -> Option<String> {
    let hosts: BTreeSet<Option<String>> = client
        .redirect_uris
        .iter()
        .map(|uri| {
            let url = Url::parse(uri.as_str()).ok()?;
            url.host_str().map(str::to_owned)
        })
        .collect();
    match (hosts.len(), hosts.into_iter().next()) {
        (1, Some(host)) => host,
        (_, _) => None,
    }
}

/// A `sub`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SubjectIdentifier {
    /// Of one sector: 43 characters of base64url, which no public one has.
    Pairwise(String),
    /// The person's own.
    Public(UserId),
}

impl fmt::Display for SubjectIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairwise(text) => f.write_str(text),
            Self::Public(user) => fmt::Display::fmt(user, f),
        }
    }
}

#[cfg(test)]
mod tests;
