//! `/revocations`: what was revoked, signed, for services that check access tokens themselves.
//!
//! A service asks with the cursor of its last page (`after`) and may wait for news (`wait`, seconds). Only clients that serve an audience learn anything.
//!
//! Not here: the list (`control::revocations`) and its signature (`control::mint`).

use super::Identity;
use super::answer::{Failure, with_type};
use super::body;
use super::call::Call;
use super::client;
use super::record;
use axum::response::Response;
use countersign_authn::Form;
use countersign_base::{Bounded, Duration};
use countersign_control::{ListError, revocation_list};
use countersign_oauth::OAuthError;
use http::StatusCode;
use std::sync::Arc;

/// The longest that a question may wait: well below what a service tolerates.
const WAIT_SECONDS_MAX: u64 = 10;

pub(super) async fn list(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call).await?;
    let (_client, client) = client::authenticate_and_spend(&identity, &call, &form).await?;
    if client.serves.is_empty() {
        let error = OAuthError::NotAResource;
        let who = Some(client.id.clone());
        record::client_refused(&identity, &call, who, "none", error.reason())?;
        return Err(error.into());
    }
    let cursor = form
        .get("after")
        .map(Bounded::parse)
        .transpose()
        .map_err(|_| OAuthError::ParameterMalformed("after"))?;
    let wait = wait(&form)?;
    let tenant = (&call.tenant.name, &call.tenant.issuer);
    let page = revocation_list(&identity.fabric, tenant, cursor, wait)
        .await
        .map_err(|error| match error {
            ListError::Stale => Failure::Unavailable,
            ListError::Mint(error) => {
                tracing::error!(event = "revocation_list_not_signed", %error);
                Failure::Unavailable
            }
        })?;
    Ok(with_type(
        StatusCode::OK,
        "application/revocations+jwt",
        page,
    ))
}

fn wait(form: &Form) -> Result<Duration, OAuthError> {
    let malformed = OAuthError::ParameterMalformed("wait");
    let seconds = match form.get("wait") {
        None => 0,
        Some(text) => text.parse().map_err(|_| malformed)?,
    };
    if seconds > WAIT_SECONDS_MAX {
        return Err(malformed);
    }
    Ok(Duration::from_secs(seconds))
}
