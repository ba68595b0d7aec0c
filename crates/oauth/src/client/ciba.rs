//! What a client registers for CIBA (OpenID Connect CIBA Core 1.0 §4): how it hears of an answer, and whether its requests must be signed.
//!
//! Mode `push` does not exist here: it hands tokens to whoever answers at a registered address, and FAPI-CIBA forbids it (§5.2.2).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Bytes of a notification endpoint.
const ENDPOINT_BYTES_MAX: usize = 512;

/// The registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CibaRules {
    /// `backchannel_token_delivery_mode` and its endpoint.
    #[serde(default)]
    pub delivery: DeliveryMode,
    /// Whether an unsigned backchannel request is refused (FAPI-CIBA §5.2.2).
    #[serde(default)]
    pub signing: BackchannelSigning,
}

/// How a client learns that a person answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// It is told that there is an answer, and polls then.
    Ping {
        /// Where it is told.
        endpoint: NotificationEndpoint,
    },
    /// It asks until there is one.
    #[default]
    Poll,
}

impl DeliveryMode {
    /// The endpoint of a client that is notified.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&NotificationEndpoint> {
        match self {
            Self::Ping { endpoint } => Some(endpoint),
            Self::Poll => None,
        }
    }
}

/// Whether a client's backchannel requests must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackchannelSigning {
    /// Both kinds are accepted.
    #[default]
    Optional,
    /// Only signed ones are accepted (CIBA-1).
    Required,
}

/// Where a client is notified: an absolute `https` address without user name, password and fragment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NotificationEndpoint(Url);

/// It is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a notification endpoint must be an absolute https address without user name, password and fragment"
)]
pub struct NotANotificationEndpoint;

impl NotificationEndpoint {
    /// The address.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for NotificationEndpoint {
    type Err = NotANotificationEndpoint;

    fn from_str(text: &str) -> Result<Self, NotANotificationEndpoint> {
        if text.len() > ENDPOINT_BYTES_MAX || text.contains('\\') {
            return Err(NotANotificationEndpoint);
        }
        let url = Url::parse(text).map_err(|_| NotANotificationEndpoint)?;
        let plain = url.username().is_empty() && url.password().is_none();
        if url.scheme() == "https" && url.host().is_some() && plain && url.fragment().is_none() {
            Ok(Self(url))
        } else {
            Err(NotANotificationEndpoint)
        }
    }
}

impl TryFrom<String> for NotificationEndpoint {
    type Error = NotANotificationEndpoint;

    fn try_from(text: String) -> Result<Self, NotANotificationEndpoint> {
        text.parse()
    }
}

impl From<NotificationEndpoint> for String {
    fn from(endpoint: NotificationEndpoint) -> Self {
        endpoint.0.into()
    }
}

impl fmt::Debug for NotificationEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}
