//! What a client registers about signing out (OpenID Connect RP-Initiated Logout §3.1, Back-Channel Logout §2.2).

use crate::address::WebAddress;
use crate::redirect::RedirectUri;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where people go after signing out, and where the client hears of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogoutRules {
    /// Where a browser may be sent afterwards; compared as redirect URIs are (R58).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub post_logout_redirect_uris: BTreeSet<RedirectUri>,
    /// Where logout tokens are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_uri: Option<WebAddress>,
    /// Whether logout tokens name the session. Ours always do where there is one.
    #[serde(skip_serializing_if = "is_optional")]
    pub session: SessionInLogoutToken,
}

/// `backchannel_logout_session_required`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionInLogoutToken {
    /// The client can do without `sid`.
    #[default]
    Optional,
    /// The client needs `sid`.
    Required,
}

const fn is_optional(session: &SessionInLogoutToken) -> bool {
    matches!(session, SessionInLogoutToken::Optional)
}
