//! `/authorize` (RFC 6749 §3.1): from a browser's arrival to a page, an error or a code. No CORS, no framing (R10).
//!
//! Each visit asks `oauth::authorize::next_step` again; a page's answer only adds a session or a consent, and cannot skip a step.

mod outcome;

pub(super) use outcome::{Cleared, end, issue};

use super::Identity;
use super::answer::Failure;
use super::body;
use super::call::Call;
use super::cookies;
use super::documents;
use super::own_page::{self, OwnPage};
use super::par::requested;
use super::record;
use super::response::deliver;
use super::sign_in;
use super::sign_in::admission::{self, Admission, Remedied};
use super::ticket::{self, Browser, Known, Source, Step, Ticket};
use crate::pages::{self, ConsentPage};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::AuthorizationRefused;
use countersign_authn::Form;
use countersign_base::ClientId;
use countersign_oauth::authorization_request::Prompt;
use countersign_oauth::authorize::{
    Beginning, ConsentQuestion, NextStep, PageError, Parameters, ReturnAddress, SignInReason,
    StaleRequest, Via, next_step,
};
use countersign_oauth::par::request_handle;
use countersign_oauth::subject_identifier::SubjectOrder;
use countersign_oauth::{
    AuthorizationRequest, ClientRecord, ConsentRecord, OAuthError, PushedRequest, Session, Taken,
};
use countersign_store::RequestUri;
use countersign_store::tables::{consents, one_time};
use http::Method;
use std::sync::Arc;

/// A browser arrives with a request.
pub(super) async fn begin(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = if call.parts.method == Method::POST {
        body::form(&mut call)
            .await
            .map_err(|_| PageError::Malformed)?
    } else {
        body::query(&call).map_err(|_| PageError::Malformed)?
    };
    let found = find(&identity, &call, &form).await;
    let (client, request, source) = match found {
        Ok(found) => found,
        Err(refusal) => return refuse(&identity, &call, refusal),
    };
    let session = cookies::session(&identity, &call).await?;
    let beginning = Beginning {
        at: identity.fabric.now(),
        session: session.as_ref().map(|session| session.id),
    };
    let ticket = Ticket {
        client: Some(client.id.clone()),
        source,
        beginning,
        session: None,
    };
    if matches!(ticket.source, Source::Here(_)) {
        let method = if form.contains("request") {
            "request_object"
        } else {
            "query"
        };
        record::refused(&identity, &call, requested(&request, method))?;
    }
    proceed(&identity, &call, &client, request, ticket, session).await
}

/// A browser comes back from signing in.
pub(super) async fn resume(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let form = body::query(&call).map_err(|_| PageError::Malformed)?;
    let ticket: Ticket = ticket::open(&identity, &call, Step::Resume, form.get("ticket"))?;
    let purpose = reopen(&identity, &call, &ticket).await?;
    let session = cookies::session(&identity, &call).await?;
    match purpose {
        Purpose::Client(client, request) => {
            proceed(&identity, &call, &client, *request, ticket, session).await
        }
        Purpose::Page(page) => own_page::show(&identity, &call, page, session).await,
    }
}

/// Why an arriving request goes nowhere.
enum Refusal {
    Page(PageError),
    Redirect(Arc<ClientRecord>, Box<ReturnAddress>, OAuthError),
}

