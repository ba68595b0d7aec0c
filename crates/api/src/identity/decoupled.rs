//! What the endpoints of the device grant and of CIBA share: making a request that waits, putting it to a person, and writing what they said.
//!
//! Not here: what may be asked and answered (`oauth::decoupled`).

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use super::own_page::{self, Entry, OwnPage};
use super::record;
use super::ticket::{self, Browser, Step};
use crate::pages::{self, AskedDetail, AskedRequest};
use axum::response::Response;
use countersign_audit::event::{DecoupledAnswer, DecoupledAnswered, DecoupledRequested};
use countersign_audit::{Code, Names, Text};
use countersign_authn::Form;
use countersign_authn::access_token::AuthorizationDetails;
use countersign_base::{
    Audience, Bounded, ClientId, Duration, GrantId, Scopes, SessionId, UnixTime, UserId,
};
use countersign_crypto::jose::JwkThumbprint;
use countersign_oauth::authorize::PageError;
use countersign_oauth::decoupled::{
    BindingMessage, CIBA_PING, DecoupledRequest, Flow, Pace, PingDelivery, Polled, Question,
    QuestionRefused,
};
use countersign_oauth::{
    ClientRecord, Issuance, OAuthError, Particulars, ResolvedUser, Session, TokenRequest,
};
use countersign_policy::{Permitted, PolicyId, decide};
use countersign_store::tables::decoupled_requests::{self, Found};
use countersign_store::tables::{user_groups, users};
use countersign_store::{
    AuthReqId, DeliveryId, DeviceCode, NewDecoupled, NewDelivery, StoreError, Write,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};

/// What a client asks for, checked.
pub(super) struct Asking {
    pub(super) flow: Flow,
    pub(super) client: ClientId,
    pub(super) scopes: Scopes,
    pub(super) audiences: Vec<Audience>,
    pub(super) details: AuthorizationDetails,
    pub(super) dpop_jkt: Option<JwkThumbprint>,
    pub(super) user: Option<UserId>,
    pub(super) binding_message: Option<BindingMessage>,
    pub(super) lifetime: Duration,
}

/// The request that waits from now on.
pub(super) fn waiting(identity: &Identity, call: &Call, asking: Asking) -> DecoupledRequest {
    let now = identity.fabric.now();
    let source = Bounded::parse(&call.source().to_string());
    DecoupledRequest {
        flow: asking.flow,
        tenant: call.tenant.name.clone(),
        client: asking.client,
        grant: identity.fabric.random().grant_id(),
        scopes: asking.scopes,
        audiences: asking.audiences,
        particulars: Particulars {
            authorization_details: asking.details,
            ..Particulars::default()
        },
        dpop_jkt: asking.dpop_jkt,
        user: asking.user,
        binding_message: asking.binding_message,
        source: source.unwrap_or_else(|_| unknown_source()),
        notification: None,
        issued: now,
        expires: now.plus(asking.lifetime),
    }
}

#[expect(clippy::expect_used, reason = "seven letters are within the bound")]
fn unknown_source() -> Bounded<64> {
    Bounded::parse("unknown").expect("a bounded text")
}

/// Stores a request with its event.
pub(super) async fn store(
    identity: &Identity,
    call: &Call,
    new: NewDecoupled,
    request: &DecoupledRequest,
) -> Result<(), StoreError> {
    let fabric = &identity.fabric;
    let event = DecoupledRequested {
        aud: request
            .audiences
            .first()
            .map(|audience| Text::of(audience.as_str())),
        client: request.client.clone(),
        flow: Code::of(request.flow.name()),
        grant: request.grant,
        scopes: Text::of(&request.scopes.to_string()),
        user: request.user,
    };
    let event = fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event);
    let writes = vec![Write::AddDecoupled(new)];
    fabric
        .store()
        .change(&call.tenant.name, writes, event, fabric.now())
        .await
        .map(drop)
}

/// Records that a client may not ask, then says so.
pub(super) fn refuse<T>(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    error: OAuthError,
    failure: Failure,
) -> Result<T, Failure> {
    record::authorization_refused(
        identity,
        call,
        Some(client.clone()),
        error.code().as_str(),
        error.reason(),
    )?;
    Err(failure)
}

