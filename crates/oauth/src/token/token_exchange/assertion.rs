//! Identity assertions for another authorization server (draft-ietf-oauth-identity-assertion-authz-grant §4): who signed in here, told to a server that trusts us,
//! which then decides by itself what its own token allows.
//!
//! Which servers a client may ask for, by which identifier it is known there and what may be asserted is registered for the client; policy decides
//! (`assert_identity`). Not here: taking such assertions from others.

use super::{Exchange, PresentedToken};
use crate::authorize::is_openid;
use crate::binding::Binding;
use crate::claims;
use crate::client::delegation::AssertionTarget;
use crate::error::OAuthError;
use crate::issuance::{Issuance, Issued, Manner, TokenSubject};
use countersign_authn::SubjectId;
use countersign_authn::access_token::{AuthorizationDetails, Confirmation};
use countersign_base::{Audience, Bounded, Duration, Issuer, Scopes, UnixTime};
use serde::Serialize;

/// How long an assertion lives: it is used once, at once.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);

/// The claims of an identity assertion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdentityAssertionClaims {
    /// We.
    pub iss: Issuer,
    /// Who signed in.
    pub sub: SubjectId,
    /// The authorization server that it is for.
    pub aud: Issuer,
    /// The client, as that server knows it.
    pub client_id: Bounded<255>,
    /// Its name.
    pub jti: Bounded<256>,
    /// When it expires.
    pub exp: UnixTime,
    /// When it was made.
    pub iat: UnixTime,
    /// The resource that the client wants to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Audience>,
    /// What the client wants to do there.
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    pub scope: Scopes,
    /// When the person signed in.
    pub auth_time: UnixTime,
    /// The key that the client proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

impl Exchange<'_> {
    pub(super) fn identity_assertion(
        &self,
        actor: Option<&PresentedToken>,
    ) -> Result<Issuance, OAuthError> {
        if self.request.actor_token.is_some() || actor.is_some() {
            return Err(OAuthError::ActorTokenRefused);
        }
        // Whoever did not ask for an identity has none to assert.
        if !is_openid(&self.basis.scopes) {
            return Err(OAuthError::ScopeNotPermitted);
        }
        let audience = self
            .request
            .audience
            .clone()
            .ok_or(OAuthError::AudienceMissing)?;
        let (server, target) = self
            .client
            .delegation
            .assertions
            .iter()
            .find(|(server, _)| server.as_str() == audience.as_str())
            .ok_or(OAuthError::AudienceNotPermitted)?;
        let scopes = self.asserted_scopes(target)?;
        let resource = self.asserted_resource(target)?;
        let not_after = self.basis.expires.min(self.now.plus(ASSERTION_LIFETIME));
        let mut issuance =
            self.issuance(audience, scopes, AuthorizationDetails::none(), not_after)?;
        let TokenSubject::User(person) = &issuance.subject else {
            return Err(OAuthError::SubjectTokenRefused);
        };
        let claims = IdentityAssertionClaims {
            iss: issuance.issuer.clone(),
            sub: issuance.subject.id(),
            aud: server.clone(),
            client_id: target.client_id.clone(),
            jti: claims::jti(&issuance.token_id),
            exp: issuance.expires,
            iat: issuance.issued,
            resource,
            scope: issuance.scopes.clone(),
            auth_time: person.authentication.time,
            cnf: issuance.binding.confirmation(),
        };
        // The key is in the assertion; the answer itself is no token that anybody presents with a proof.
        issuance.binding = Binding::Bearer;
        issuance.issued_as = Issued::IdentityAssertion(Box::new(claims));
        issuance.exchanged = Some(self.exchanged(Manner::Assertion));
        Ok(issuance)
    }

    /// The scopes are the other server's: those that the client is registered to ask for there.
    fn asserted_scopes(&self, target: &AssertionTarget) -> Result<Scopes, OAuthError> {
        match &self.request.scopes {
            None => Ok(target.scopes.clone()),
            Some(asked) if asked.is_subset(&target.scopes) => Ok(asked.clone()),
            Some(_) => Err(OAuthError::ScopeNotPermitted),
        }
    }

    fn asserted_resource(&self, target: &AssertionTarget) -> Result<Option<Audience>, OAuthError> {
        match &self.request.resource {
            None => Ok(None),
            Some(asked) if target.resources.contains(asked) => Ok(Some(asked.clone())),
            Some(_) => Err(OAuthError::AudienceNotPermitted),
        }
    }
}

#[cfg(test)]
mod tests;
