//! What the browser says it was asked (WebAuthn §5.8.1): the ceremony, the challenge and the origin, under the authenticator's signature.

use super::{Challenge, RelyingParty, WebauthnError};
use serde::Deserialize;

/// Which ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<String>,
}

impl ClientData {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WebauthnError> {
        serde_json::from_slice(bytes).map_err(|_| WebauthnError::ClientData)
    }

    pub(super) fn challenge(self) -> Result<Challenge, WebauthnError> {
        Challenge::try_from(self.challenge).map_err(|_| WebauthnError::ClientData)
    }

    pub(super) fn check(
        self,
        ceremony: Ceremony,
        party: &RelyingParty,
        challenge: &Challenge,
    ) -> Result<(), WebauthnError> {
        if self.kind != ceremony.name() {
            return Err(WebauthnError::WrongCeremony);
        }
        // The pages are never framed, so a response from inside another page is not one of ours.
        if self.origin != party.origin || self.cross_origin || self.top_origin.is_some() {
            return Err(WebauthnError::Origin);
        }
        if self.challenge()? == *challenge {
            Ok(())
        } else {
            Err(WebauthnError::Challenge)
        }
    }
}
