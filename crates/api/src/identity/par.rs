//! `/par` (RFC 9126): a client leaves its authorization request here and gets a one-time name for it.

use super::Identity;
use super::answer::{Failure, json};
use super::body;
use super::call::Call;
use super::client;
use super::record;
use axum::response::Response;
use countersign_audit::event::AuthorizationRequested;
use countersign_audit::{Code, Text};
use countersign_authn::Form;
use countersign_oauth::authorize::{PageError, Parameters, ReturnAddress, Via};
use countersign_oauth::par::REQUEST_URI_PREFIX;
use countersign_oauth::{AuthorizationRequest, Binding, ClientRecord, OAuthError, PushedRequest};
use countersign_store::{NewOneTime, RequestUri, Write};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// RFC 9126 §2.2.
#[derive(Serialize)]
struct Pushed {
    request_uri: String,
    expires_in: u64,
}

pub(super) async fn push(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (_client, registered) = client::authenticate_and_spend(&identity, &call, &form).await?;
    let binding = match client::binding(&identity, &call).await {
        Ok(binding) => binding,
        Err(failure) => {
            return refuse(
                &identity,
                &call,
                &registered,
                OAuthError::DpopProofRefused,
                failure,
            );
        }
    };
    let request = match check(&identity, &call, &form, &registered, &binding) {
        Ok(request) => request,
        Err(error) => return refuse(&identity, &call, &registered, error, error.into()),
    };
    let fabric = &identity.fabric;
    let (now, handle) = (fabric.now(), fabric.random().token());
    let event = requested(&request, "pushed");
    let pushed = PushedRequest::new(
        call.tenant.name.clone(),
        registered.id.clone(),
        request,
        now,
    );
    let hash = fabric
        .secrets()
        .handle::<RequestUri>(&call.tenant.name, handle.expose());
    let row = NewOneTime::new::<RequestUri>(&hash, &pushed, pushed.kept_until())?;
    let event = fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event);
    let _receipt = fabric
        .store()
        .change(&call.tenant.name, vec![Write::AddOneTime(row)], event, now)
        .await?;
    let expires_in = pushed.expires.since(now).as_secs();
    Ok(json(
        StatusCode::CREATED,
        &Pushed {
            request_uri: format!("{REQUEST_URI_PREFIX}{}", handle.expose()),
            expires_in,
        },
    ))
}

/// The event of a good authorization request.
pub(super) fn requested(
    request: &AuthorizationRequest,
    method: &'static str,
) -> AuthorizationRequested {
    AuthorizationRequested {
        aud: request
            .audiences
            .first()
            .map(|audience| Text::of(audience.as_str())),
        client: request.client.clone(),
        method: Code::of(method),
        scopes: Text::of(&request.scopes.to_string()),
    }
}

fn check(
    identity: &Identity,
    call: &Call,
    form: &Form,
    client: &ClientRecord,
    binding: &Binding,
) -> Result<AuthorizationRequest, OAuthError> {
    if form.contains("request_uri") {
        return Err(OAuthError::RequestUriPushed);
    }
    let fabric = &identity.fabric;
    let keys = fabric.keys().decryption_keys(&call.tenant.name);
    let parameters = Parameters::read(form, client, &call.tenant, &keys, fabric.now())?;
    let address = ReturnAddress::find(parameters.form(), client, &call.tenant).map_err(
        |error| match error {
            PageError::RedirectUri => {
                OAuthError::ParameterMalformed("redirect_uri is not registered")
            }
            PageError::ClientUnknown => OAuthError::ClientDisabled,
            PageError::RequestObject(error) => error,
            PageError::AccountDenied
            | PageError::ForeignForm
            | PageError::InteractionOver
            | PageError::Malformed
            | PageError::PartnerDenied
            | PageError::PrimaryFactorNeeded
            | PageError::SecondFactorMissing
            | PageError::SignInDenied
            | PageError::RequestUri(_)
            | PageError::Unavailable
            | PageError::UpstreamFailed
            | PageError::UpstreamNameTaken
            | PageError::UpstreamNobody
            | PageError::UpstreamUnavailable => OAuthError::ParameterMalformed("state"),
        },
    )?;
    let mut request =
        AuthorizationRequest::parse(&parameters, client, &address, &call.tenant, Via::Pushed)?;
    // A proof at this endpoint binds the code to its key, as `dpop_jkt` would (RFC 9449 §10.1); both must agree (DPOP-25).
    match (binding, &request.dpop_jkt) {
        (Binding::Dpop(proven), Some(announced)) if proven != announced => {
            return Err(OAuthError::DpopProofRefused);
        }
        (Binding::Dpop(proven), _) => request.dpop_jkt = Some(*proven),
        (Binding::Bearer | Binding::Certificate(_), _) => {}
    }
    Ok(request)
}

fn refuse(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    error: OAuthError,
    failure: Failure,
) -> Result<Response, Failure> {
    record::authorization_refused(
        identity,
        call,
        Some(client.id.clone()),
        error.code().as_str(),
        error.reason(),
    )?;
    Err(failure)
}
