//! People at the authorization endpoint: sign-in, consent, codes.

use super::Verdict;
use crate::text::{Code, Text};
use countersign_base::{ClientId, GrantId, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// How an attempt to sign in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInOutcome {
    /// The credential was wrong, or the account may not sign in.
    Failed,
    /// A session began.
    SignedIn,
    /// Refused unseen: too many attempts.
    Throttled,
}

/// A person tried to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The client whose request led here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// What was presented (`password`).
    pub method: Code,
    /// How it ended.
    pub outcome: SignInOutcome,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// The session that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Who, if the username is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// A person changed what they prove who they are with, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthenticatorChanged {
    /// What was done (`added`, `changed`, `removed`, `renamed`; `suspended` by too many wrong codes).
    pub change: Code,
    /// Whether it was.
    pub decision: Verdict,
    /// To what (`passkey`, `password`, `recovery_codes`, `totp`).
    pub kind: Code,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// Whose it is.
    pub user: UserId,
}

/// A person signed out, or a session was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOut {
    /// Why (`user`, `expired`, `administrator`).
    pub reason: Code,
    /// The session.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
}

/// The answer to a consent question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAnswer {
    /// Refused.
    Denied,
    /// Allowed.
    Granted,
}

/// A person answered a consent question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// What they said.
    pub answer: ConsentAnswer,
    /// The client that asked.
    pub client: ClientId,
    /// The grant that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// What was asked for, space-separated.
    pub scopes: Text<512>,
    /// Who answered.
    pub user: UserId,
}

/// A valid authorization request arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRequested {
    /// The audience it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Text<256>>,
    /// The client.
    pub client: ClientId,
    /// How it came (`query`, `pushed`).
    pub method: Code,
    /// What it asks for, space-separated.
    pub scopes: Text<512>,
}

/// An authorization request, pushed or direct, was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRefused {
    /// The client, if it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The protocol's error code (`invalid_request`).
    pub error: Code,
    /// The reason that the caller does not learn.
    pub reason: Code,
    /// Who was signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// An authorization code was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeIssued {
    /// The audience the code stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Text<256>>,
    /// To whom.
    pub client: ClientId,
    /// Under which grant.
    pub grant: GrantId,
    /// With which scopes, space-separated.
    pub scopes: Text<512>,
    /// On whose behalf.
    pub user: UserId,
}