impl From<PageError> for Refusal {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

async fn find(
    identity: &Identity,
    call: &Call,
    form: &Form,
) -> Result<(Arc<ClientRecord>, AuthorizationRequest, Source), Refusal> {
    let client = registered(
        identity,
        call,
        form.get("client_id").and_then(|id| id.parse().ok()),
    )
    .await?;
    if let Some(request_uri) = form.get("request_uri") {
        // RFC 9101 §5: one or the other.
        if form.contains("request") {
            return Err(PageError::Malformed.into());
        }
        let handle = request_handle(request_uri).map_err(PageError::RequestUri)?;
        let pushed = pushed(identity, call, handle).await?;
        let request = pushed
            .begin(&client.id, identity.fabric.now())
            .map_err(PageError::RequestUri)?
            .clone();
        check_standing(call, &client, &request)?;
        return Ok((client, request, Source::Pushed(handle.to_owned())));
    }
    let keys = identity.fabric.keys().decryption_keys(&call.tenant.name);
    let now = identity.fabric.now();
    let parameters = match Parameters::read(form, &client, &call.tenant, &keys, now) {
        Ok(parameters) => parameters,
        // Nothing in the object is believed; what stands beside it may still name a registered address.
        Err(error) => {
            return Err(match ReturnAddress::find(form, &client, &call.tenant) {
                Ok(address) if form.contains("redirect_uri") => {
                    Refusal::Redirect(client, Box::new(address), error)
                }
                Ok(_) | Err(_) => PageError::RequestObject(error).into(),
            });
        }
    };
    let address = ReturnAddress::find(parameters.form(), &client, &call.tenant)?;
    match AuthorizationRequest::parse(&parameters, &client, &address, &call.tenant, Via::Browser) {
        Ok(request) => Ok((client, request.clone(), Source::Here(Box::new(request)))),
        Err(error) => Err(Refusal::Redirect(client, Box::new(address), error)),
    }
}

async fn registered(
    identity: &Identity,
    call: &Call,
    id: Option<ClientId>,
) -> Result<Arc<ClientRecord>, PageError> {
    let id = id.ok_or(PageError::ClientUnknown)?;
    let client = documents::client(identity, call, &id)
        .await
        .map_err(|_| PageError::Unavailable)?;
    client
        .filter(|client| client.enabled)
        .ok_or(PageError::ClientUnknown)
}

async fn pushed(
    identity: &Identity,
    call: &Call,
    handle: &str,
) -> Result<PushedRequest, PageError> {
    let fabric = &identity.fabric;
    let hash = fabric
        .secrets()
        .handle::<RequestUri>(&call.tenant.name, handle);
    let mut connection = fabric
        .store()
        .read()
        .await
        .map_err(|_| PageError::Unavailable)?;
    match one_time::find(&mut connection, &call.tenant.name, &hash, fabric.now())
        .await
        .map_err(|_| PageError::Unavailable)?
    {
        Taken::Fresh(pushed) => Ok(pushed),
        Taken::Spent(_) => Err(PageError::RequestUri(OAuthError::RequestUriReused)),
        Taken::Unknown => Err(PageError::RequestUri(OAuthError::RequestUriUnknown)),
    }
}

fn check_standing(
    call: &Call,
    client: &Arc<ClientRecord>,
    request: &AuthorizationRequest,
) -> Result<(), Refusal> {
    match request.still_allowed(client, &call.tenant) {
        Ok(()) => Ok(()),
        Err(StaleRequest::Address) => Err(PageError::RedirectUri.into()),
        Err(StaleRequest::Parameters(error)) => Err(Refusal::Redirect(
            Arc::clone(client),
            Box::new(ReturnAddress::of(request, &call.tenant.issuer)),
            error,
        )),
    }
}

fn refuse(identity: &Identity, call: &Call, refusal: Refusal) -> Result<Response, Failure> {
    match refusal {
        Refusal::Page(error) => {
            let reason = Failure::Page(error).reason();
            record::authorization_refused(identity, call, None, "error_page", reason)?;
            Err(error.into())
        }
        Refusal::Redirect(client, address, error) => {
            record::authorization_refused(
                identity,
                call,
                Some(client.id.clone()),
                error.code().as_str(),
                error.reason(),
            )?;
            deliver(identity, call, &client, address.error(error))
        }
    }
}

/// What an interaction is for, as it stands now.
pub(super) enum Purpose {
    /// A client's authorization request.
    Client(Arc<ClientRecord>, Box<AuthorizationRequest>),
    /// A page of this server.
    Page(OwnPage),
}

impl Purpose {
    /// Where the person goes on to, in words.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Client(client, _) => client.name.as_str(),
            Self::Page(page) => page.name(),
        }
    }

    /// The client, if one sent the browser.
    pub(super) fn client_id(&self) -> Option<&ClientId> {
        match self {
            Self::Client(client, _) => Some(&client.id),
            Self::Page(_) => None,
        }
    }

    /// Where the redirect after a form may lead.
    pub(super) fn form_target(&self) -> String {
        match self {
            Self::Client(_, request) => pages::origin_of(request.redirect_uri.as_str()),
            Self::Page(_) => String::new(),
        }
    }
}

