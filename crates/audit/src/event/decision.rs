//! Decisions about requests, what came of them, and what administrators do.

use crate::text::{Code, Count, Digest, Names, Text};
use countersign_base::{ClientId, EventId, GrantId, RouteId, UserId};
use serde::{Deserialize, Serialize};

/// Allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Nobody known.
    Anonymous,
    /// A client on its own behalf.
    Client(ClientId),
    /// The declared configuration.
    Configuration,
    /// Whoever holds the local administrator's credential.
    LocalAdministrator,
    /// The program itself, on schedule.
    System,
    /// A person.
    User(UserId),
}

/// A request was allowed or denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What it wants to do, as policies name it.
    pub action: Text<128>,
    /// Digest of the policy set that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The client that holds the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// Salted commitment to the sealed query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Digest>,
    /// Allowed or denied.
    pub decision: Verdict,
    /// What exactly was wrong, in words of the operator's own documents: a place in a schema, the rules that matched. Never what the caller sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<256>>,
    /// The grant of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// The policies that decided.
    pub policies: Names,
    /// Why, in this program's vocabulary.
    pub reason: Code,
    /// What it is done to: a route or an entity type, never an identifier that a person chose.
    pub resource: Text<256>,
    /// The route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteId>,
    /// Which door it came through (`gateway`, `admin`, `userinfo`).
    pub surface: Code,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl Decision {
    /// A decision of which only the door, the verdict and the reason are known yet.
    #[must_use]
    pub fn new(surface: Code, decision: Verdict, reason: Code) -> Self {
        Self {
            action: Text::of(""),
            bundle: None,
            client: None,
            commitment: None,
            decision,
            detail: None,
            grant: None,
            policies: Names::none(),
            reason,
            resource: Text::of(""),
            route: None,
            surface,
            user: None,
        }
    }
}

/// How a permitted request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Bytes of the response body that were passed on.
    pub bytes: Count,
    /// What of request or answer did not fit, though it was passed on, or why the answer was not; in words of the operator's own documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<256>>,
    /// Microseconds from the decision to the last byte.
    pub micros: Count,
    /// The decision's record.
    pub of: EventId,
    /// Status of the response.
    pub status: u16,
}

/// An administrator did something, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminAction {
    /// What.
    pub action: Text<128>,
    /// Who.
    pub by: Actor,
    /// Allowed or denied.
    pub decision: Verdict,
    /// Why, in this program's vocabulary.
    pub reason: Code,
    /// To what: a kind of object or an identifier that is no personal data.
    pub resource: Text<256>,
}
