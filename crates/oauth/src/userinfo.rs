//! Userinfo (OpenID Connect Core §5.3): the one place where a client may learn a person's name, and only with scope `profile`.

use crate::user::UserRecord;
use countersign_base::{Scopes, UserId, Username};
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// The same `sub` as in the ID token.
    pub sub: UserId,
    /// With scope `profile` (OpenID Connect Core §5.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<Username>,
}

impl UserInfo {
    /// What these scopes release.
    #[must_use]
    pub fn of(user: &UserRecord, scopes: &Scopes) -> Self {
        let profile = scopes.iter().any(|scope| scope.as_str() == "profile");
        Self {
            sub: user.id,
            preferred_username: profile.then(|| user.username.clone()),
        }
    }
}
