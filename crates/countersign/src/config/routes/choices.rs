//! What a route says in one word.

use serde::Deserialize;

/// Where a route takes API keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyField {
    /// `Authorization: Bearer`.
    #[default]
    Authorization,
    /// `X-API-Key`.
    XApiKey,
}

/// That a route takes API keys, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeysSection {
    /// Why it has to be.
    pub reason: String,
    /// Where it takes them.
    pub field: KeyField,
}

/// What callers may upgrade to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpgradeSection {
    /// Nothing.
    #[default]
    Refused,
    /// WebSocket.
    Websocket,
}

/// Whether a request without a credential goes on to policy. A broken credential is refused either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// It goes on, as anonymous, and policy decides.
    Allowed,
    /// It is refused.
    #[default]
    Refused,
}

/// How a caller must prove that a token is theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// As the token itself says: a bound token needs its key, a bearer token nothing.
    Any,
    /// The token must be bound to a DPoP key or a client certificate.
    #[default]
    Bound,
}

/// What a route does while the counts of its shared limits are away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitsAway {
    /// It refuses.
    Closed,
    /// It lets everything through.
    Open,
    /// Each process lets its share through.
    Share,
}

/// When a decision is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recording {
    /// Before the request is passed on.
    #[default]
    Durable,
    /// Soon after; a full queue denies.
    Queued,
}
