//! Token introspection (RFC 7662): who may ask about which token, and what they are told.
//!
//! Whatever is unknown, expired, revoked, of another tenant or none of the asker's business is the same answer: inactive (§2.2).

use crate::client::{ClientRecord, Confidentiality};
use crate::error::OAuthError;
use crate::refresh::{RefreshFamily, RefreshHandle};
use crate::token::PresentedToken;
use countersign_authn::SubjectId;
use countersign_authn::access_token::{Act, Confirmation};
use countersign_base::{Audience, ClientId, Issuer, Scopes, UnixTime};
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Introspection {
    /// A token that is good now.
    Active(Box<ActiveToken>),
    /// Anything else.
    Inactive(Inactive),
}

/// `{"active": false}` and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Inactive {
    active: bool,
}

/// What the asker is told of a good token (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveToken {
    active: bool,
    /// Its scopes.
    pub scope: Scopes,
    /// Who got it.
    pub client_id: ClientId,
    /// `Bearer`, `DPoP` or, for a refresh token, `refresh_token`.
    pub token_type: &'static str,
    /// When it expires.
    pub exp: UnixTime,
    /// Whom it is about.
    pub sub: SubjectId,
    /// Its audience; absent for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Who issued it.
    pub iss: Issuer,
    /// The key it is bound to. The asker still has to see a proof (INT-5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject.
    #[serde(skip_serializing_if = "Act::is_none")]
    pub act: Act,
}

impl Introspection {
    /// The answer for everything that is not a good token of the asker's.
    #[must_use]
    pub const fn inactive() -> Self {
        Self::Inactive(Inactive { active: false })
    }

    /// Whether it is a good token.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        match self {
            Self::Active(_) => true,
            Self::Inactive(_) => false,
        }
    }

    /// The answer about an access token that was verified and is not revoked.
    #[must_use]
    pub fn of_access_token(
        token: &PresentedToken,
        issuer: &Issuer,
        asker: &ClientRecord,
        now: UnixTime,
    ) -> Self {
        let concerned = asker.serves.contains(&token.audience) || asker.id == token.client;
        if !concerned || now >= token.expires {
            return Self::inactive();
        }
        Self::Active(Box::new(ActiveToken {
            active: true,
            scope: token.scopes.clone(),
            client_id: token.client.clone(),
            token_type: token.binding.token_type(),
            exp: token.expires,
            sub: token.subject.id(),
            aud: Some(token.audience.clone()),
            iss: issuer.clone(),
            cnf: token.binding.confirmation(),
            act: token.actors.clone(),
        }))
    }

    /// The answer about a refresh token: only its own client learns anything.
    #[must_use]
    pub fn of_refresh_token(
        handle: RefreshHandle,
        family: &RefreshFamily,
        issuer: &Issuer,
        asker: &ClientRecord,
        now: UnixTime,
    ) -> Self {
        let live = family.id == handle.family()
            && family.generation == handle.generation()
            && family.revoked.is_none()
            && now < family.expires;
        if !live || family.client != asker.id || family.tenant != asker.tenant {
            return Self::inactive();
        }
        Self::Active(Box::new(ActiveToken {
            active: true,
            scope: family.scopes.clone(),
            client_id: family.client.clone(),
            token_type: "refresh_token",
            exp: family.expires,
            sub: SubjectId::User(family.user),
            aud: None,
            iss: issuer.clone(),
            cnf: family.binding.confirmation(),
            act: Act::none(),
        }))
    }
}

/// Whether a client may ask at all: only one that authenticates (RFC 7662 §2.1).
///
/// # Errors
/// A public client.
pub fn check_asker(client: &ClientRecord) -> Result<(), OAuthError> {
    match client.confidentiality() {
        Confidentiality::Confidential => Ok(()),
        Confidentiality::Public => Err(OAuthError::PublicClient),
    }
}

#[cfg(test)]
mod tests;
