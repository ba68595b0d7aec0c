//! `/logout`: a person signs out of this server, by themselves or sent by a client (OpenID Connect RP-Initiated Logout 1.0).
//!
//! It asks first, so that no link signs anybody out, unless an ID token of ours names the very session of this browser. Afterwards the browser goes to an address
//! that the client registered, if the client is known by its ID token, and nowhere else (R58). Clients that want to hear of it are told through the outbox, in the
//! transaction that ends the session.

use super::Identity;
use super::answer::{Failure, see_other};
use super::body;
use super::call::Call;
use super::cookies;
use super::id_token_hint;
use super::record;
use super::ticket::{self, Browser, Known, Step};
use crate::pages::{self, SignOutPage, SignedOutPage};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::SignOut;
use countersign_base::{Bounded, ClientId, SessionId};
use countersign_oauth::authorize::PageError;
use countersign_oauth::logout::{
    HintRefused, LogoutRequest, LogoutReturn, STATE_BYTES_MAX, find_return,
};
use countersign_oauth::{ClientRecord, Session};
use countersign_store::Write;
use http::Method;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the confirmation remembers.
#[derive(Serialize, Deserialize)]
struct Leaving {
    session: SessionId,
    onward: Option<Onward>,
}

/// Where the browser goes afterwards; looked up again when the person has answered.
#[derive(Serialize, Deserialize)]
struct Onward {
    client: ClientId,
    address: String,
    state: Option<Bounded<STATE_BYTES_MAX>>,
}

/// What a request came to.
struct Asked {
    /// The client that an ID token of ours named.
    client: Option<Arc<ClientRecord>>,
    /// The session that it was made in.
    session: Option<SessionId>,
    /// Where the client wants the browser to go, if it may.
    back: Option<LogoutReturn>,
}

pub(super) async fn page(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = if call.parts.method == Method::POST {
        body::form(&mut call)
            .await
            .map_err(|_| PageError::Malformed)?
    } else {
        body::query(&call).map_err(|_| PageError::Malformed)?
    };
    let asked = asked(&identity, &call, LogoutRequest::parse(&form)).await?;
    let Some(session) = cookies::session(&identity, &call).await? else {
        return match &asked.back {
            Some(back) => see_other(&back.location()),
            None => Ok(pages::render(&call.tenant, &SignedOutPage {}, "")),
        };
    };
    if asked.session == Some(session.id) {
        return leave(&identity, &call, Some(session), "client", asked.back).await;
    }
    confirm(&identity, &call, &session, asked)
}

/// Asks the person.
fn confirm(
    identity: &Identity,
    call: &Call,
    session: &Session,
    asked: Asked,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let form_target = asked
        .back
        .as_ref()
        .map(|back| pages::origin_of(back.address()))
        .unwrap_or_default();
    let onward = asked
        .client
        .as_ref()
        .zip(asked.back.as_ref())
        .map(|(client, back)| Onward {
            client: client.id.clone(),
            address: back.address().to_owned(),
            state: back.state().cloned(),
        });
    let leaving = Leaving {
        session: session.id,
        onward,
    };
    let sealed = ticket::seal(identity, call, &browser.value, Step::SignOut, &leaving)?;
    let mut response = pages::render(
        &call.tenant,
        &SignOutPage {
            action: call.path_of("/logout/confirm"),
            ticket: &sealed,
            client: asked.client.as_ref().map(|client| client.name.as_str()),
        },
        &form_target,
    );
    if browser.known == Known::New {
        cookies::name_browser(&mut response, &call.tenant.name, &browser.value)?;
    }
    Ok(response)
}

/// Judges the hint, and where the browser may go.
async fn asked(
    identity: &Identity,
    call: &Call,
    mut request: LogoutRequest,
) -> Result<Asked, Failure> {
    let nobody = Asked {
        client: None,
        session: None,
        back: None,
    };
    let Some(published) = identity.fabric.keys().jwks(&call.tenant.name) else {
        return Err(Failure::Unavailable);
    };
    let hinted = match request.hinted(&call.tenant.issuer, &published.set) {
        Ok(hinted) => hinted,
        Err(refused) => {
            if refused != HintRefused::Absent || request.wants_return() {
                record::authorization_refused(identity, call, None, "logout", reason(refused))?;
            }
            return Ok(nobody);
        }
    };
    let client = identity
        .fabric
        .directory()
        .client(&call.tenant.name, &hinted.client)
        .await?
        .filter(|client| client.enabled);
    let Some(client) = client else {
        return Ok(nobody);
    };
    let session = match (hinted.session, hinted.grant) {
        (Some(session), _) => Some(session),
        (None, Some(grant)) => {
            let grant =
                id_token_hint::grant(identity, call, &client, grant, &hinted.subject).await?;
            grant.map(|grant| grant.session)
        }
        (None, None) => None,
    };
    let back = request.return_address(&client);
    if back.is_none() && request.wants_return() {
        let id = Some(client.id.clone());
        record::authorization_refused(identity, call, id, "logout", "redirect_uri")?;
    }
    Ok(Asked {
        session,
        client: Some(client),
        back,
    })
}

const fn reason(refused: HintRefused) -> &'static str {
    match refused {
        HintRefused::Absent => "hint_absent",
        HintRefused::NotOurs => "hint_not_ours",
        HintRefused::OfAnotherClient => "hint_of_another_client",
    }
}

pub(super) async fn sign_out(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let leaving: Leaving = match ticket::open(&identity, &call, Step::SignOut, form.get("ticket")) {
        Ok(leaving) => leaving,
        Err(error) => {
            record::authorization_refused(&identity, &call, None, "error_page", "foreign_form")?;
            return Err(error.into());
        }
    };
    let session = cookies::session(&identity, &call)
        .await?
        .filter(|session| session.id == leaving.session);
    let back = match leaving.onward {
        Some(onward) => {
            let client = identity
                .fabric
                .directory()
                .client(&call.tenant.name, &onward.client)
                .await?;
            client.and_then(|client| find_return(&client, &onward.address, onward.state))
        }
        None => None,
    };
    leave(&identity, &call, session, "user", back).await
}

/// Ends the session, and sends the browser on.
async fn leave(
    identity: &Identity,
    call: &Call,
    session: Option<Session>,
    reason: &'static str,
    back: Option<LogoutReturn>,
) -> Result<Response, Failure> {
    let fabric = &identity.fabric;
    if let Some(session) = session {
        let now = fabric.now();
        let event = SignOut {
            reason: Code::of(reason),
            session: session.id,
            user: session.user,
        };
        let event = fabric
            .recorder()
            .about_event(&call.tenant.name, Some(call.id), event);
        let _receipt = fabric
            .store()
            .change(
                &call.tenant.name,
                vec![Write::EndSession(session.id)],
                event,
                now,
            )
            .await?;
        fabric.revocations().refresh(fabric.store(), now).await?;
    }
    let location = back.map_or_else(|| call.path_of("/logout"), |back| back.location());
    let mut response = see_other(&location)?;
    cookies::clear_session(&mut response, &call.tenant.name)?;
    Ok(response)
}