/// Why a poll is not worth a transaction: nobody has answered yet. Nothing if it is, or if the request is no poll.
///
/// What is found here decides nothing: whoever is not told to wait is judged in the token transaction.
pub(super) async fn still_waits(
    identity: &Identity,
    call: &Call,
    request: &TokenRequest,
    client: &ClientRecord,
) -> Result<Option<OAuthError>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let now = fabric.now();
    let (handle, polled) = match request {
        TokenRequest::Ciba(request) => {
            let id = request.auth_req_id.expose();
            let handle = fabric.secrets().handle::<AuthReqId>(tenant, id);
            let mut connection = fabric.store().read().await?;
            let polled = decoupled_requests::look(&mut connection, tenant, &handle, now).await?;
            (*handle.as_bytes(), polled)
        }
        TokenRequest::DeviceCode(request) => {
            let code = request.device_code.expose();
            let handle = fabric.secrets().handle::<DeviceCode>(tenant, code);
            let mut connection = fabric.store().read().await?;
            let polled = decoupled_requests::look(&mut connection, tenant, &handle, now).await?;
            (*handle.as_bytes(), polled)
        }
        TokenRequest::AuthorizationCode(_)
        | TokenRequest::ClientCredentials(_)
        | TokenRequest::JwtBearer(_)
        | TokenRequest::RefreshToken(_)
        | TokenRequest::TokenExchange(_) => return Ok(None),
    };
    let mut polls = identity
        .polls
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match polled {
        Polled::Waiting(request)
            if request.client == client.id
                && client.grants.contains(&request.flow.grant_type()) =>
        {
            Ok(Some(match polls.poll(&handle, request.expires, now) {
                Pace::Kept => OAuthError::AuthorizationPending,
                Pace::TooFast => OAuthError::SlowDown,
            }))
        }
        Polled::Answered(..) | Polled::Expired(_) => {
            polls.forget(&handle);
            Ok(None)
        }
        Polled::Spent(_) | Polled::Unknown | Polled::Waiting(_) => Ok(None),
    }
}

/// What an answer's form names: the request, and the session that its page was made for.
#[derive(Serialize, Deserialize)]
struct Named {
    grant: GrantId,
    session: SessionId,
}

/// A request that may be put to the person of `session`, with what its page shows.
pub(super) struct Put {
    question: Question,
    client: Arc<ClientRecord>,
}

/// Puts a request to the person of a session.
pub(super) async fn put(
    identity: &Identity,
    call: &Call,
    found: Found,
    session: &Session,
) -> Result<Result<Put, QuestionRefused>, Failure> {
    let client = identity
        .fabric
        .directory()
        .client(&call.tenant.name, &found.request.client)
        .await?;
    let Some(client) = client else {
        return Ok(Err(QuestionRefused::Client));
    };
    let now = identity.fabric.now();
    let question = Question::ask(
        found.request,
        found.answer.as_ref(),
        &client,
        &call.tenant,
        session,
        now,
    );
    Ok(question.map(|question| Put { question, client }))
}

impl Put {
    /// Who asks.
    pub(super) fn client(&self) -> &ClientId {
        &self.client.id
    }

    /// What the page says of it.
    pub(super) fn page(
        &self,
        identity: &Identity,
        call: &Call,
        browser: &Browser,
    ) -> Result<AskedRequest, PageError> {
        let request = self.question.request();
        let named = Named {
            grant: request.grant,
            session: self.question.session().id,
        };
        let own = call.tenant.issuer.as_str();
        let hosts = self.client.redirect_uris.iter().next();
        Ok(AskedRequest {
            client: self.client.name.as_str().to_owned(),
            client_id: self.client.id.as_str().to_owned(),
            host: hosts.map(|uri| pages::host_of(uri.as_str())),
            message: request
                .binding_message
                .as_ref()
                .map(|message| message.as_str().to_owned()),
            scopes: request
                .scopes
                .iter()
                .map(|scope| {
                    let explained = pages::explain(scope.as_str());
                    (explained.scope.to_owned(), explained.words)
                })
                .collect(),
            audiences: request
                .audiences
                .iter()
                .filter(|audience| audience.as_str() != own)
                .map(|audience| audience.as_str().to_owned())
                .collect(),
            details: request
                .particulars
                .authorization_details
                .iter()
                .map(|detail| {
                    let explained = pages::explain_detail(detail, &call.tenant.detail_types);
                    AskedDetail {
                        words: explained.words.to_owned(),
                        kind: explained.kind.to_owned(),
                        members: explained
                            .members
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect(),
                    }
                })
                .collect(),
            when: ago(request.issued, identity.fabric.now()),
            source: request.source.as_str().to_owned(),
            ticket: ticket::seal(identity, call, &browser.value, Step::Answer, &named)?,
        })
    }
}

