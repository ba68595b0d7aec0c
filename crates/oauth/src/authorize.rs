//! The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): from a form to a checked value, or to the right kind of refusal.
//!
//! The order decides who learns of a mistake: until client and redirect URI are known to belong together the answer is a page ([`PageError`]), afterwards it is a
//! redirect ([`ErrorResponse`]). Only [`ReturnAddress`] can be redirected to, and only [`ReturnAddress::find`] makes one (R1, R2, R5).
//!
//! A request may come as a signed object ([`Parameters`]); then nothing else counts.
//!
//! Not here: response types other than `code`, response modes that use a fragment.

mod interaction;
mod request_object;
mod response;

pub use crate::authorization_request::{
    AuthorizationRequest, NONCE_BYTES_MAX, Prompt, STATE_BYTES_MAX,
};
pub use interaction::{Approved, Beginning, ConsentQuestion, NextStep, SignInReason, next_step};
pub use request_object::{
    Parameters, REQUEST_OBJECT_CONTENT, REQUEST_OBJECT_KEY_MANAGEMENT, REQUEST_OBJECT_LIFETIME_MAX,
    RequestObjectFlaw,
};
pub use response::{
    AuthorizationResponse, Delivery, Prepared, ResponseClaims, ResponseOrder, ReturnAddress,
    SIGNED_RESPONSE_LIFETIME,
};

use crate::authentication::Acr;
use crate::claims_request::ClaimsRequest;
use crate::client::{ClientRecord, GrantType, PushedRequestRule, SignedRequestRule};
use crate::error::OAuthError;
use crate::parameter::{self, optional, required};
use crate::particulars::Particulars;
use crate::pkce::CodeChallenge;
use crate::security_profile::{Demand, SecurityProfile};
use crate::tenant::TenantRecord;
use countersign_authn::Form;
use countersign_base::{Audience, Bounded, Scope, Scopes};
use std::collections::BTreeSet;

/// A refusal that must not be redirected: whoever sent the browser is not known to be the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Policy denies a person something on their own pages.
    #[error("account page denied by policy")]
    AccountDenied,
    /// The `client_id` is missing or not a client.
    #[error("client unknown or disabled")]
    ClientUnknown,
    /// The person came too late or twice.
    #[error("interaction expired or already finished")]
    InteractionOver,
    /// A form that was not made for this browser.
    #[error("form not made for this browser")]
    ForeignForm,
    /// The query or form does not parse, or repeats a parameter.
    #[error("request malformed")]
    Malformed,
    /// Policy denies a person what they want on a partner's page, or they belong to none.
    #[error("partner page denied")]
    PartnerDenied,
    /// Not registered, or absent while several are (AR-1 to 6).
    #[error("redirect_uri not registered")]
    RedirectUri,
    /// A request object that does not hold, and nowhere to say so.
    #[error("request object refused: {0}")]
    RequestObject(OAuthError),
    /// PAR-6 to 9; the client learns nothing because nothing says it is the client.
    #[error("request_uri refused: {0}")]
    RequestUri(OAuthError),
    /// Nothing but the account's own password or passkey may do this (A53).
    #[error("primary factor needed")]
    PrimaryFactorNeeded,
    /// Policy asks for a factor that the person does not have.
    #[error("second factor missing")]
    SecondFactorMissing,
    /// Policy does not let the person in.
    #[error("sign-in denied by policy")]
    SignInDenied,
    /// The server cannot answer now.
    #[error("temporarily unavailable")]
    Unavailable,
    /// What came from another identity provider is not believed.
    #[error("upstream sign-in failed")]
    UpstreamFailed,
    /// The identity would need an account whose name, or be linked to an account which, is somebody else's.
    #[error("upstream identity belongs elsewhere")]
    UpstreamNameTaken,
    /// The identity has no account here.
    #[error("upstream identity without an account")]
    UpstreamNobody,
    /// The other identity provider does not answer.
    #[error("upstream unavailable")]
    UpstreamUnavailable,
}

