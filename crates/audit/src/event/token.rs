//! The token, introspection and revocation endpoints.

use super::decision::{Actor, Verdict};
use crate::text::{Code, Digest, Names, Text};
use countersign_base::{ClientId, GrantId, UserId};
use serde::{Deserialize, Serialize};

/// A token request was answered, with tokens or with an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Who acts for the subject (RFC 8693 §4.1), outermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<128>>,
    /// The audience of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Text<256>>,
    /// The key thumbprint it is bound to (`jkt` or `x5t#S256`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<Text<64>>,
    /// The client, if it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// Salted commitment to the decision's query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Digest>,
    /// Issued or refused.
    pub decision: Verdict,
    /// The protocol's error code, if refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Code>,
    /// The grant it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// `authorization_code`, `refresh_token`, `client_credentials`, `token-exchange`; `unknown` if it was none of them.
    pub grant_type: Code,
    /// The access token's `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Text<64>>,
    /// The policies that decided.
    pub policies: Names,
    /// The reason that the caller does not learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    /// The scopes issued or asked for, space-separated.
    pub scopes: Text<512>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl Token {
    /// An answer of which nothing but the grant type is known yet.
    #[must_use]
    pub fn new(decision: Verdict, grant_type: Code) -> Self {
        Self {
            actor: None,
            aud: None,
            binding: None,
            client: None,
            commitment: None,
            decision,
            error: None,
            grant: None,
            grant_type,
            jti: None,
            policies: Names::none(),
            reason: None,
            scopes: Text::of(""),
            user: None,
        }
    }
}

/// A refresh token was used a second time; its family is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshReused {
    /// Who presented it.
    pub client: ClientId,
    /// The grant that was revoked for it.
    pub grant: GrantId,
    /// On whose behalf it had been issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// A grant was revoked, with every token that came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRevoked {
    /// Who did it.
    pub by: Actor,
    /// The grant.
    pub grant: GrantId,
    /// Why (`requested`, `code_replayed`, `refresh_reused`, `administrator`).
    pub reason: Code,
}

/// What introspection said of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// `active: true`.
    Active,
    /// `active: false`.
    Inactive,
}

/// A token was introspected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspected {
    /// What was answered.
    pub activity: Activity,
    /// Who asked.
    pub client: ClientId,
    /// The token's grant, if the token is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
}

/// A client proved who it is, or failed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAuthentication {
    /// The client, if it is registered: what a stranger typed never stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// Proven or not.
    pub decision: Verdict,
    /// The method tried (`private_key_jwt`).
    pub method: Code,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
}