/// How long ago, as people say it.
fn ago(then: UnixTime, now: UnixTime) -> String {
    match now.since(then).as_secs() {
        0..=59 => "less than a minute ago".to_owned(),
        60..=119 => "a minute ago".to_owned(),
        seconds => format!("{} minutes ago", seconds / 60),
    }
}

/// What came of an answer.
pub(super) enum Answered {
    /// It is written.
    Written(Said, Box<DecoupledRequest>, Arc<ClientRecord>),
    /// Policy lets them allow it after what this answer asks for.
    Asked(Response),
    /// A policy denies what the person would have allowed.
    Denied,
}

/// What the person said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Allow,
    Deny,
}

/// Takes the answer of a form that this program made for this browser and this session.
pub(super) async fn answer(
    identity: &Identity,
    call: &Call,
    form: &Form,
    session: Option<Session>,
) -> Result<Answered, Failure> {
    let named: Named = match ticket::open(identity, call, Step::Answer, form.get("ticket")) {
        Ok(named) => named,
        Err(error) => {
            record::authorization_refused(identity, call, None, "error_page", "foreign_form")?;
            return Err(error.into());
        }
    };
    let said = match form.get("answer") {
        Some("allow") => Said::Allow,
        Some("deny") => Said::Deny,
        Some(_) | None => return Err(PageError::Malformed.into()),
    };
    // The page was made for one person; another one who signed in meanwhile has not read it.
    let session = session
        .filter(|session| session.id == named.session)
        .ok_or(PageError::InteractionOver)?;
    let mut connection = identity.fabric.store().read().await?;
    let found =
        decoupled_requests::find_by_grant(&mut connection, &call.tenant.name, named.grant).await?;
    drop(connection);
    let found = found.ok_or(PageError::InteractionOver)?;
    let event = Reported::of(&found.request, session.user);
    let put = match put(identity, call, found, &session).await? {
        Ok(put) => put,
        Err(refused) => {
            let reason = reason(refused);
            record::refused(identity, call, event.refused(reason, Names::none()))?;
            return Err(PageError::InteractionOver.into());
        }
    };
    match said {
        Said::Allow => allow(identity, call, put, &session, event).await,
        Said::Deny => {
            let answer = put.question.deny();
            let event = event.with(DecoupledAnswer::Denied, Names::none());
            write(identity, call, put, said, answer, event).await
        }
    }
}

async fn allow(
    identity: &Identity,
    call: &Call,
    put: Put,
    session: &Session,
    event: Reported,
) -> Result<Answered, Failure> {
    // Whoever comes here is judged as whoever comes through `/authorize`.
    let entry = own_page::enter(
        identity,
        call,
        &OwnPage::Requests,
        session,
        Some(put.client()),
    );
    if let Entry::Asked(asked) = entry.await? {
        return Ok(Answered::Asked(asked));
    }
    let person = match person(identity, call, event.user).await? {
        Some(person) if person.user.enabled => person,
        Some(_) | None => {
            record::refused(
                identity,
                call,
                event.refused("user_disabled", Names::none()),
            )?;
            return Err(PageError::InteractionOver.into());
        }
    };
    let permit = match permitted(identity, call, &put, &person) {
        Ok(permit) => permit,
        Err(policies) => {
            record::happened(identity, call, event.refused("policy_denied", policies)).await?;
            return Ok(Answered::Denied);
        }
    };
    let policies = names(permit.decision().policies());
    let Put { question, client } = put;
    let request = Box::new(question.request().clone());
    let answer = match question.allow(&permit) {
        Ok(answer) => answer,
        Err(refused) => {
            record::refused(identity, call, event.refused(reason(refused), policies))?;
            return Err(PageError::InteractionOver.into());
        }
    };
    let event = event.with(DecoupledAnswer::Allowed, policies);
    commit(identity, call, &request, &answer, event).await?;
    Ok(Answered::Written(Said::Allow, request, client))
}

async fn write(
    identity: &Identity,
    call: &Call,
    put: Put,
    said: Said,
    answer: countersign_oauth::decoupled::Answer,
    event: DecoupledAnswered,
) -> Result<Answered, Failure> {
    let request = Box::new(put.question.request().clone());
    commit(identity, call, &request, &answer, event).await?;
    Ok(Answered::Written(said, request, put.client))
}

