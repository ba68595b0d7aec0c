//! Sends an authorization response on its way: a redirect, or a page with a form and one button (OAuth 2.0 Form Post Response Mode).
//!
//! The form has no script, so a person presses the button; the content security policy lets it go to the client's origin and nowhere else.

use super::Identity;
use super::answer::{Failure, see_other};
use super::call::Call;
use crate::pages::{self, FormPostPage};
use axum::response::Response;
use countersign_control::mint;
use countersign_oauth::ClientRecord;
use countersign_oauth::authorize::{AuthorizationResponse, Delivery};

/// Signs the response if its mode asks for it, and renders it.
pub(super) fn deliver(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    response: AuthorizationResponse,
) -> Result<Response, Failure> {
    let fabric = &identity.fabric;
    let delivery = mint::deliver(
        response,
        client,
        fabric.keys(),
        fabric.random(),
        fabric.now(),
    );
    let delivery = delivery.map_err(|error| {
        tracing::warn!(event = "authorization_response_not_made", %error);
        Failure::Unavailable
    })?;
    match delivery {
        Delivery::Redirect(location) => see_other(&location),
        Delivery::Form { action, fields } => {
            let page = FormPostPage {
                client: client.name.as_str(),
                host: pages::host_of(action.as_str()),
                action: action.as_str(),
                fields: fields
                    .iter()
                    .map(|(name, value)| (*name, value.expose().as_str()))
                    .collect(),
            };
            Ok(pages::render(
                &call.tenant,
                &page,
                &pages::origin_of(action.as_str()),
            ))
        }
    }
}
