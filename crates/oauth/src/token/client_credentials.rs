//! Grant `client_credentials` (RFC 6749 §4.4): a confidential client's own registered scopes and audiences, and nothing else.

use super::{Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, registered};
use crate::authorization_details;
use crate::change::Standing;
use crate::client::{ClientRecord, Confidentiality, GrantType};
use crate::error::OAuthError;
use crate::issuance::{Issuance, Parts, TokenSubject};
use crate::parameter;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{Audience, Scope, Scopes, UnixTime};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::ClientCredentials,
    parse,
};

/// The parameters of the grant.
pub struct ClientCredentialsRequest {
    /// What is asked for; absent means all registered scopes (RFC 6749 §3.3).
    pub scopes: Option<Scopes>,
    /// For whom; absent means the only registered audience.
    pub resource: Option<Audience>,
    /// Authorization details for itself (RFC 9396 §6).
    pub authorization_details: AuthorizationDetails,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    Ok(TokenRequest::ClientCredentials(ClientCredentialsRequest {
        scopes: parameter::scopes(form)?,
        resource: parameter::resource(form)?,
        authorization_details: authorization_details::parameter(form)?,
    }))
}

impl ClientCredentialsRequest {
    /// Judges the request against the client's registration.
    ///
    /// # Errors
    /// Anything that is not registered (A34).
    pub fn redeem(
        &self,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let client = registered(standing, requester, GrantType::ClientCredentials)?;
        if client.confidentiality() == Confidentiality::Public {
            return Err(OAuthError::PublicClient.into());
        }
        requester
            .tenant
            .detail_types
            .check(&self.authorization_details, client)?;
        let audience = registered_audience(self.resource.as_ref(), client)?;
        let issuance = Issuance::access_token(
            Parts {
                tenant: requester.tenant,
                client,
                grant_type: GrantType::ClientCredentials,
                grant: fresh.grant,
                subject: TokenSubject::Client(client.id.clone()),
                scopes: self.scopes(client)?,
                audience,
                binding: requester.binding.clone(),
                not_after: now.plus(client.access_token_lifetime()),
                details: self.authorization_details.clone(),
                token_id: fresh.token_id,
            },
            now,
        );
        Ok(Redeemed {
            issuance,
            changes: Vec::new(),
        })
    }

    /// `openid` speaks of a person; there is none here.
    fn scopes(&self, client: &ClientRecord) -> Result<Scopes, OAuthError> {
        let of_people = |scope: &Scope| {
            matches!(
                scope.as_str(),
                "openid" | "profile" | "email" | "address" | "phone" | "offline_access"
            )
        };
        match &self.scopes {
            None if !self.authorization_details.is_empty() => Ok(Scopes::none()),
            None => Ok(client
                .scopes
                .iter()
                .filter(|scope| !of_people(scope))
                .cloned()
                .collect()),
            Some(asked) if asked.iter().any(of_people) || !asked.is_subset(&client.scopes) => {
                Err(OAuthError::ScopeNotPermitted)
            }
            Some(asked) => Ok(asked.clone()),
        }
    }
}

/// The audience named if it is registered, or the only registered one.
pub(super) fn registered_audience(
    asked: Option<&Audience>,
    client: &ClientRecord,
) -> Result<Audience, OAuthError> {
    match (
        asked,
        client.audiences.len(),
        client.audiences.iter().next(),
    ) {
        (Some(asked), _, _) if client.audiences.contains(asked) => Ok(asked.clone()),
        (Some(_), _, _) => Err(OAuthError::AudienceNotPermitted),
        (None, 1, Some(only)) => Ok(only.clone()),
        (None, _, _) => Err(OAuthError::AudienceMissing),
    }
}

#[cfg(test)]
mod tests;