/// The permit for what an "Allow" would come to, with whichever key the client will prove; or the policies that deny it with every one.
fn permitted(
    identity: &Identity,
    call: &Call,
    put: &Put,
    person: &ResolvedUser,
) -> Result<Permitted<Issuance>, Names> {
    let policies = identity.fabric.policies();
    let now = identity.fabric.now();
    let issuances = put
        .question
        .issuances(&put.client, person, &call.tenant, now);
    let mut denied = Names::none();
    for issuance in issuances {
        match decide(&policies, issuance) {
            Ok(permit) => return Ok(permit),
            Err(denial) => denied = names(denial.decision().policies()),
        }
    }
    Err(denied)
}

fn names(policies: &[PolicyId]) -> Names {
    Names::of(policies.iter().map(PolicyId::as_str))
}

/// Writes an answer that nobody gave before.
async fn commit(
    identity: &Identity,
    call: &Call,
    request: &DecoupledRequest,
    answer: &countersign_oauth::decoupled::Answer,
    event: DecoupledAnswered,
) -> Result<(), Failure> {
    let fabric = &identity.fabric;
    let event = fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event);
    let mut writes = vec![Write::AnswerDecoupled(
        request.grant,
        Box::new(answer.clone()),
    )];
    writes.extend(notification(request)?.map(|told| Write::Deliver(Box::new(told))));
    let written = fabric
        .store()
        .change(&call.tenant.name, writes, event, fabric.now())
        .await;
    match written {
        Ok(_receipt) => Ok(()),
        Err(StoreError::Superseded(_)) => Err(PageError::InteractionOver.into()),
        Err(error) => Err(error.into()),
    }
}

/// What tells the client that there is an answer, if it registered to be told.
fn notification(request: &DecoupledRequest) -> Result<Option<NewDelivery>, Failure> {
    let Some(notice) = &request.notification else {
        return Ok(None);
    };
    let what = PingDelivery {
        client: request.client.clone(),
        grant: request.grant,
        notice: notice.clone(),
    };
    let grant = request.grant.as_u64().to_be_bytes();
    let id = DeliveryId::of(CIBA_PING, &[request.tenant.as_str().as_bytes(), &grant]);
    let destination = Bounded::parse(request.client.as_str()).map_err(|_| Failure::Unavailable)?;
    let told = NewDelivery::new(id, CIBA_PING, destination, &what, request.expires)?;
    Ok(Some(told))
}

/// A person with the roles of their groups, as policies see them.
pub(super) async fn person(
    identity: &Identity,
    call: &Call,
    user: UserId,
) -> Result<Option<ResolvedUser>, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let Some(record) = users::find(&mut connection, &call.tenant.name, user).await? else {
        return Ok(None);
    };
    let groups = user_groups::of_user(&mut connection, &call.tenant.name, user).await?;
    Ok(Some(ResolvedUser::new(record, &groups)))
}

/// The part of an event that is known before the answer.
struct Reported {
    client: ClientId,
    flow: Flow,
    grant: GrantId,
    scopes: Text<512>,
    user: UserId,
}

impl Reported {
    fn of(request: &DecoupledRequest, user: UserId) -> Self {
        Self {
            client: request.client.clone(),
            flow: request.flow,
            grant: request.grant,
            scopes: Text::of(&request.scopes.to_string()),
            user,
        }
    }

    fn with(&self, answer: DecoupledAnswer, policies: Names) -> DecoupledAnswered {
        DecoupledAnswered {
            answer,
            client: self.client.clone(),
            flow: Code::of(self.flow.name()),
            grant: self.grant,
            policies,
            reason: None,
            scopes: self.scopes.clone(),
            user: self.user,
        }
    }

    fn refused(&self, reason: &'static str, policies: Names) -> DecoupledAnswered {
        DecoupledAnswered {
            reason: Some(Code::of(reason)),
            ..self.with(DecoupledAnswer::Refused, policies)
        }
    }
}

/// The reason as the log names it.
pub(super) const fn reason(refused: QuestionRefused) -> &'static str {
    match refused {
        QuestionRefused::Answered => "answered_before",
        QuestionRefused::Client => "client_disabled",
        QuestionRefused::Expired => "expired",
        QuestionRefused::Permit => "permit_differs",
        QuestionRefused::Person => "another_person",
    }
}
