//! Pages of this server that a person comes to by themselves and has to sign in for: the sign-in that everybody uses leads back to them.

use super::Identity;
use super::account;
use super::answer::Failure;
use super::authorize::Purpose;
use super::call::Call;
use super::sign_in::admission::{self, Admission, Remedied};
use super::ticket::{Source, Ticket};
use super::{device, requests, sign_in};
use crate::pages::account::AccountPage;
use axum::response::Response;
use countersign_base::{Bounded, ClientId, SessionId};
use countersign_oauth::Session;
use countersign_oauth::authorize::{Beginning, PageError};
use serde::{Deserialize, Serialize};

/// Characters of a user code that are carried along while somebody signs in.
const TYPED_BYTES_MAX: usize = 32;

/// One of these pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OwnPage {
    /// A page of the person's account.
    Account(AccountPage),
    /// The request of the device whose code was typed. Nobody has looked yet whether there is one.
    Device(Bounded<TYPED_BYTES_MAX>),
    /// What waits for the person.
    Requests,
}

impl OwnPage {
    /// Where the sign-in page says it leads.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Account(_) => "your account",
            Self::Device(_) => "your device",
            Self::Requests => "your requests",
        }
    }
}

/// The page, or the sign-in that leads to it.
pub(super) async fn show(
    identity: &Identity,
    call: &Call,
    page: OwnPage,
    session: Option<Session>,
) -> Result<Response, Failure> {
    let Some(session) = session else {
        let ticket = ticket(identity, &page, None);
        return sign_in::page(identity, call, &Purpose::Page(page), &ticket, None);
    };
    if let Entry::Asked(asked) = enter(identity, call, &page, &session, None).await? {
        return Ok(asked);
    }
    match page {
        OwnPage::Account(page) => account::show(identity, call, &session, page).await,
        OwnPage::Device(typed) => device::ask(identity, call, &session, typed.as_str()).await,
        OwnPage::Requests => requests::list(identity, call, &session).await,
    }
}

/// Whether somebody who is signed in may go on to a page.
pub(super) enum Entry {
    /// They may; policy says so.
    Admitted,
    /// They may once they did what this answer asks for.
    Asked(Response),
}

/// Asks policy about a session on its way to a page, or to what a client asks for there.
pub(super) async fn enter(
    identity: &Identity,
    call: &Call,
    page: &OwnPage,
    session: &Session,
    client: Option<&ClientId>,
) -> Result<Entry, Failure> {
    let again = ticket(identity, page, Some(session.id));
    match admission::of_session(identity, call, session, client).await? {
        Admission::Admitted(_admitted) => Ok(Entry::Admitted),
        Admission::Needs(Remedied::Class(wanted)) => {
            let asked = admission::step_up(identity, call, again, session, wanted).await?;
            Ok(Entry::Asked(asked))
        }
        Admission::Needs(Remedied::Again) => {
            let purpose = Purpose::Page(page.clone());
            let problem = Some("Your sign-in is too long ago for this. Say once more who you are.");
            sign_in::page(identity, call, &purpose, &again, problem).map(Entry::Asked)
        }
        Admission::Refused => Err(PageError::SignInDenied.into()),
    }
}

/// How a sign-in that leads to a page begins.
pub(super) fn ticket(identity: &Identity, page: &OwnPage, session: Option<SessionId>) -> Ticket {
    Ticket {
        client: None,
        source: Source::Page(page.clone()),
        beginning: Beginning {
            at: identity.fabric.now(),
            session,
        },
        session: None,
    }
}
