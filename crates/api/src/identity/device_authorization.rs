//! `/device_authorization` (RFC 8628 §3.1): a device asks, and gets a code to poll with and one to show.

use super::Identity;
use super::answer::{Failure, json};
use super::body;
use super::call::Call;
use super::client;
use super::decoupled::{self, Asking};
use axum::response::Response;
use countersign_oauth::decoupled::{
    DEVICE_CODE_LIFETIME, DeviceAuthorizationRequest, Flow, POLL_INTERVAL, UserCode,
};
use countersign_oauth::{Binding, OAuthError};
use countersign_store::{DeviceCode, NewDecoupled, StoreError};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// How often a user code is drawn again when somebody has it already.
const DRAWS_MAX: u32 = 4;

/// RFC 8628 §3.2.
#[derive(Serialize)]
struct DeviceAuthorization<'a> {
    device_code: &'a str,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

pub(super) async fn authorize(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (_client, registered) = client::authenticate_and_spend(&identity, &call, &form).await?;
    let refuse = |error: OAuthError, failure| {
        decoupled::refuse(&identity, &call, &registered.id, error, failure)
    };
    let binding = match client::binding(&identity, &call).await {
        Ok(binding) => binding,
        Err(failure) => return refuse(OAuthError::DpopProofRefused, failure),
    };
    let asked = match DeviceAuthorizationRequest::parse(&form, &registered, &call.tenant) {
        Ok(asked) => asked,
        Err(error) => return refuse(error, error.into()),
    };
    let dpop_jkt = match binding {
        Binding::Dpop(key) => Some(key),
        Binding::Bearer | Binding::Certificate(_) => None,
    };
    let request = decoupled::waiting(
        &identity,
        &call,
        Asking {
            flow: Flow::Device,
            client: registered.id.clone(),
            scopes: asked.scopes,
            audiences: asked.audiences,
            details: asked.details,
            dpop_jkt,
            user: None,
            binding_message: None,
            lifetime: DEVICE_CODE_LIFETIME,
        },
    );
    let fabric = &identity.fabric;
    let (tenant, device_code) = (&call.tenant.name, fabric.random().token());
    let handle = fabric
        .secrets()
        .handle::<DeviceCode>(tenant, device_code.expose());
    for _ in 0..DRAWS_MAX {
        let user_code = UserCode::draw(fabric.random());
        let shown = fabric
            .secrets()
            .handle::<countersign_store::UserCode>(tenant, user_code.letters());
        let new = NewDecoupled::new(&handle, Some(&shown), request.clone());
        match decoupled::store(&identity, &call, new, &request).await {
            Ok(()) => {
                let page = format!("{}/device", call.tenant.issuer);
                return Ok(json(
                    StatusCode::OK,
                    &DeviceAuthorization {
                        device_code: device_code.expose(),
                        verification_uri_complete: format!("{page}?user_code={user_code}"),
                        user_code: user_code.to_string(),
                        verification_uri: page,
                        expires_in: DEVICE_CODE_LIFETIME.as_secs(),
                        interval: POLL_INTERVAL.as_secs(),
                    },
                ));
            }
            Err(StoreError::Conflict(..)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Unavailable)
}