impl PageError {
    /// What the person reads.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::AccountDenied => {
                "This is not allowed for your account. Ask whoever runs this service."
            }
            Self::ClientUnknown => {
                "The application that sent you here is not known. Go back to it and try again, or tell whoever runs it."
            }
            Self::ForeignForm => {
                "This page was not opened in this browser, or cookies are switched off. Go back to the application and start again."
            }
            Self::InteractionOver => {
                "This sign-in took too long or was finished before. Go back to the application and start again."
            }
            Self::Malformed | Self::RequestObject(_) => {
                "The application sent a request that cannot be understood. Tell whoever runs it."
            }
            Self::PartnerDenied => {
                "Your account may not do this for a partner here. Nothing was changed. Ask whoever runs this service."
            }
            Self::RedirectUri => {
                "The application asked for an answer at an address that it has not registered. Nothing was sent there. Tell whoever runs it."
            }
            Self::RequestUri(_) => {
                "This sign-in request has expired or was used before. Go back to the application and start again."
            }
            Self::PrimaryFactorNeeded => {
                "Sign out, sign in with your password or a passkey of this account, and try again. Nothing was changed."
            }
            Self::SecondFactorMissing => {
                "Signing in here takes a second factor that your account does not have. Ask whoever runs this service."
            }
            Self::SignInDenied => {
                "Signing in to your account is not allowed from here or at this time. Ask whoever runs this service."
            }
            Self::UpstreamFailed => {
                "Signing in by the other provider did not work. Go back to where you came from and start again."
            }
            Self::UpstreamNameTaken => {
                "Another account here stands in the way. If it is yours, sign in to it and link the provider on your account page."
            }
            Self::UpstreamNobody => {
                "No account here is open to that identity. Sign in another way and link the provider on your account page, or ask whoever runs this service."
            }
            Self::UpstreamUnavailable => {
                "The other provider does not answer at the moment. Try again in a few minutes, or sign in another way."
            }
            Self::Unavailable => {
                "Signing in is not possible at the moment. Try again in a few minutes."
            }
        }
    }
}

/// How a request reached the authorization endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Its parameters came with the browser.
    Browser,
    /// It was pushed (RFC 9126).
    Pushed,
}