/// What a ticket is for, as it stands now.
pub(super) async fn reopen(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
) -> Result<Purpose, Failure> {
    ticket.check_age(identity.fabric.now())?;
    if let Source::Page(page) = &ticket.source {
        return Ok(Purpose::Page(page.clone()));
    }
    let client = registered(identity, call, ticket.client.clone()).await?;
    let request = match &ticket.source {
        Source::Here(request) => (**request).clone(),
        Source::Page(_) => return Err(PageError::ForeignForm.into()),
        Source::Pushed(handle) => {
            let pushed = pushed(identity, call, handle).await?;
            if pushed.client != client.id {
                return Err(PageError::RequestUri(OAuthError::RequestUriOfAnotherClient).into());
            }
            pushed.request
        }
    };
    if request.still_allowed(&client, &call.tenant).is_err() {
        return Err(PageError::InteractionOver.into());
    }
    Ok(Purpose::Client(client, Box::new(request)))
}

/// Asks what comes next and answers it.
async fn proceed(
    identity: &Identity,
    call: &Call,
    client: &Arc<ClientRecord>,
    request: AuthorizationRequest,
    ticket: Ticket,
    session: Option<Session>,
) -> Result<Response, Failure> {
    let session = session.filter(|session| admitted(identity, call, client, &request, session));
    let remembered = match &session {
        Some(session) => remembered(identity, call, session, client).await?,
        None => None,
    };
    let step = next_step(
        &request,
        client,
        session.as_ref(),
        remembered.as_ref(),
        ticket.beginning,
        identity.fabric.now(),
    );
    let (step, admitted) = match (session.as_ref(), step) {
        // Whoever signs in is judged then; nobody is told anything of a session before that.
        (None, step) | (Some(_), step @ (NextStep::SignIn(_) | NextStep::Refuse(_))) => {
            (step, None)
        }
        (Some(session), step) => {
            let silent = request.prompt.contains(&Prompt::None);
            match admission::of_session(identity, call, session, Some(&client.id)).await? {
                Admission::Admitted(admitted) => (step, Some(admitted)),
                Admission::Needs(_) if silent => {
                    (NextStep::Refuse(OAuthError::LoginRequired), None)
                }
                Admission::Needs(Remedied::Class(wanted)) => {
                    let demanded = request.acr_demanded();
                    let wanted = demanded.map_or(wanted, |demanded| demanded.max(wanted));
                    (NextStep::StepUp(wanted), None)
                }
                Admission::Needs(Remedied::Again) => (NextStep::SignIn(SignInReason::MaxAge), None),
                Admission::Refused => (NextStep::Refuse(OAuthError::PolicyDenied), None),
            }
        }
    };
    match step {
        NextStep::Approved(approved) => {
            let cleared = Cleared {
                approved,
                admitted: admitted.ok_or(PageError::InteractionOver)?,
                consent: None,
            };
            issue(identity, call, client, &request, &ticket, cleared).await
        }
        NextStep::AskConsent(question) => {
            let ticket = Ticket {
                session: session.map(|session| session.id),
                ..ticket
            };
            consent_page(identity, call, client, &request, &ticket, &question)
        }
        NextStep::SignIn(_) => {
            let purpose = Purpose::Client(Arc::clone(client), Box::new(request));
            sign_in::page(identity, call, &purpose, &ticket, None)
        }
        NextStep::StepUp(wanted) => {
            let session = session.ok_or(PageError::InteractionOver)?;
            admission::step_up(identity, call, ticket, &session, wanted).await
        }
        NextStep::Refuse(error) => {
            refuse_client(identity, call, client, &request, &ticket, error).await
        }
    }
}

