//! `/register` (RFC 7591) and `/register/CLIENT_ID` (RFC 7592): clients that register themselves, where a tenant lets them.
//!
//! What may be registered is decided by policy within the tenant's own limits; the decision is recorded before anything is written. A secret and a registration
//! access token stand in the one answer that makes them: the store keeps keyed hashes. An update makes another registration access token, and of two updates with
//! the same one the second is refused.

mod credential;
mod proposal;

pub(super) use proposal::permitted;

use super::Identity;
use super::answer::{Failure, json, with_type};
use super::call::Call;
use super::record;
use axum::response::Response;
use countersign_audit::event::{Actor, ClientAdded, ClientChanged, RegistrationRefused};
use countersign_audit::{Code, Event};
use countersign_base::{ClientId, Secret};
use countersign_oauth::registration::{
    ClientInformation, Credential, Operation, Proposal, RegistrationRefusal,
};
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_oauth::{ClientAuthentication, ClientRecord, Taken};
use countersign_policy::Permitted;
use countersign_store::{InitialAccessToken, Judged, Recorded, Settled, StoreError, Write};
use credential::{Shown, initial_access};
use http::{Method, StatusCode};
use proposal::{Registering, Sent, read_body};
use std::sync::Arc;

/// A client registers.
pub(super) async fn register(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let mode = call.tenant.registration.mode;
    if mode == RegistrationMode::Closed {
        return Err(Failure::NotFound);
    }
    identity.slow_down(&call)?;
    let registered = added(&identity, &mut call, mode).await;
    told(&identity, &call, None, registered)
}

/// A client looks at, replaces or ends its registration.
pub(super) async fn manage(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    if call.tenant.registration.mode == RegistrationMode::Closed {
        return Err(Failure::NotFound);
    }
    identity.slow_down(&call)?;
    let client = call.below("/register/").and_then(|id| id.parse().ok());
    let managed = managed(&identity, &mut call, client.as_ref()).await;
    let known = managed.is_ok().then_some(client).flatten();
    told(&identity, &call, known, managed)
}

/// Records a refusal that is the caller's own.
fn told(
    identity: &Identity,
    call: &Call,
    client: Option<ClientId>,
    outcome: Result<Response, Failure>,
) -> Result<Response, Failure> {
    if let Err(Failure::Registration(refusal)) = &outcome
        && *refusal != RegistrationRefusal::Policy
    {
        let event = RegistrationRefused {
            client,
            error: Code::of(refusal.code()),
            reason: Code::of(refusal.reason()),
        };
        record::refused(identity, call, event)?;
    }
    outcome
}

async fn added(
    identity: &Identity,
    call: &mut Call,
    mode: RegistrationMode,
) -> Result<Response, Failure> {
    let shown = initial_access(identity, call, mode).await?;
    let sent = read_body(call).await?;
    let sent = sent.with_statement(call, identity.fabric.now(), mode)?;
    let id = identity.new_client_id()?;
    let credential = match (&shown, &sent.statement) {
        (Shown::InitialAccessToken(_), _) => Credential::InitialAccessToken,
        (Shown::Nothing, Some(_)) => Credential::SoftwareStatement,
        (Shown::Nothing, None) => Credential::Nothing,
    };
    let proposal = proposal::propose(identity, call, id, &sent, (Operation::Add, credential))?;
    let recorded = permitted(identity, call, proposal).await?;
    proposal::fetched(identity, recorded.decision().target().proposal()).await?;
    let (recorded, secret, token) = with_credentials(identity, call, recorded, None);
    let event = added_event(identity, call, &recorded);
    let record = recorded.into_record();
    let information = ClientInformation::of(&record);
    commit_new(identity, call, shown, record, event).await?;
    let response = answer(call, information, secret, Some(&token));
    Ok(json(StatusCode::CREATED, response.members()))
}