impl AuthorizationRequest {
    /// Checks a request whose return address is known.
    ///
    /// # Errors
    /// The first thing that is wrong; it goes to the return address, or into the PAR response.
    pub fn parse(
        parameters: &Parameters<'_>,
        client: &ClientRecord,
        address: &ReturnAddress,
        tenant: &TenantRecord,
        via: Via,
    ) -> Result<Self, OAuthError> {
        check_manner(parameters, client, tenant, via)?;
        let form = parameters.form();
        if form.get("request_uri").is_some() {
            return Err(OAuthError::RequestUriPushed);
        }
        match form.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(OAuthError::ResponseType),
            None => return Err(OAuthError::ParameterMissing("response_type")),
        }
        let response_mode = response::requested_mode(form)
            .filter(|mode| response::mode_admitted(*mode, address.target(), client, tenant))
            .ok_or(OAuthError::ResponseMode)?;
        if !client.grants.contains(&GrantType::AuthorizationCode) {
            return Err(OAuthError::GrantTypeNotRegistered);
        }
        let details = tenant.detail_types.requested(form, client)?;
        let scopes = scopes(form, client)?;
        let audiences = audiences(form, client, tenant, &scopes)?;
        let particulars = Particulars {
            claims: claims(form, client, &scopes)?,
            authorization_details: details,
        };
        Ok(Self {
            client: client.id.clone(),
            redirect_uri: address.target().clone(),
            redirect_uri_sent: form.get("redirect_uri").is_some(),
            response_mode,
            challenge: challenge(form)?,
            state: address.state().cloned(),
            nonce: nonce(form)?,
            prompt: prompt(form)?,
            max_age: optional(form, "max_age")?,
            acr_values: acr_values(form)?,
            dpop_jkt: optional(form, "dpop_jkt")?,
            scopes,
            audiences,
            particulars,
        })
    }

    /// Checks a request that was stored against the client's registration as it is now.
    ///
    /// # Errors
    /// The redirect URI, a scope or an audience is no longer the client's.
    pub fn still_allowed(
        &self,
        client: &ClientRecord,
        tenant: &TenantRecord,
    ) -> Result<(), StaleRequest> {
        let address = crate::redirect::find(
            &client.redirect_uris,
            client.application,
            Some(self.redirect_uri.as_str()),
        );
        let address = address.filter(|target| response::transport_admitted(target, client, tenant));
        if address.is_none() || client.id != self.client || !client.enabled {
            return Err(StaleRequest::Address);
        }
        if !client.grants.contains(&GrantType::AuthorizationCode) {
            return Err(StaleRequest::Parameters(OAuthError::GrantTypeNotRegistered));
        }
        if !response::mode_admitted(self.response_mode, &self.redirect_uri, client, tenant) {
            return Err(StaleRequest::Parameters(OAuthError::ResponseMode));
        }
        if !self.scopes.is_subset(&client.scopes) {
            return Err(StaleRequest::Parameters(OAuthError::ScopeNotPermitted));
        }
        let own = tenant.own_audience();
        let permitted = |audience: &Audience| {
            client.audiences.contains(audience) || own.as_ref() == Some(audience)
        };
        if !self.audiences.iter().all(permitted) {
            return Err(StaleRequest::Parameters(OAuthError::AudienceNotPermitted));
        }
        tenant
            .detail_types
            .check(&self.particulars.authorization_details, client)
            .map_err(StaleRequest::Parameters)
    }
}

/// Whether the request came in the manner that the client and its profile are held to: pushed, signed, with its redirect URI.
fn check_manner(
    parameters: &Parameters<'_>,
    client: &ClientRecord,
    tenant: &TenantRecord,
    via: Via,
) -> Result<(), OAuthError> {
    let profile = SecurityProfile::of(client, tenant);
    let push = client.pushed_requests == PushedRequestRule::Required
        || profile.demands(Demand::PushedRequest);
    if push && via == Via::Browser {
        return Err(OAuthError::PushRequired);
    }
    let sign = client.request_rules.signed_requests == SignedRequestRule::Required
        || profile.demands(Demand::SignedRequest);
    match parameters {
        Parameters::Signed(_) => {}
        Parameters::Plain(form) if form.get("request").is_some() => {
            return Err(OAuthError::RequestObject);
        }
        Parameters::Plain(_) if sign => return Err(OAuthError::SignedRequestRequired),
        Parameters::Plain(_) => {}
    }
    if profile.demands(Demand::RedirectUriNamed) && parameters.form().get("redirect_uri").is_none()
    {
        return Err(OAuthError::ParameterMissing("redirect_uri"));
    }
    Ok(())
}

/// Why a stored request no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleRequest {
    /// The answer has nowhere to go: a page.
    Address,
    /// The answer says so: a redirect.
    Parameters(OAuthError),
}

/// The scope that makes a request an OpenID Connect one.
#[must_use]
pub fn is_openid(scopes: &Scopes) -> bool {
    scopes
        .iter()
        .any(|scope: &Scope| scope.as_str() == "openid")
}

/// The scopes asked for; all registered ones when neither scopes nor authorization details are named (RFC 6749 §3.3, RFC 9396 §3).
pub(crate) fn scopes(form: &Form, client: &ClientRecord) -> Result<Scopes, OAuthError> {
    let Some(asked) = parameter::scopes(form)? else {
        return Ok(if form.contains("authorization_details") {
            Scopes::none()
        } else {
            client.scopes.clone()
        });
    };
    if asked.is_subset(&client.scopes) {
        Ok(asked)
    } else {
        Err(OAuthError::ScopeNotPermitted)
    }
}