/// Ends an interaction without a session, or with one that will not do: the client learns `error`, a person on their own pages reads it.
pub(super) async fn turn_away(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    error: OAuthError,
) -> Result<Response, Failure> {
    match reopen(identity, call, ticket).await? {
        Purpose::Client(client, request) => {
            refuse_client(identity, call, &client, &request, ticket, error).await
        }
        Purpose::Page(_) => Err(match error {
            OAuthError::AuthenticationUnmet => PageError::SecondFactorMissing,
            _ => PageError::SignInDenied,
        }
        .into()),
    }
}

async fn refuse_client(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    request: &AuthorizationRequest,
    ticket: &Ticket,
    error: OAuthError,
) -> Result<Response, Failure> {
    let event = AuthorizationRefused {
        client: Some(client.id.clone()),
        error: Code::of(error.code().as_str()),
        reason: Code::of(error.reason()),
        user: None,
    };
    end(identity, call, ticket, event).await?;
    let address = ReturnAddress::of(request, &call.tenant.issuer);
    deliver(identity, call, client, address.error(error))
}

/// The page that asks whether the client may have what it asks for.
fn consent_page(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    request: &AuthorizationRequest,
    ticket: &Ticket,
    question: &ConsentQuestion,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let sealed = ticket::seal(identity, call, &browser.value, Step::Consent, ticket)?;
    let page = ConsentPage {
        client: client.name.as_str(),
        client_id: client.id.as_str(),
        document: client.id.document_url().map(pages::host_of),
        host: pages::host_of(request.redirect_uri.as_str()),
        scopes: question
            .scopes()
            .iter()
            .map(|scope| pages::explain(scope.as_str()))
            .collect(),
        audiences: question
            .audiences()
            .iter()
            .filter(|audience| audience.as_str() != call.tenant.issuer.as_str())
            .map(|audience| audience.as_str())
            .collect(),
        claims: question
            .claims()
            .iter()
            .map(|claim| claim.words())
            .collect(),
        details: question
            .authorization_details()
            .iter()
            .map(|detail| pages::explain_detail(detail, &call.tenant.detail_types))
            .collect(),
        hours: client.refresh_token_lifetime().as_secs().div_ceil(3600),
        action: call.path_of("/consent"),
        ticket: &sealed,
    };
    shown(
        call,
        &browser,
        pages::render(
            &call.tenant,
            &page,
            &pages::origin_of(request.redirect_uri.as_str()),
        ),
    )
}

/// Whether a session is of the person that the request names, if it names one: another person's is none (OpenID Connect Core §5.5.1).
pub(super) fn admitted(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    request: &AuthorizationRequest,
    session: &Session,
) -> bool {
    let claims = &request.particulars.claims;
    claims.sub.is_none() || {
        let key = identity.fabric.keys().pairwise_key(&call.tenant.name);
        let sub = SubjectOrder::of(session.user, client).derive(&key);
        claims.admits(&sub.to_string())
    }
}

/// A page for this browser, which gets a name with it if it had none.
pub(super) fn shown(
    call: &Call,
    browser: &Browser,
    mut response: Response,
) -> Result<Response, Failure> {
    if browser.known == Known::New {
        cookies::name_browser(&mut response, &call.tenant.name, &browser.value)?;
    }
    Ok(response)
}

pub(super) async fn remembered(
    identity: &Identity,
    call: &Call,
    session: &Session,
    client: &ClientRecord,
) -> Result<Option<ConsentRecord>, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    Ok(consents::find(&mut connection, &call.tenant.name, session.user, &client.id).await?)
}
