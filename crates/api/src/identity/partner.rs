//! `/partner` and below: what somebody of a partner sees of its webhook endpoints and of what went there, and what they change.
//!
//! Who may is policy (`view_partner_webhooks`, `manage_partner_webhooks`): by the default one, a person whose attribute `partner` is the partner's name. Every look and every change
//! is decided and recorded; what is not theirs answers as if it did not exist. What a button does stands in its sealed ticket, as on the account pages. A new secret is in the answer
//! that makes it and nowhere else, and payloads are masked as in the admin API.
//!
//! Not here: adding and removing endpoints, which is the administrator's, and sending (`channels`).

mod change;
mod delivery;
mod endpoint;
mod listing;
mod overview;
mod permit;

pub(super) use change::change;

use super::Identity;
use super::answer::Failure;
use super::authorize::shown;
use super::body;
use super::call::Call;
use super::cookies;
use super::own_page::{self, OwnPage};
use super::ticket::Browser;
use crate::pages::partner::{Crumb, Note, PartnerFrame};
use axum::response::Response;
use countersign_base::{Bounded, EndpointId};
use countersign_oauth::authorize::PageError;
use countersign_oauth::{ResolvedUser, Session};
use listing::{Place, Which};
use permit::Asker;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where the list is, below the tenant's path.
const LIST: &str = "/partner";

/// One of the pages. Nobody has looked yet whether there is what it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartnerPage {
    /// What became of one webhook at one endpoint.
    Delivery(Bounded<64>),
    /// An endpoint, and some of what went there.
    Endpoint(Bounded<64>, Which, Option<Place>),
    /// The endpoints, beginning after this one.
    Endpoints(Option<EndpointId>),
}

pub(super) async fn endpoints(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let form = body::query(&call).map_err(|_| PageError::Malformed)?;
    let after = form.get("after").and_then(|after| after.parse().ok());
    page(&identity, &call, PartnerPage::Endpoints(after)).await
}

pub(super) async fn endpoint(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let form = body::query(&call).map_err(|_| PageError::Malformed)?;
    let which = form.get("state").and_then(Which::of).unwrap_or_default();
    let after = form.get("after").and_then(|after| after.parse().ok());
    let named = named(&call)?;
    page(&identity, &call, PartnerPage::Endpoint(named, which, after)).await
}

pub(super) async fn delivery(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let named = named(&call)?;
    page(&identity, &call, PartnerPage::Delivery(named)).await
}

/// What the path names. Whatever is longer than an id names nothing.
fn named(call: &Call) -> Result<Bounded<64>, Failure> {
    let named = call.named.as_deref().unwrap_or_default();
    Bounded::parse(named).map_err(|_| Failure::NotFound)
}

/// A page, or the sign-in that leads to it.
async fn page(identity: &Identity, call: &Call, page: PartnerPage) -> Result<Response, Failure> {
    let session = cookies::session(identity, call).await?;
    own_page::show(identity, call, OwnPage::Partner(page), session).await
}

/// Where a person's account leads to these pages: nowhere, for whom policy shows nothing there.
pub(super) fn path_for(
    identity: &Identity,
    call: &Call,
    session: &Session,
    owner: &ResolvedUser,
) -> Option<String> {
    let asker = Asker::new(identity, call, session, owner.clone());
    permit::is_led_to(identity, &asker).then(|| call.path_of(LIST))
}

/// The page of somebody who is signed in.
pub(super) async fn show(
    identity: &Identity,
    call: &Call,
    session: &Session,
    page: PartnerPage,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let view = View::of(identity, call, session, &browser, None).await?;
    let response = match page {
        PartnerPage::Delivery(named) => delivery::named(view, named.as_str()).await?,
        PartnerPage::Endpoint(named, which, after) => {
            endpoint::named(view, named.as_str(), which, after).await?
        }
        PartnerPage::Endpoints(after) => overview::endpoints(view, after).await?,
    };
    shown(call, &browser, response)
}

/// A page on its way to a browser.
struct View<'a> {
    identity: &'a Identity,
    call: &'a Call,
    session: &'a Session,
    browser: &'a Browser,
    asker: Asker,
    note: Option<Note>,
}

impl<'a> View<'a> {
    async fn of(
        identity: &'a Identity,
        call: &'a Call,
        session: &'a Session,
        browser: &'a Browser,
        note: Option<Note>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            identity,
            call,
            session,
            browser,
            asker: Asker::of(identity, call, session).await?,
            note,
        })
    }

    /// The frame of a page that these lead to.
    fn frame(&self, trail: Vec<Crumb>) -> PartnerFrame {
        PartnerFrame {
            username: self.asker.username(),
            trail,
            action: self.call.path_of("/partner/change"),
            account: self.call.path_of("/account"),
            sign_out: self.call.path_of("/logout"),
            note: self.note,
        }
    }

    /// The way back to the list.
    fn home(&self) -> Crumb {
        Crumb {
            label: "Webhooks".to_owned(),
            path: self.call.path_of(LIST),
        }
    }

    fn path_of_endpoint(&self, id: EndpointId) -> String {
        self.call.path_of(&format!("/partner/endpoints/{id}"))
    }
}