/// The client that was permitted and recorded, with the credentials that this call made.
fn with_credentials(
    identity: &Identity,
    call: &Call,
    recorded: Recorded<Permitted<Registering>>,
    kept: Option<Vec<u8>>,
) -> (Proposal, Option<Secret<String>>, Secret<String>) {
    let mut proposal = recorded.into_target().into_proposal();
    let token = identity.fabric.random().token();
    let tag = credential::token_tag(identity, call, &proposal.record().id, &token);
    let secret = match (&proposal.record().authentication, &kept) {
        (ClientAuthentication::Secret { .. }, None) => Some(identity.fabric.random().token()),
        (_, _) => None,
    };
    let secret_tag = secret
        .as_ref()
        .map(|secret| credential::secret_tag_of(identity, call, &proposal.record().id, secret))
        .or(kept);
    proposal.credentials(secret_tag, tag.as_bytes().to_vec());
    (proposal, secret, token)
}

fn added_event(identity: &Identity, call: &Call, proposal: &Proposal) -> countersign_audit::Record {
    let event = ClientAdded {
        by: Actor::Anonymous,
        client: proposal.record().id.clone(),
        method: Code::of(proposal.method()),
    };
    identity
        .fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event)
}

/// Writes a new client; an initial access token is spent in the same transaction.
async fn commit_new(
    identity: &Identity,
    call: &Call,
    shown: Shown,
    record: ClientRecord,
    event: countersign_audit::Record,
) -> Result<(), Failure> {
    let (store, now) = (identity.fabric.store(), identity.fabric.now());
    let id = record.id.clone();
    let clients_max = call.tenant.registration.clients_max;
    let writes = vec![Write::AddRegistered(Box::new(record), clients_max)];
    match shown {
        Shown::Nothing => {
            let changed = store.change(&call.tenant.name, writes, event, now);
            let _receipt = changed.await.map_err(full)?;
        }
        Shown::InitialAccessToken(handle) => {
            let judge = move |taken| match taken {
                Taken::Fresh(_) => Judged::Commit {
                    permit: (),
                    writes,
                    event,
                },
                Taken::Spent(_) | Taken::Unknown => Judged::Refuse {
                    error: RegistrationRefusal::Credential,
                },
            };
            let settled = store
                .spend::<InitialAccessToken, (), RegistrationRefusal, _>(
                    &call.tenant.name,
                    handle,
                    now,
                    judge,
                )
                .await
                .map_err(full)?;
            settled_or_refused(settled)?;
        }
    }
    identity
        .fabric
        .directory()
        .client_changed(&call.tenant.name, &id);
    Ok(())
}

/// A tenant that has its share is a refusal, and no fault of the store. An initial access token is unspent after it.
fn full(error: StoreError) -> Failure {
    match error {
        StoreError::Full(_) => RegistrationRefusal::Full.into(),
        other => other.into(),
    }
}

fn settled_or_refused<P>(settled: Settled<P, RegistrationRefusal>) -> Result<(), Failure> {
    match settled {
        Settled::Permitted(_) => Ok(()),
        Settled::Refused(refused) => Err(refused.into_decision().into()),
        Settled::RefusedUnrecorded(refusal) => Err(refusal.into()),
    }
}

async fn managed(
    identity: &Identity,
    call: &mut Call,
    client: Option<&ClientId>,
) -> Result<Response, Failure> {
    let (record, token) = credential::managing(identity, call, client).await?;
    match call.parts.method {
        Method::PUT => changed(identity, call, record, token).await,
        Method::DELETE => removed(identity, call, record, token).await,
        _ => Ok(json(
            StatusCode::OK,
            answer(call, ClientInformation::of(&record), None, None).members(),
        )),
    }
}

