//! `/consent`: a person's answer to what a client asks for.

use super::Identity;
use super::answer::Failure;
use super::authorize::{self, Cleared, Purpose};
use super::body;
use super::call::Call;
use super::cookies;
use super::record;
use super::response::deliver;
use super::sign_in::admission::{self, Admission, Admitted};
use super::ticket::{self, Step, Ticket};
use axum::response::Response;
use countersign_audit::Text;
use countersign_audit::event::{Consent, ConsentAnswer};
use countersign_base::ClientId;
use countersign_oauth::authorize::{NextStep, PageError, ReturnAddress, next_step};
use countersign_oauth::{OAuthError, Session};
use std::sync::Arc;

pub(super) async fn answer(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let ticket: Ticket = match ticket::open(&identity, &call, Step::Consent, form.get("ticket")) {
        Ok(ticket) => ticket,
        Err(error) => {
            record::authorization_refused(&identity, &call, None, "error_page", "foreign_form")?;
            return Err(error.into());
        }
    };
    let Purpose::Client(client, request) = authorize::reopen(&identity, &call, &ticket).await?
    else {
        return Err(PageError::ForeignForm.into());
    };
    let session = cookies::session(&identity, &call).await?;
    // The page was made for one person; another one who signed in meanwhile has not read it.
    let session = session
        .filter(|session| ticket.session == Some(session.id))
        .filter(|session| authorize::admitted(&identity, &call, &client, &request, session))
        .ok_or(PageError::InteractionOver)?;
    let now = identity.fabric.now();
    let event = |answer| Consent {
        answer,
        client: client.id.clone(),
        grant: None,
        scopes: Text::of(&request.scopes.to_string()),
        user: session.user,
    };
    match form.get("answer") {
        Some("allow") => {}
        Some("deny") => {
            authorize::end(&identity, &call, &ticket, event(ConsentAnswer::Denied)).await?;
            let address = ReturnAddress::of(&request, &call.tenant.issuer);
            return deliver(
                &identity,
                &call,
                &client,
                address.error(OAuthError::ConsentDenied),
            );
        }
        Some(_) | None => return Err(PageError::Malformed.into()),
    }
    let admitted = still_admitted(&identity, &call, &session, &client.id).await?;
    let remembered = authorize::remembered(&identity, &call, &session, &client).await?;
    let (approved, consent) = match next_step(
        &request,
        &client,
        Some(&session),
        remembered.as_ref(),
        ticket.beginning,
        now,
    ) {
        NextStep::AskConsent(question) => {
            record::happened(&identity, &call, event(ConsentAnswer::Granted)).await?;
            let (approved, consent) = question.allow(now);
            (approved, Some(consent))
        }
        NextStep::Approved(approved) => (approved, None),
        NextStep::SignIn(_) | NextStep::Refuse(_) | NextStep::StepUp(_) => {
            return Err(PageError::InteractionOver.into());
        }
    };
    let cleared = Cleared {
        approved,
        admitted,
        consent,
    };
    authorize::issue(&identity, &call, &client, &request, &ticket, cleared).await
}

/// Policy may say otherwise by now than when the page was shown.
async fn still_admitted(
    identity: &Identity,
    call: &Call,
    session: &Session,
    client: &ClientId,
) -> Result<Admitted, Failure> {
    match admission::of_session(identity, call, session, Some(client)).await? {
        Admission::Admitted(admitted) => Ok(admitted),
        Admission::Needs(_) | Admission::Refused => Err(PageError::InteractionOver.into()),
    }
}