/// The audience asked for, or the only registered one, and the tenant's own beside it for `openid`.
pub(crate) fn audiences(
    form: &Form,
    client: &ClientRecord,
    tenant: &TenantRecord,
    scopes: &Scopes,
) -> Result<Vec<Audience>, OAuthError> {
    let own = if is_openid(scopes) {
        tenant.own_audience()
    } else {
        None
    };
    let asked = parameter::resources(form)?;
    let permitted =
        |audience: &Audience| client.audiences.contains(audience) || own.as_ref() == Some(audience);
    if !asked.iter().all(permitted) {
        return Err(OAuthError::AudienceNotPermitted);
    }
    let mut audiences = asked;
    if audiences.is_empty() {
        audiences.push(
            match (client.audiences.len(), client.audiences.iter().next(), &own) {
                (1, Some(only), _) => only.clone(),
                (0, _, Some(own)) => own.clone(),
                (_, _, _) => return Err(OAuthError::AudienceMissing),
            },
        );
    }
    audiences.extend(own.filter(|own| !audiences.contains(own)));
    Ok(audiences)
}

/// The `claims` parameter; it is part of OpenID Connect, so other requests have none (OpenID Connect Core §5.5).
fn claims(
    form: &Form,
    client: &ClientRecord,
    scopes: &Scopes,
) -> Result<ClaimsRequest, OAuthError> {
    match form.get("claims") {
        Some(text) if is_openid(scopes) => {
            let request = ClaimsRequest::parse(text, client)
                .map_err(|_| OAuthError::ParameterMalformed("claims"))?;
            if request.acr_is_out_of_reach() {
                return Err(OAuthError::AuthenticationUnmet);
            }
            Ok(request)
        }
        Some(_) | None => Ok(ClaimsRequest::default()),
    }
}

fn challenge(form: &Form) -> Result<CodeChallenge, OAuthError> {
    let challenge = required(form, "code_challenge")?;
    match form.get("code_challenge_method") {
        Some("S256") => Ok(challenge),
        Some(_) | None => Err(OAuthError::PkceMethod),
    }
}

fn nonce(form: &Form) -> Result<Option<Bounded<NONCE_BYTES_MAX>>, OAuthError> {
    form.get("nonce")
        .map(Bounded::parse)
        .transpose()
        .map_err(|_| OAuthError::ParameterMalformed("nonce"))
}

fn prompt(form: &Form) -> Result<BTreeSet<Prompt>, OAuthError> {
    let Some(text) = form.get("prompt") else {
        return Ok(BTreeSet::new());
    };
    let prompts = text
        .split(' ')
        .map(one_prompt)
        .collect::<Result<BTreeSet<_>, _>>()?;
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(OAuthError::ParameterMalformed("prompt"));
    }
    Ok(prompts)
}

/// The classes that are known here; names of none only are a demand that nothing can meet (RFC 9470 §5).
fn acr_values(form: &Form) -> Result<Vec<Acr>, OAuthError> {
    let Some(text) = form.get("acr_values").filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut known: Vec<Acr> = Vec::new();
    for acr in text.split(' ').filter_map(|name| name.parse().ok()) {
        if !known.contains(&acr) {
            known.push(acr);
        }
    }
    if known.is_empty() {
        return Err(OAuthError::AuthenticationUnmet);
    }
    Ok(known)
}

fn one_prompt(word: &str) -> Result<Prompt, OAuthError> {
    match word {
        "consent" => Ok(Prompt::Consent),
        // Whoever may choose another account has to say who they are.
        "login" | "select_account" => Ok(Prompt::Login),
        "none" => Ok(Prompt::None),
        _ => Err(OAuthError::ParameterMalformed("prompt")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
