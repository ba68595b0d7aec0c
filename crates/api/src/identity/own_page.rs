//! Pages of this server that a person comes to by themselves and has to sign in for: the sign-in that everybody uses leads back to them.

use super::Identity;
use super::account;
use super::answer::Failure;
use super::authorize::{self, Purpose};
use super::call::Call;
use super::ticket::{Source, Ticket};
use super::{device, requests};
use crate::pages::account::AccountPage;
use axum::response::Response;
use countersign_base::Bounded;
use countersign_oauth::Session;
use countersign_oauth::authorize::Beginning;
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
        let ticket = Ticket {
            client: None,
            source: Source::Page(page.clone()),
            beginning: Beginning {
                at: identity.fabric.now(),
                session: None,
            },
            session: None,
        };
        return authorize::sign_in_page(identity, call, &Purpose::Page(page), &ticket, None);
    };
    match page {
        OwnPage::Account(page) => account::show(identity, call, &session, page).await,
        OwnPage::Device(typed) => device::ask(identity, call, &session, typed.as_str()).await,
        OwnPage::Requests => requests::list(identity, call, &session).await,
    }
}
