//! Userinfo (OpenID Connect Core §5.3): beside the ID token the one place where a client may learn of a person, and only what they allowed.
//!
//! What is told follows from the scopes of the token that is shown (§5.4), and from the single claims that the grant holds (§5.5) if the token is of the
//! client that the grant was given to: a token that was exchanged carries nobody else's consent.

use crate::claims_request::of_scopes;
use crate::grant::GrantRecord;
use crate::subject_identifier::SubjectIdentifier;
use crate::user::UserRecord;
use countersign_base::{ClientId, Issuer, Scopes};
use serde::Serialize;
use serde_json::{Map, Value};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// The same `sub` as in the ID token.
    pub sub: SubjectIdentifier,
    /// What the person allowed, as far as it is known.
    #[serde(flatten)]
    pub claims: Map<String, Value>,
}

impl UserInfo {
    /// What a token of `client` with these scopes and of this grant releases.
    #[must_use]
    pub fn of(
        user: &UserRecord,
        sub: SubjectIdentifier,
        scopes: &Scopes,
        grant: Option<&GrantRecord>,
        client: &ClientId,
    ) -> Self {
        let mut claims = of_scopes(scopes);
        if let Some(grant) = grant.filter(|grant| &grant.client == client && grant.user == user.id)
        {
            claims.extend(grant.particulars.claims.userinfo.iter().copied());
        }
        Self {
            sub,
            claims: user.claims(claims),
        }
    }
}

/// The claims of signed userinfo (§5.3.2): who says it, to whom, and what plain userinfo says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserInfoClaims<'a> {
    /// Who answers.
    pub iss: &'a Issuer,
    /// The client that asked.
    pub aud: &'a ClientId,
    /// The answer.
    #[serde(flatten)]
    pub told: &'a UserInfo,
}

/// The media type of signed userinfo.
pub const SIGNED_MEDIA_TYPE: &str = "application/jwt";

#[cfg(test)]
mod tests;
