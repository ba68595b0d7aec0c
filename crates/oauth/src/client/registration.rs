//! What a client that registered itself said about itself, and how it manages its registration (RFC 7591 §2, RFC 7592 §3).
//!
//! Not here: the judging of what it says; see [`crate::registration`].

use crate::address::WebAddress;
use countersign_base::{Bounded, UnixTime};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The part of a record that only self-registered clients have.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DynamicRegistration {
    /// The keyed hash of the registration access token that is good now; each update makes another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<u8>,
    /// Where its keys are, if it did not bring them along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<WebAddress>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<WebAddress>,
    /// Its picture. It is never fetched or shown here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<WebAddress>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<WebAddress>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<WebAddress>,
    /// Whom to write to. Personal data: never in a record of the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Bounded<128>>,
    /// The document that ties several redirect hosts together (OpenID Connect Core §8.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<WebAddress>,
    /// Where a sign-in can be begun from elsewhere (OpenID Connect Core §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<WebAddress>,
    /// Which software it is, by its maker's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<Bounded<128>>,
    /// Of which version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<Bounded<64>>,
    /// Who vouched for that by a signed statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_issuer: Option<Bounded<256>>,
    /// Until when the document that the client is made of counts without being fetched again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_fresh_until: Option<UnixTime>,
    /// When its server was seen to refuse that document: the client is disabled until the document is there again. Who is disabled without it stays so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_withdrawn: Option<UnixTime>,
}

impl fmt::Debug for DynamicRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicRegistration")
            .field("jwks_uri", &self.jwks_uri)
            .field("software_id", &self.software_id)
            .finish_non_exhaustive()
    }
}
