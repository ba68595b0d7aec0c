//! Grant `jwt-bearer` (RFC 7523 §2.1), and with it the receiving side of identity assertion grants (draft-ietf-oauth-identity-assertion-authz-grant).
//!
//! `authn` has verified the assertion and said which of our people it is about; the transaction has spent it. What is left: the person may still do
//! something, scope and audience lie within the client's registration and within what the assertion is limited to, and a policy permits it. No refresh token
//! comes of it: whoever needs another access token brings another assertion (§ 4.4.2 of the draft).
//!
//! Not here: `openid`. The person signed in somewhere else, and there is no session to speak of.

use super::{Fresh, GrantEntry, Redeemed, Refused, Requester, TokenRequest, registered};
use crate::change::{Change, Standing, Taken};
use crate::client::{ClientRecord, Confidentiality, GrantType};
use crate::error::OAuthError;
use crate::grant::GrantRecord;
use crate::issuance::{Issuance, Parts, TokenSubject, UserSubject};
use crate::parameter;
use crate::particulars::Particulars;
use crate::user::ResolvedUser;
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_authn::assertion::GrantAssertion;
use countersign_base::{Audience, Scope, Scopes, Secret, UnixTime, limits};

pub(super) const ENTRY: GrantEntry = GrantEntry {
    grant: GrantType::JwtBearer,
    parse,
};

/// The parameters of the grant.
pub struct JwtBearerRequest {
    /// The assertion; the shell has `authn` verify it.
    pub assertion: Secret<String>,
    /// What is asked for; absent means everything that registration and assertion share.
    pub scopes: Option<Scopes>,
    /// For whom.
    pub resource: Option<Audience>,
}

fn parse(form: &Form) -> Result<TokenRequest, OAuthError> {
    let assertion = form
        .get("assertion")
        .ok_or(OAuthError::ParameterMissing("assertion"))?;
    if assertion.len() > limits::TOKEN_BYTES_MAX {
        return Err(OAuthError::AssertionRefused("assertion_too_long"));
    }
    Ok(TokenRequest::JwtBearer(JwtBearerRequest {
        assertion: Secret::new(assertion.to_owned()),
        scopes: parameter::scopes(form)?,
        resource: parameter::resource(form)?,
    }))
}

impl JwtBearerRequest {
    /// Judges an assertion that the surrounding transaction spends.
    ///
    /// # Errors
    /// Anything that would make the token wider than assertion ∩ registration, and a person who may not.
    pub fn redeem(
        &self,
        taken: Taken<GrantAssertion>,
        standing: &Standing,
        requester: &Requester<'_>,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<Redeemed, Refused> {
        let client = registered(standing, requester, GrantType::JwtBearer)?;
        if client.confidentiality() == Confidentiality::Public {
            return Err(OAuthError::PublicClient.into());
        }
        let assertion = match taken {
            Taken::Fresh(assertion) if now < assertion.expires => assertion,
            Taken::Fresh(_) => return Err(OAuthError::AssertionRefused("assertion_expired").into()),
            Taken::Spent(_) => return Err(OAuthError::AssertionReplayed.into()),
            Taken::Unknown => {
                return Err(OAuthError::AssertionRefused("assertion_unknown").into());
            }
        };
        let person = standing
            .user
            .as_ref()
            .filter(|person| person.user.username == assertion.user && person.user.enabled)
            .ok_or(OAuthError::UserDisabled)?;
        let audience = self.audience(&assertion, client)?;
        let scopes = self.scopes(&assertion, client)?;
        Ok(issued(
            &assertion, client, person, scopes, audience, requester, fresh, now,
        ))
    }

    /// The audience named, else the only one that the assertion is limited to, else the only one registered.
    fn audience(
        &self,
        assertion: &GrantAssertion,
        client: &ClientRecord,
    ) -> Result<Audience, OAuthError> {
        let limited = assertion.resources.as_deref();
        let asked = self.resource.as_ref().or(match limited {
            Some([only]) => Some(only),
            Some(_) | None => None,
        });
        let audience = super::client_credentials::registered_audience(asked, client)?;
        if limited.is_none_or(|limited| limited.contains(&audience)) {
            Ok(audience)
        } else {
            Err(OAuthError::AudienceNotPermitted)
        }
    }

    fn scopes(
        &self,
        assertion: &GrantAssertion,
        client: &ClientRecord,
    ) -> Result<Scopes, OAuthError> {
        let of_session =
            |scope: &Scope| matches!(scope.as_str(), "openid" | "profile" | "offline_access");
        let registered: Scopes = client
            .scopes
            .iter()
            .filter(|scope| !of_session(scope))
            .cloned()
            .collect();
        let shared = match &assertion.scopes {
            None => registered,
            Some(limited) => registered.intersection(limited),
        };
        match &self.scopes {
            None if shared.is_empty() && !client.scopes.is_empty() => {
                Err(OAuthError::ScopeNotPermitted)
            }
            None => Ok(shared),
            Some(asked) if asked.is_subset(&shared) => Ok(asked.clone()),
            Some(_) => Err(OAuthError::ScopeNotPermitted),
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is a different fact of one grant; grouping them would only rename them"
)]
fn issued(
    assertion: &GrantAssertion,
    client: &ClientRecord,
    person: &ResolvedUser,
    scopes: Scopes,
    audience: Audience,
    requester: &Requester<'_>,
    fresh: Fresh,
    now: UnixTime,
) -> Redeemed {
    // An issuer that does not say when the person proved who they are has not said that it was lately.
    let auth_time = assertion.auth_time.unwrap_or(UnixTime(0));
    let subject = UserSubject::new(
        person,
        fresh.session,
        crate::authentication::Authentication::untold(auth_time),
        &audience,
        requester.tenant,
    );
    let issuance = Issuance::access_token(
        Parts {
            tenant: requester.tenant,
            client,
            grant_type: GrantType::JwtBearer,
            grant: fresh.grant,
            subject: TokenSubject::User(subject),
            scopes: scopes.clone(),
            audience: audience.clone(),
            binding: requester.binding.clone(),
            not_after: now.plus(client.access_token_lifetime()),
            token_id: fresh.token_id,
            details: AuthorizationDetails::default(),
        },
        now,
    );
    let grant = GrantRecord {
        id: fresh.grant,
        tenant: requester.tenant.name.clone(),
        client: client.id.clone(),
        user: person.user.id,
        session: fresh.session,
        scopes,
        audiences: vec![audience],
        auth_time,
        created: now,
        expires: issuance.expires(),
        revoked: None,
        particulars: Particulars::default(),
        asserted_by: Some(assertion.issuer.clone()),
    };
    Redeemed {
        issuance,
        changes: vec![Change::GrantCreated(grant)],
    }
}

#[cfg(test)]
mod tests;
