//! Pages of this server that a person comes to by themselves and has to sign in for: the sign-in that everybody uses leads back to them.

use super::Identity;
use super::account;
use super::answer::Failure;
use super::authorize::Purpose;
use super::call::Call;
use super::partner::{self, PartnerPage};
use super::sign_in::admission::{self, Admission, Remedied};
use super::ticket::{self, Source, Step, Ticket};
use super::{body, cookies, device, record, requests, sign_in};
use crate::pages::account::AccountPage;
use axum::response::Response;
use countersign_authn::Form;
use countersign_base::{Bounded, ClientId, SessionId, UnixTime};
use countersign_federation::linking::PRIMARY_FACTOR_AGE_MAX;
use countersign_oauth::authorize::{Beginning, PageError};
use countersign_oauth::{ResolvedUser, Session};
use countersign_policy::{Permitted, decide};
use countersign_store::tables::{user_groups, users};
use countersign_store::{Durability, Recordable, Recorded};
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
    /// What goes to the partner that the person belongs to.
    Partner(PartnerPage),
    /// What waits for the person.
    Requests,
}

impl OwnPage {
    /// Where the sign-in page says it leads.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Account(_) => "your account",
            Self::Device(_) => "your device",
            Self::Partner(_) => "your webhooks",
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
        OwnPage::Partner(page) => partner::show(identity, call, &session, page).await,
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

/// How old a sign-in may be for what somebody wants.
#[derive(Clone, Copy)]
pub(super) enum Freshness {
    /// As old as a session gets.
    Any,
    /// As the tenant says, who may change how they sign in.
    Fresh,
    /// Some minutes.
    Recent,
}

impl Freshness {
    pub(super) fn is_missing(self, call: &Call, session: &Session, now: UnixTime) -> bool {
        let age = now.since(session.auth_time);
        match self {
            Self::Any => false,
            Self::Fresh => age > call.tenant.authentication.fresh_for(),
            Self::Recent => age > PRIMARY_FACTOR_AGE_MAX,
        }
    }
}

/// Asks who they are once more, and leads back to the page.
pub(super) fn ask_again(
    identity: &Identity,
    call: &Call,
    session: &Session,
    page: OwnPage,
) -> Result<Response, Failure> {
    let ticket = ticket(identity, &page, Some(session.id));
    let problem = "Before something is changed, say once more who you are.";
    sign_in::page(identity, call, &Purpose::Page(page), &ticket, Some(problem))
}

/// The person whose session it is, if they may still do anything.
pub(super) async fn owner(
    identity: &Identity,
    call: &Call,
    session: &Session,
) -> Result<ResolvedUser, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let tenant = &call.tenant.name;
    let user = users::find(&mut connection, tenant, session.user)
        .await?
        .filter(|user| user.enabled)
        .ok_or(PageError::InteractionOver)?;
    let groups = user_groups::of_user(&mut connection, tenant, session.user).await?;
    Ok(ResolvedUser::new(user, &groups))
}

/// What a button on these pages does, sealed for the session that its page was made for.
#[derive(Serialize, Deserialize)]
pub(super) struct Button<C> {
    pub(super) session: SessionId,
    pub(super) change: C,
}

/// A button of ours that was pressed, in the session it was made for.
pub(super) struct Pressed<C> {
    /// What was filled in beside it.
    pub(super) form: Form,
    /// The session.
    pub(super) session: Session,
    /// What it does.
    pub(super) change: C,
}

/// Which button was pressed. That its page was not ours is recorded.
///
/// # Errors
/// When the form cannot be read, was not sealed here for this browser, or its session is over.
pub(super) async fn pressed<C: for<'de> Deserialize<'de>>(
    identity: &Identity,
    call: &mut Call,
    step: Step,
) -> Result<Pressed<C>, Failure> {
    let form = body::form(call).await.map_err(|_| PageError::Malformed)?;
    let button: Button<C> = match ticket::open(identity, call, step, form.get("ticket")) {
        Ok(button) => button,
        Err(error) => {
            record::authorization_refused(identity, call, None, "error_page", "foreign_form")?;
            return Err(error.into());
        }
    };
    let session = cookies::session(identity, call)
        .await?
        .filter(|session| session.id == button.session)
        .ok_or(PageError::InteractionOver)?;
    Ok(Pressed {
        form,
        session,
        change: button.change,
    })
}

/// What policy said of something on these pages, once it is recorded.
#[must_use]
pub(super) enum Decided<T> {
    /// Not that.
    Denied,
    /// It is permitted.
    Permitted(Recorded<Permitted<T>>),
}

/// Decides and records; `surface` is what the counters call it.
pub(super) async fn decided<T: Recordable>(
    identity: &Identity,
    call: &Call,
    target: T,
    surface: &'static str,
    durability: Durability,
) -> Result<Decided<T>, Failure> {
    let fabric = &identity.fabric;
    let decided = decide(&fabric.policies(), target);
    call.was_recorded();
    match decided {
        Ok(permitted) => {
            fabric.metrics().decided(surface, "permitted");
            let recorded = fabric.recorder().record(permitted, durability).await?;
            Ok(Decided::Permitted(recorded))
        }
        Err(denied) => {
            fabric.metrics().decided(surface, "denied");
            let _recorded = fabric.recorder().record_denied(denied)?;
            Ok(Decided::Denied)
        }
    }
}
