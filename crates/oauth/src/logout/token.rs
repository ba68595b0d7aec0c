//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4): the person's session at this server is over.
//!
//! They have a type of their own, name the event, never hold a nonce, and live for two minutes (R59). Signing is `control::mint`'s.

use crate::subject_identifier::SubjectIdentifier;
use countersign_base::{ClientId, Duration, Issuer, SessionId, UnixTime};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// How long a logout token is good.
pub const LOGOUT_TOKEN_LIFETIME: Duration = Duration::from_secs(120);

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The claims of a logout token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogoutTokenClaims {
    /// Who says it.
    pub iss: Issuer,
    /// Whose session it was, as the client knows them.
    pub sub: SubjectIdentifier,
    /// To whom it is said.
    pub aud: ClientId,
    /// When it was said.
    pub iat: UnixTime,
    /// Until when it counts.
    pub exp: UnixTime,
    /// Which saying this is: the same for every attempt to deliver it.
    pub jti: String,
    /// The session, where the client's ID tokens name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// What happened.
    pub events: LoggedOut,
}

impl LogoutTokenClaims {
    /// The claims of a token that is sent now.
    #[must_use]
    pub fn new(
        iss: Issuer,
        aud: ClientId,
        sub: SubjectIdentifier,
        sid: Option<SessionId>,
        jti: String,
        now: UnixTime,
    ) -> Self {
        Self {
            iss,
            sub,
            aud,
            iat: now,
            exp: now.plus(LOGOUT_TOKEN_LIFETIME),
            jti,
            sid,
            events: LoggedOut,
        }
    }
}

/// The one event of a logout token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedOut;

impl Serialize for LoggedOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut events = serializer.serialize_map(Some(1))?;
        events.serialize_entry(EVENT, &serde_json::Map::new())?;
        events.end()
    }
}
