//! Identifiers that people choose. Each has one grammar, checked once, when it is parsed.

use crate::ParseError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $grammar:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if $grammar(text) { Ok(Self(text.to_owned())) } else { Err(ParseError::expected($expected)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A client of the authorization server (RFC 6749 §2.2): 1 to 128 visible ASCII characters without `:`, quotes, backslash and `&`; or the
    /// address of the client's own metadata document, see [`ClientId::document_url`].
    ClientId, is_client_id, "a client id: 1 to 128 visible ASCII characters without `:`, quotes, backslash and `&`"
}
name! {
    /// What kind of thing a webhook reports.
    EventTypeName, is_event_type, "an event type: 1 to 128 lower-case letters, digits, `_` or `-` in parts divided by `.`, as `invoice.paid`"
}
name! {
    /// A group of users.
    GroupName, is_label, "a group name: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
}
name! {
    /// The identifier of a key (RFC 7517 §4.5), as this program writes and accepts it: 1 to 128 characters of the base64url alphabet, `.`, `:` or `/`.
    Kid, is_kid, "a key id: 1 to 128 letters, digits, `-`, `_`, `.`, `:` or `/`"
}
name! {
    /// Another organization that webhooks go to.
    PartnerName, is_label, "a partner's name: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
}
name! {
    /// A role that policies speak of.
    Role, is_label, "a role: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
}
name! {
    /// A route of the gateway, as configuration and records name it.
    RouteId, is_label, "a route name: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
}
name! {
    /// A sender of webhooks to this installation, as the configuration names it.
    SourceName, is_label, "a source's name: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"
}
name! {
    /// A tenant: its own issuer, keys, users, clients and cookies. It stands in URLs (`/t/NAME`).
    Tenant, is_tenant, "a tenant name: 1 to 32 lower-case letters, digits or `-`, starting with a letter"
}
name! {
    /// What a person types into the field "Username". Personal data: never in a token, a log line or an audit leaf.
    Username, is_username, "a username: 1 to 128 characters without white space, control characters and quotes"
}

impl Tenant {
    /// The tenant whose issuer has no path.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// Whether this is the tenant whose issuer has no path.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }
}

impl ClientId {
    /// The address of the client's metadata document, if that is what the id is (draft-ietf-oauth-client-id-metadata-document §3).
    #[must_use]
    pub fn document_url(&self) -> Option<&str> {
        self.0.starts_with("https:").then_some(self.0.as_str())
    }
}

fn is_client_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b":\"'\\&`".contains(&byte);
    (1..=128).contains(&text.len()) && (text.bytes().all(plain) || is_document_url(text))
}

/// An `https` URL with a path, and nothing that two readers could take for two things: no query, fragment, user name, escape or dot segment,
/// written exactly as a URL parser writes it.
fn is_document_url(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~[]".contains(&byte);
    text.starts_with("https://")
        && text.bytes().all(allowed)
        && Url::parse(text)
            .is_ok_and(|url| url.has_host() && url.path().len() > 1 && url.as_str() == text)
}

/// Parts of lower-case letters, digits, `_` and `-`, divided by `.`.
pub(crate) fn is_event_type(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=128).contains(&text.len())
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(allowed))
}

fn is_kid(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(&byte))
}

fn is_label(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len())
        && text.bytes().all(allowed)
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
}

fn is_tenant(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len())
        && text.bytes().all(allowed)
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
}

fn is_username(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "\"'`<>".contains(c))
}

#[cfg(test)]
mod tests;
