//! Requests that a person answers on another device: the device grant (RFC 8628) and CIBA.

use crate::text::{Code, Names, Text};
use countersign_base::{ClientId, GrantId, UserId};
use serde::{Deserialize, Serialize};

/// A client asked, and waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoupledRequested {
    /// The audience it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Text<256>>,
    /// The client.
    pub client: ClientId,
    /// How it came (`device`, `ciba`).
    pub flow: Code,
    /// The grant that would begin.
    pub grant: GrantId,
    /// What it asks for, space-separated.
    pub scopes: Text<512>,
    /// Who is asked, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// What came of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecoupledAnswer {
    /// The person allowed it.
    Allowed,
    /// The person denied it.
    Denied,
    /// It was not theirs to answer, or a policy denies what they would have allowed.
    Refused,
}

/// A person answered a request, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoupledAnswered {
    /// What came of it.
    pub answer: DecoupledAnswer,
    /// The client that asked.
    pub client: ClientId,
    /// How it came (`device`, `ciba`).
    pub flow: Code,
    /// The grant that begins, or would have.
    pub grant: GrantId,
    /// The policies that decided.
    pub policies: Names,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// What was asked for, space-separated.
    pub scopes: Text<512>,
    /// Who answered.
    pub user: UserId,
}

/// Somebody typed a user code that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCodeRefused {
    /// Why (`unknown`, `malformed`, `answered`, `too_many_attempts`).
    pub reason: Code,
    /// Who was signed in.
    pub user: UserId,
}
