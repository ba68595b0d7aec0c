//! What the audit log hears from these endpoints. People appear by id only, callers' texts never.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use countersign_audit::event::{AuthorizationRefused, ClientAuthentication, Token, Verdict};
use countersign_audit::{Code, Event, Names, Record, Text};
use countersign_base::{ClientId, UserId};
use countersign_oauth::issuance::TokenSubject;
use countersign_oauth::{Issuance, OAuthError};
use countersign_policy::{Decision, Query};
use countersign_store::{Durability, Recorder};

/// Records what anybody may cause, bounded by its source: refusals, and arrivals of requests that nobody vouches for.
pub(super) fn refused(
    identity: &Identity,
    call: &Call,
    event: impl Into<Event>,
) -> Result<(), Failure> {
    identity
        .fabric
        .recorder()
        .refused(call.source(), &call.tenant.name, Some(call.id), event)?;
    call.was_recorded();
    Ok(())
}

/// Records an event that is no refusal; it is on disk when this returns.
pub(super) async fn happened(
    identity: &Identity,
    call: &Call,
    event: impl Into<Event>,
) -> Result<(), Failure> {
    let _receipt = identity
        .fabric
        .recorder()
        .event(&call.tenant.name, Some(call.id), event, Durability::Durable)
        .await?;
    call.was_recorded();
    Ok(())
}

/// Records an event that changes nothing; it has its place in the bounded queue when this returns.
pub(super) async fn noted(
    identity: &Identity,
    call: &Call,
    event: impl Into<Event>,
) -> Result<(), Failure> {
    let recorder = identity.fabric.recorder();
    let _receipt = recorder
        .event(&call.tenant.name, Some(call.id), event, Durability::Queued)
        .await?;
    call.was_recorded();
    Ok(())
}

/// Records that a client did not authenticate.
pub(super) fn client_refused(
    identity: &Identity,
    call: &Call,
    client: Option<ClientId>,
    method: &'static str,
    reason: &'static str,
) -> Result<(), Failure> {
    let event = ClientAuthentication {
        client,
        decision: Verdict::Denied,
        method: Code::of(method),
        reason: Some(Code::of(reason)),
    };
    refused(identity, call, event)
}

/// Records that an authorization request was refused.
pub(super) fn authorization_refused(
    identity: &Identity,
    call: &Call,
    client: Option<ClientId>,
    error: &'static str,
    reason: &'static str,
) -> Result<(), Failure> {
    refused(
        identity,
        call,
        AuthorizationRefused {
            client,
            error: Code::of(error),
            reason: Code::of(reason),
            user: None,
        },
    )
}

/// The event of a refused token request.
pub(super) fn token_refused(
    client: Option<ClientId>,
    grant_type: &'static str,
    error: OAuthError,
) -> Token {
    Token {
        client,
        error: Some(Code::of(error.code().as_str())),
        reason: Some(Code::of(error.reason())),
        ..Token::new(Verdict::Denied, Code::of(grant_type))
    }
}

/// The record of a decided token request, with the sealed query behind it.
pub(super) fn token_decided(
    recorder: &Recorder,
    call: &CallFacts,
    issuance: &Issuance,
    decision: &Decision,
    query: &Query,
    refusal: Option<&'static str>,
) -> Record {
    let verdict = if refusal.is_some() {
        Verdict::Denied
    } else {
        Verdict::Allowed
    };
    let mut record = recorder.about_event(
        &call.tenant,
        Some(call.request),
        Token::new(verdict, Code::of(issuance.grant_type().as_str())),
    );
    let user = user_of(issuance);
    let policies: Vec<String> = decision
        .policies()
        .iter()
        .map(ToString::to_string)
        .collect();
    let claims = issuance.access_token_claims();
    record.event = Token {
        actor: issuance
            .actor()
            .and_then(|act| act.actors().first())
            .map(|actor| Text::of(actor.sub.as_str())),
        aud: Some(Text::of(issuance.audience().as_str())),
        binding: binding(issuance),
        client: Some(issuance.client().clone()),
        commitment: recorder.keep_query(&call.tenant, user, record.id, query),
        error: refusal.map(|_| Code::of(OAuthError::PolicyDenied.code().as_str())),
        grant: Some(issuance.grant()),
        jti: Some(Text::of(claims.jti.as_str())),
        policies: Names::of(policies.iter().map(String::as_str)),
        reason: refusal.map(Code::of),
        scopes: Text::of(&issuance.scopes().to_string()),
        user,
        ..Token::new(verdict, Code::of(issuance.grant_type().as_str()))
    }
    .into();
    record
}

/// What a judge knows of the call it judges for.
#[derive(Clone)]
pub(super) struct CallFacts {
    pub(super) source: std::net::IpAddr,
    pub(super) tenant: countersign_base::Tenant,
    pub(super) request: countersign_base::RequestId,
}

impl From<&Call> for CallFacts {
    fn from(call: &Call) -> Self {
        Self {
            source: call.source(),
            tenant: call.tenant.name.clone(),
            request: call.id,
        }
    }
}

fn user_of(issuance: &Issuance) -> Option<UserId> {
    match issuance.subject() {
        TokenSubject::Client(_) => None,
        TokenSubject::User(user) => Some(user.id),
    }
}

fn binding(issuance: &Issuance) -> Option<Text<64>> {
    match issuance.binding() {
        countersign_oauth::Binding::Bearer => None,
        countersign_oauth::Binding::Certificate(thumbprint) => {
            Some(Text::of(&thumbprint.to_string()))
        }
        countersign_oauth::Binding::Dpop(thumbprint) => Some(Text::of(&thumbprint.to_string())),
    }
}

/// Records a refusal that no handler recorded, so that none is left out.
pub(super) fn unheard(
    identity: &Identity,
    tenant: &countersign_base::Tenant,
    source: std::net::IpAddr,
    id: countersign_base::RequestId,
    failure: &Failure,
) -> Result<(), Failure> {
    let event = AuthorizationRefused {
        client: None,
        error: Code::of("refused"),
        reason: Code::of(failure.reason()),
        user: None,
    };
    identity
        .fabric
        .recorder()
        .refused(source, tenant, Some(id), event)?;
    Ok(())
}
