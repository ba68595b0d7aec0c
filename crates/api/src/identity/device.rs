//! `/device` (RFC 8628 §3.3): a person types the code that their device shows, signs in, and sees who asks before they answer.
//!
//! A code is looked up only for somebody who is signed in, and every look is counted (§5.1, DEV-4). A link that carries the code fills the form in and no more:
//! the person still sends it themselves, and still sees who asks (§5.4).

use super::Identity;
use super::answer::Failure;
use super::authorize::shown;
use super::body;
use super::call::{Call, subscriber};
use super::cookies;
use super::decoupled;
use super::own_page::{self, Entry, OwnPage};
use super::record;
use super::ticket::{self, Browser, Step};
use crate::pages::{self, DevicePage, RequestsPage};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::UserCodeRefused;
use countersign_base::Bounded;
use countersign_oauth::Session;
use countersign_oauth::authorize::PageError;
use countersign_oauth::decoupled::{Guess, GuessThrottle, UserCode};
use countersign_store::tables::decoupled_requests;
use std::sync::{Arc, MutexGuard, PoisonError};

const PROBLEM: &str = "This code is not right, or its time is over.";

/// The form that asks for the code.
pub(super) async fn page(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let form = body::query(&call).map_err(|_| PageError::Malformed)?;
    // Only what can be a code is put into the form.
    let code = form.get("user_code").and_then(|text| text.parse().ok());
    entry(&identity, &call, code.as_ref(), None)
}

fn entry(
    identity: &Identity,
    call: &Call,
    code: Option<&UserCode>,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let sealed = ticket::seal(identity, call, &browser.value, Step::UserCode, &())?;
    let page = DevicePage {
        action: call.path_of("/device/code"),
        ticket: &sealed,
        code: code.map(ToString::to_string),
        problem,
    };
    shown(call, &browser, pages::render(&call.tenant, &page, ""))
}

/// The code was sent.
pub(super) async fn enter(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    if let Err(error) = ticket::open::<()>(&identity, &call, Step::UserCode, form.get("ticket")) {
        record::authorization_refused(&identity, &call, None, "error_page", "foreign_form")?;
        return Err(error.into());
    }
    let Ok(typed) = Bounded::parse(form.get("code").unwrap_or_default()) else {
        return entry(&identity, &call, None, Some(PROBLEM));
    };
    let session = cookies::session(&identity, &call).await?;
    own_page::show(&identity, &call, OwnPage::Device(typed), session).await
}

/// Asks the person of `session` about the request that they typed the code of.
pub(super) async fn ask(
    identity: &Identity,
    call: &Call,
    session: &Session,
    typed: &str,
) -> Result<Response, Failure> {
    let guess = counted(identity, call, session)?;
    let wrong = |reason| {
        record::refused(identity, call, refused(session, reason))?;
        entry(identity, call, None, Some(PROBLEM))
    };
    let Ok(code) = typed.parse::<UserCode>() else {
        return wrong("malformed");
    };
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let handle = fabric
        .secrets()
        .handle::<countersign_store::UserCode>(tenant, code.letters());
    let mut connection = fabric.store().read().await?;
    let found = decoupled_requests::find_by_user_code(&mut connection, tenant, &handle).await?;
    drop(connection);
    let Some(found) = found else {
        return wrong("unknown");
    };
    let put = match decoupled::put(identity, call, found, session).await? {
        Ok(put) => put,
        Err(reason) => return wrong(decoupled::reason(reason)),
    };
    guesses(identity).right(guess);
    // The code leads to a client, and policy may ask for more where that client is.
    let here = OwnPage::Device(Bounded::parse(typed).map_err(|_| PageError::Malformed)?);
    let client = Some(put.client());
    if let Entry::Asked(asked) = own_page::enter(identity, call, &here, session, client).await? {
        return Ok(asked);
    }
    let browser = Browser::of(identity, call);
    let page = RequestsPage {
        action: call.path_of("/requests/answer"),
        code: Some(code.to_string()),
        requests: vec![put.page(identity, call, &browser)?],
    };
    shown(call, &browser, pages::render(&call.tenant, &page, ""))
}

/// Counts a look before it is taken: for the person, for where they come from, and for everybody.
fn counted(identity: &Identity, call: &Call, session: &Session) -> Result<Guess, Failure> {
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(&call.tenant.name, "user-code-throttle");
    let person = key.tag("person", &[session.user.as_bytes()]);
    let source = subscriber(call.source()).to_string();
    let source = key.tag("source", &[source.as_bytes()]);
    let now = identity.fabric.now();
    let begun = guesses(identity).begin(person.as_bytes(), source.as_bytes(), now);
    begun.map_err(|wait| {
        match record::refused(identity, call, refused(session, "too_many_attempts")) {
            Ok(()) => Failure::Throttled(wait.after),
            Err(failure) => failure,
        }
    })
}

fn refused(session: &Session, reason: &'static str) -> UserCodeRefused {
    UserCodeRefused {
        reason: Code::of(reason),
        user: session.user,
    }
}

fn guesses(identity: &Identity) -> MutexGuard<'_, GuessThrottle> {
    identity
        .guesses
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}
