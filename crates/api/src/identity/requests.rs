//! `/requests`: what waits for the answer of the person who is signed in, and the answers themselves.
//!
//! Nobody is told of a request but by this page: there is no push service.

use super::Identity;
use super::answer::Failure;
use super::authorize::shown;
use super::body;
use super::call::Call;
use super::cookies;
use super::decoupled::{self, Answered, Said};
use super::own_page::{self, OwnPage};
use super::ticket::Browser;
use crate::pages::{self, AnsweredPage, RequestsPage};
use axum::response::Response;
use countersign_oauth::Session;
use countersign_oauth::authorize::PageError;
use countersign_store::tables::decoupled_requests::{self, Found};
use http::StatusCode;
use std::sync::Arc;

/// Requests on one page: as many as may wait for one person.
const SHOWN_MAX: u16 = 20;

/// The page, for whoever is signed in or signs in now.
pub(super) async fn page(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let session = cookies::session(&identity, &call).await?;
    own_page::show(&identity, &call, OwnPage::Requests, session).await
}

/// What waits for the person of `session`.
pub(super) async fn list(
    identity: &Identity,
    call: &Call,
    session: &Session,
) -> Result<Response, Failure> {
    let now = identity.fabric.now();
    let mut connection = identity.fabric.store().read().await?;
    let waiting = decoupled_requests::waiting_for(
        &mut connection,
        &call.tenant.name,
        session.user,
        SHOWN_MAX,
        now,
    )
    .await?;
    drop(connection);
    let browser = Browser::of(identity, call);
    let mut requests = Vec::new();
    for request in waiting {
        let found = Found {
            request,
            answer: None,
            spent: None,
        };
        // A client that was disabled meanwhile asks nobody.
        if let Ok(put) = decoupled::put(identity, call, found, session).await? {
            requests.push(put.page(identity, call, &browser)?);
        }
    }
    let page = RequestsPage {
        action: call.path_of("/requests/answer"),
        code: None,
        requests,
    };
    shown(call, &browser, pages::render(&call.tenant, &page, ""))
}

/// A person's answer to a request.
pub(super) async fn answer(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let session = cookies::session(&identity, &call).await?;
    match decoupled::answer(&identity, &call, &form, session).await? {
        Answered::Written(said, _request, client) => Ok(pages::render(
            &call.tenant,
            &AnsweredPage {
                client: client.name.as_str(),
                heading: match said {
                    Said::Allow => "Allowed",
                    Said::Deny => "Denied",
                },
                more: call.path_of("/requests"),
            },
            "",
        )),
        Answered::Asked(asked) => Ok(asked),
        Answered::Denied => Ok(pages::error(
            Some(&call.tenant),
            call.id,
            StatusCode::FORBIDDEN,
            "Not allowed",
            "Your account may not be used for this. Nothing was given to the application.",
        )),
    }
}
