//! The beginning of a session, and its rise by another factor: in one transaction with the use of the factor, under a cookie that is new each time (A61).

use super::super::Identity;
use super::super::answer::{Failure, see_other};
use super::super::call::Call;
use super::super::cookies;
use super::super::ticket::{self, Step, Ticket};
use super::admission::Admitted;
use super::attempt;
use axum::response::Response;
use countersign_audit::event::{SignInOutcome, UpstreamSignIn, Verdict};
use countersign_audit::{Event, Text};
use countersign_authn::Acr;
use countersign_base::{ClientId, Secret, UnixTime};
use countersign_federation::id_token::UpstreamSubject;
use countersign_federation::{IssuerUrl, ProviderName, UpstreamIdentity};
use countersign_oauth::authentication::rules::FRESH_SECONDS_MAX;
use countersign_oauth::authorize::PageError;
use countersign_oauth::{AuthenticationMethod, Session};
use countersign_store::tables::upstream_sessions::UpstreamSession;
use countersign_store::{AuthenticatorChange, Constraint, StoreError, Write};
use serde::{Deserialize, Serialize};

/// Why no session began.
pub(in super::super) enum NotBegun {
    /// The person, their link or the session that was to rise has ended meanwhile.
    Ended(&'static str),
    /// Somebody was first with the code, the counter or the challenge.
    FactorUsed,
}

/// What was proven last, and what uses it up.
pub(in super::super) struct Factor {
    pub(in super::super) method: AuthenticationMethod,
    pub(in super::super) writes: Vec<Write>,
    pub(in super::super) vouched: Option<Vouched>,
}

/// An identity that another provider vouched for: the session ends with the link to it.
#[derive(Clone, Serialize, Deserialize)]
pub(in super::super) struct Vouched {
    provider: ProviderName,
    issuer: IssuerUrl,
    subject: UpstreamSubject,
    /// When the person proved who they are there.
    auth_time: UnixTime,
}

impl Vouched {
    /// What it says of somebody who comes back now.
    pub(in super::super) fn new(identity: &UpstreamIdentity, now: UnixTime) -> Self {
        // Where it does not say when it asked, longer ago than any sign-in is fresh.
        let untold = UnixTime(now.0.saturating_sub(i64::from(FRESH_SECONDS_MAX) + 1));
        Self {
            auth_time: identity.auth_time().unwrap_or(untold),
            provider: identity.provider().clone(),
            issuer: identity.issuer().clone(),
            subject: identity.subject().clone(),
        }
    }
}

/// Begins a session of whoever was admitted, and sends the browser back to where the interaction stands.
pub(super) async fn begin(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    admitted: Admitted,
    factor: Factor,
) -> Result<Result<Response, NotBegun>, Failure> {
    let fabric = &identity.fabric;
    let session = Session::begin(
        fabric.random().session_id(),
        call.tenant.name.clone(),
        admitted.user(),
        admitted.methods().clone(),
        fabric.now(),
    )
    .on(call.device());
    let session = match &factor.vouched {
        Some(vouched) => session.proven_at(vouched.auth_time),
        None => session,
    };
    let cookie = fabric.random().token();
    let handle = cookies::session_handle(identity, &call.tenant.name, &cookie);
    let event = signed_in(ticket.client.as_ref(), &session, &factor);
    let write = match factor.vouched {
        Some(vouched) => Write::AddUpstreamSession(Box::new(UpstreamSession {
            handle,
            session: session.clone(),
            provider: vouched.provider,
            issuer: vouched.issuer,
            subject: vouched.subject,
        })),
        None => Write::AddSession(handle, Box::new(session.clone())),
    };
    // The person's row first, as everywhere, so that nodes wait for each other instead of deadlocking.
    let mut writes = vec![Write::HoldUser(admitted.user(), admitted.held())];
    writes.extend(factor.writes);
    writes.push(write);
    match commit(identity, call, &session, writes, event).await? {
        Ok(()) => answer(identity, call, ticket, &cookie).map(Ok),
        Err(not) => Ok(Err(not)),
    }
}

/// Puts another factor to a session that lives. Its identifier stays, so that what hangs on it does; its cookie does not.
pub(super) async fn raise(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    session: &Session,
    factor: Factor,
) -> Result<Result<Response, NotBegun>, Failure> {
    let raised = session.raised(factor.method);
    let event = signed_in(ticket.client.as_ref(), &raised, &factor);
    match rise(identity, call, raised, factor.writes, event).await? {
        Ok(cookie) => answer(identity, call, ticket, &cookie).map(Ok),
        Err(not) => Ok(Err(not)),
    }
}

/// The same for whoever answers in their own way: the value of the new cookie comes back.
pub(in super::super) async fn rise(
    identity: &Identity,
    call: &Call,
    raised: Session,
    mut writes: Vec<Write>,
    event: impl Into<Event>,
) -> Result<Result<Secret<String>, NotBegun>, Failure> {
    let cookie = identity.fabric.random().token();
    let handle = cookies::session_handle(identity, &call.tenant.name, &cookie);
    writes.push(Write::RaiseSession(handle, Box::new(raised.clone())));
    let committed = commit(identity, call, &raised, writes, event).await?;
    Ok(committed.map(|()| cookie))
}

fn signed_in(client: Option<&ClientId>, session: &Session, factor: &Factor) -> Event {
    match &factor.vouched {
        Some(vouched) if factor.method == AuthenticationMethod::Federated => UpstreamSignIn {
            decision: Verdict::Allowed,
            provider: Some(Text::of(vouched.provider.as_str())),
            reason: None,
            session: Some(session.id),
            user: Some(session.user),
        }
        .into(),
        Some(_) | None => {
            let (outcome, user) = (SignInOutcome::SignedIn, Some(session.user));
            let mut event = attempt(client, factor.method, outcome, None, user);
            event.session = Some(session.id);
            event.into()
        }
    }
}

/// Everything at once, or nothing. The browser is known with its person from now on, and apart from that as one in which they proved a second factor, if they did.
async fn commit(
    identity: &Identity,
    call: &Call,
    session: &Session,
    mut writes: Vec<Write>,
    event: impl Into<Event>,
) -> Result<Result<(), NotBegun>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let browser = cookies::browser_tag(identity, call).ok_or(PageError::ForeignForm)?;
    let remember = AuthenticatorChange::RememberBrowser(session.user, browser);
    writes.push(Write::Authenticator(remember));
    if session.acr() >= Some(Acr::TwoFactors) {
        let proven = cookies::proven_browser_tag(identity, call).ok_or(PageError::ForeignForm)?;
        let remember = AuthenticatorChange::RememberBrowser(session.user, proven);
        writes.push(Write::Authenticator(remember));
    }
    let event = fabric.recorder().about_event(tenant, Some(call.id), event);
    match fabric
        .store()
        .change(tenant, writes, event, fabric.now())
        .await
    {
        Ok(_receipt) => {}
        Err(StoreError::Superseded("passkeys" | "recovery_codes" | "totp_secrets"))
        | Err(StoreError::Conflict(Constraint::Unique, _)) => {
            return Ok(Err(NotBegun::FactorUsed));
        }
        Err(StoreError::Superseded(what)) => return Ok(Err(NotBegun::Ended(what))),
        // Whoever is gone has no browsers.
        Err(StoreError::Conflict(..)) => return Ok(Err(NotBegun::Ended("users"))),
        Err(error) => return Err(error.into()),
    }
    call.was_recorded();
    Ok(Ok(()))
}

/// Back to where the interaction stands, with the new cookie.
fn answer(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    cookie: &Secret<String>,
) -> Result<Response, Failure> {
    let browser = cookies::browser(call).ok_or(PageError::ForeignForm)?;
    let sealed = ticket::seal(identity, call, &browser, Step::Resume, ticket)?;
    let resume = format!("{}?ticket={sealed}", call.path_of("/authorize/resume"));
    let mut response = see_other(&resume)?;
    cookies::keep_browser(&mut response, &call.tenant.name, &browser)?;
    cookies::set_session(&mut response, &call.tenant.name, cookie)?;
    Ok(response)
}