async fn changed(
    identity: &Identity,
    call: &mut Call,
    stored: ClientRecord,
    token: Secret<String>,
) -> Result<Response, Failure> {
    let sent = read_body(call).await?;
    credential::names_itself(identity, call, &sent.object, &stored)?;
    let mode = match &stored.registration.software_issuer {
        Some(_) => RegistrationMode::SoftwareStatement,
        None => RegistrationMode::Open,
    };
    let sent: Sent = sent.with_statement(call, identity.fabric.now(), mode)?;
    let how = (Operation::Change, Credential::RegistrationAccessToken);
    let proposal = proposal::propose(identity, call, stored.id.clone(), &sent, how)?;
    let recorded = permitted(identity, call, proposal).await?;
    proposal::fetched(identity, recorded.decision().target().proposal()).await?;
    let kept = match &stored.authentication {
        ClientAuthentication::Secret { tag } => Some(tag.clone()),
        _ => None,
    };
    let (proposal, secret, fresh) = with_credentials(identity, call, recorded, kept);
    let event = changed_event(identity, call, &stored.id, "registration");
    let good = credential::token_tag(identity, call, &stored.id, &token);
    let information = ClientInformation::of(&proposal.clone().over(stored.clone()));
    let judge = move |found: Option<ClientRecord>| match found {
        Some(found) if credential::holds(&found, &good) => Judged::Commit {
            permit: (),
            writes: vec![Write::PutClient(Box::new(proposal.over(found)))],
            event,
        },
        Some(_) | None => Judged::Refuse {
            error: RegistrationRefusal::Credential,
        },
    };
    revise(identity, call, &stored.id, judge).await?;
    let response = answer(call, information, secret, Some(&fresh));
    Ok(json(StatusCode::OK, response.members()))
}

async fn removed(
    identity: &Identity,
    call: &Call,
    stored: ClientRecord,
    token: Secret<String>,
) -> Result<Response, Failure> {
    let event = changed_event(identity, call, &stored.id, "removed");
    let good = credential::token_tag(identity, call, &stored.id, &token);
    let id = stored.id.clone();
    let judge = move |found: Option<ClientRecord>| match found {
        Some(found) if credential::holds(&found, &good) => Judged::Commit {
            permit: (),
            writes: vec![Write::RemoveClient(id)],
            event,
        },
        Some(_) | None => Judged::Refuse {
            error: RegistrationRefusal::Credential,
        },
    };
    revise(identity, call, &stored.id, judge).await?;
    Ok(with_type(
        StatusCode::NO_CONTENT,
        "application/json",
        Vec::new(),
    ))
}

fn changed_event(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    change: &'static str,
) -> countersign_audit::Record {
    let event: Event = ClientChanged {
        by: Actor::Client(client.clone()),
        change: Code::of(change),
        client: client.clone(),
    }
    .into();
    identity
        .fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event)
}

async fn revise(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    judge: impl FnOnce(Option<ClientRecord>) -> Judged<(), RegistrationRefusal> + Send + 'static,
) -> Result<(), Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let now = fabric.now();
    let settled = fabric
        .store()
        .revise_client(tenant, client, now, judge)
        .await?;
    settled_or_refused(settled)?;
    fabric.directory().client_changed(tenant, client);
    fabric.revocations().refresh(fabric.store(), now).await?;
    Ok(())
}

/// The client information response (RFC 7591 §3.2.1, RFC 7592 §3).
fn answer(
    call: &Call,
    information: ClientInformation,
    secret: Option<Secret<String>>,
    token: Option<&Secret<String>>,
) -> ClientInformation {
    let id = information.members().get("client_id").cloned();
    let id = id.as_ref().and_then(|id| id.as_str()).unwrap_or_default();
    let address = format!("{}/register/{id}", call.tenant.issuer);
    let mut information = information.with("registration_client_uri", address);
    if let Some(token) = token {
        information = information.with("registration_access_token", token.expose().as_str());
    }
    if let Some(secret) = secret {
        information = information
            .with("client_secret", secret.expose().as_str())
            .with("client_secret_expires_at", 0);
    }
    information
}
