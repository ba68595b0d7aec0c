//! What an endpoint of webhooks says of itself: its address, and the patterns of the event types it wants.

use crate::name::is_event_type;
use crate::{EventTypeName, ParseError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Bytes of an address.
const ADDRESS_BYTES_MAX: usize = 1024;
/// Bytes of a pattern: an event type and `.*`.
const PATTERN_BYTES_MAX: usize = 130;

/// The address of a receiver of webhooks: `https`, or `http`, with a host, without user name and fragment, kept as it was written.
///
/// Whether plain HTTP is allowed, and which hosts are, is decided elsewhere: see [`ReceiverUrl::is_plain`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReceiverUrl(String);

impl ReceiverUrl {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there can be read on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl FromStr for ReceiverUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let good = text.len() <= ADDRESS_BYTES_MAX
            && text.bytes().all(visible)
            && ["https://", "http://"]
                .into_iter()
                .filter_map(|scheme| text.strip_prefix(scheme))
                // A URL parser would pass over more slashes, to another host than a reader sees.
                .any(|rest| !rest.starts_with('/'))
            && Url::parse(text).is_ok_and(|url| {
                url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.fragment().is_none()
            });
        good.then(|| Self(text.to_owned()))
            .ok_or(ParseError::expected(
                "an https URL without user name and fragment, at most 1,024 bytes",
            ))
    }
}

/// Which event types an endpoint wants: one (`invoice.paid`), all under a prefix (`invoice.*`), or all (`*`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventPattern(String);

impl EventPattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every pattern that an event type matches: itself, `*`, and each of its prefixes with `.*`.
    #[must_use]
    pub fn all_of(event_type: &EventTypeName) -> Vec<Self> {
        let name = event_type.as_str();
        let prefixes = name
            .match_indices('.')
            .filter_map(|(at, _)| name.get(..at))
            .map(|prefix| Self(format!("{prefix}.*")));
        let whole = [Self("*".to_owned()), Self(name.to_owned())];
        whole.into_iter().chain(prefixes).collect()
    }
}

impl FromStr for EventPattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let named = text.strip_suffix(".*").unwrap_or(text);
        let good = text == "*" || text.len() <= PATTERN_BYTES_MAX && is_event_type(named);
        good.then(|| Self(text.to_owned()))
            .ok_or(ParseError::expected(
                "an event type, a prefix with `.*` as `invoice.*`, or `*`",
            ))
    }
}

macro_rules! text {
    ($($name:ident),*) => {
        $(impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
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
        })*
    };
}

text!(EventPattern, ReceiverUrl);

#[cfg(test)]
mod tests;
