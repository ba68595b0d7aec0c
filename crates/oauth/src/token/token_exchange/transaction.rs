//! Transaction tokens (draft-ietf-oauth-transaction-tokens §7): what a call chain is about, told inside a trust domain to workloads that are registered for it.
//!
//! The first workload exchanges the access token that it received; what it says of the transaction stays as it is to the end. A workload further on may
//! replace the token by one that allows less: the same transaction, subject, context and trust domain, scopes within, never a later end.

use super::{Exchange, PresentedToken};
use crate::binding::Binding;
use crate::claims;
use crate::error::OAuthError;
use crate::issuance::{Issuance, Issued, Manner, TokenSubject};
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_authn::transaction::{TransactionTokenClaims, WORKLOADS_MAX};
use countersign_base::{Bounded, Duration, UnixTime};
use countersign_crypto::base64url;
use serde_json::{Map, Value};

/// How long a transaction token lives: one call chain.
pub const TRANSACTION_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Bytes of `request_context` and of `request_details`.
const CONTEXT_BYTES_MAX: usize = 2048;
/// How deep either may be nested.
const CONTEXT_DEPTH_MAX: usize = 4;

/// A JSON object, as it stands or in base64url.
pub(super) fn context(form: &Form, name: &'static str) -> Result<Map<String, Value>, OAuthError> {
    let malformed = OAuthError::ParameterMalformed(name);
    let Some(text) = form.get(name) else {
        return Ok(Map::new());
    };
    if text.len() > 2 * CONTEXT_BYTES_MAX {
        return Err(malformed);
    }
    let json = if text.starts_with('{') {
        text.as_bytes().to_vec()
    } else {
        base64url::decode(text).map_err(|_| malformed)?
    };
    if json.len() > CONTEXT_BYTES_MAX {
        return Err(malformed);
    }
    let object: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| malformed)?;
    if object
        .values()
        .any(|value| depth(value) >= CONTEXT_DEPTH_MAX)
    {
        return Err(malformed);
    }
    Ok(object)
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(members) => members.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    below.unwrap_or(0).saturating_add(1)
}

impl Exchange<'_> {
    pub(super) fn transaction_token(
        &self,
        actor: Option<&PresentedToken>,
    ) -> Result<Issuance, OAuthError> {
        if self.request.actor_token.is_some() || actor.is_some() {
            return Err(OAuthError::ActorTokenRefused);
        }
        if self.request.resource.is_some() {
            return Err(OAuthError::AudienceRepeated);
        }
        let audience = self
            .request
            .audience
            .clone()
            .ok_or(OAuthError::AudienceMissing)?;
        let domain_kept = match &self.basis.transaction {
            Some(replaced) => replaced.aud == audience,
            None => true,
        };
        if !domain_kept || !self.client.delegation.trust_domains.contains(&audience) {
            return Err(OAuthError::AudienceNotPermitted);
        }
        // A transaction is about something: its purpose is named, never everything.
        let scopes = match &self.request.scopes {
            None => return Err(OAuthError::ParameterMissing("scope")),
            Some(asked) if asked.is_subset(&self.basis.scopes) => asked.clone(),
            Some(_) => return Err(OAuthError::ScopeNotPermitted),
        };
        let not_after = self
            .basis
            .expires
            .min(self.now.plus(TRANSACTION_TOKEN_LIFETIME));
        let mut issuance =
            self.issuance(audience, scopes, AuthorizationDetails::none(), not_after)?;
        let claims = match &self.basis.transaction {
            Some(replaced) => self.replaced(replaced, &issuance)?,
            None => self.begun(&issuance)?,
        };
        issuance.actor = (!claims.act.is_none()).then(|| claims.act.clone());
        issuance.may_act = None;
        // It is no credential, so no key is bound to it; that a bound subject token came with a key was checked.
        issuance.binding = Binding::Bearer;
        issuance.issued_as = Issued::TransactionToken(Box::new(claims));
        issuance.exchanged = Some(self.exchanged(Manner::Transaction));
        Ok(issuance)
    }

    fn begun(&self, issuance: &Issuance) -> Result<TransactionTokenClaims, OAuthError> {
        let jti = claims::jti(&issuance.token_id);
        let (sid, auth_time): (_, Option<UnixTime>) = match &issuance.subject {
            TokenSubject::Client(_) => (None, None),
            TokenSubject::User(person) => (Some(person.session), Some(person.authentication.time)),
        };
        Ok(TransactionTokenClaims {
            iss: issuance.issuer.clone(),
            aud: issuance.audience.clone(),
            iat: issuance.issued,
            exp: issuance.expires,
            txn: Bounded::parse(jti.as_str()).map_err(|_| OAuthError::ParameterMalformed("txn"))?,
            jti,
            sub: Bounded::parse(&issuance.subject.id().to_string())
                .map_err(|_| OAuthError::SubjectTokenRefused)?,
            scope: issuance.scopes.clone(),
            req_wl: workloads(self.client.id.as_str())?,
            act: self.basis.actors.clone(),
            rctx: self.request.request_context.clone(),
            tctx: self.request.request_details.clone(),
            grant_id: issuance.grant,
            sid,
            auth_time,
        })
    }

    /// Draft §7.5: what the first workload said stays; only the purpose may become narrower.
    fn replaced(
        &self,
        replaced: &TransactionTokenClaims,
        issuance: &Issuance,
    ) -> Result<TransactionTokenClaims, OAuthError> {
        for (name, said) in [
            ("request_context", &self.request.request_context),
            ("request_details", &self.request.request_details),
        ] {
            if !said.is_empty() {
                return Err(OAuthError::ParameterMalformed(name));
            }
        }
        if replaced.workloads().count() >= WORKLOADS_MAX {
            return Err(OAuthError::ActorChainTooLong);
        }
        Ok(TransactionTokenClaims {
            iat: issuance.issued,
            exp: issuance.expires,
            jti: claims::jti(&issuance.token_id),
            scope: issuance.scopes.clone(),
            req_wl: workloads(&format!("{},{}", replaced.req_wl, self.client.id))?,
            act: self.basis.actors.clone(),
            ..replaced.clone()
        })
    }
}

fn workloads(text: &str) -> Result<Bounded<1100>, OAuthError> {
    Bounded::parse(text).map_err(|_| OAuthError::ActorChainTooLong)
}

#[cfg(test)]
mod tests;
