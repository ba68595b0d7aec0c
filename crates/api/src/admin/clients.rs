//! Clients.

mod credential;

use super::Admin;
use super::answer::{AdminError, Answer};
use super::described::Described;
use super::request::Called;
use axum::extract::State;
use countersign_audit::Code;
use countersign_audit::event::{Actor, ClientAdded, ClientChanged};
use countersign_authn::access_token::DetailType;
use countersign_authn::trust::IssuerName;
use countersign_base::{Audience, Bounded, ClientId, Scope, Tenant, UnixTime};
use countersign_control::reconcile::method;
use countersign_oauth::client::{
    AccessTokenFormat, AnswerRules, Application, BindingRule, ConsentRule, GrantType, Origin,
    PushedRequestRule, RefreshRule, ResponseEncryption, SignedRequestRule,
};
use countersign_oauth::redirect::RedirectUri;
use countersign_oauth::subject_identifier::{Sector, SubjectType};
use countersign_oauth::{ClientRecord, ResponseMode, SecurityProfile};
use countersign_store::Write;
use countersign_store::tables::clients;
use countersign_store::tables::revocations::Revoked;
use credential::{Credential, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The body of `POST .../clients`. What is left out has the default of a declared client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    id: ClientId,
    name: Option<Bounded<128>>,
    method: Method,
    jwks: Option<Value>,
    tls_subject: Option<String>,
    tls_certificates: Option<Value>,
    workload: Option<IssuerName>,
    grants: BTreeSet<GrantType>,
    #[serde(default)]
    redirect_uris: BTreeSet<RedirectUri>,
    #[serde(default)]
    scopes: BTreeSet<Scope>,
    #[serde(default)]
    audiences: BTreeSet<Audience>,
    #[serde(default)]
    serves: BTreeSet<Audience>,
    profile: Option<SecurityProfile>,
    response_modes: Option<BTreeSet<ResponseMode>>,
    application: Option<Application>,
    consent: Option<ConsentRule>,
    access_token_format: Option<AccessTokenFormat>,
    access_token_seconds: Option<u32>,
    refresh_tokens: Option<RefreshRule>,
    subject_type: Option<SubjectType>,
    sector: Option<Sector>,
    binding: Option<BindingRule>,
    pushed_requests: Option<PushedRequestRule>,
    signed_requests: Option<SignedRequestRule>,
    #[serde(default)]
    authorization_details_types: BTreeSet<DetailType>,
    /// The JWK set for request objects and encrypted answers, if it is not the one of `jwks`.
    request_jwks: Option<Value>,
    encrypt_responses: Option<ResponseEncryption>,
    #[serde(default)]
    answers: AnswerRules,
}

impl Described for Add {
    const SCHEMA: &'static str = "ClientAdd";
}

/// Seconds that an access token may live.
const ACCESS_TOKEN_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;

impl Add {
    /// The registration that it asks for.
    fn record(
        self,
        admin: &Admin,
        tenant: &Tenant,
        now: UnixTime,
    ) -> Result<(ClientRecord, Option<String>), AdminError> {
        let credential = Credential {
            method: self.method,
            jwks: self.jwks,
            tls_subject: self.tls_subject,
            tls_certificates: self.tls_certificates,
            workload: self.workload,
        };
        let (authentication, secret) = credential.register(admin, tenant, &self.id)?;
        let mut record = ClientRecord::new(self.id, tenant.clone(), authentication, now);
        let defaults = record.clone();
        record.name = self.name.unwrap_or(defaults.name);
        record.grants = self.grants;
        record.redirect_uris = self.redirect_uris;
        record.scopes = self.scopes.into_iter().collect();
        record.audiences = self.audiences;
        record.serves = self.serves;
        record.application = self.application.unwrap_or(defaults.application);
        record.consent = self.consent.unwrap_or(defaults.consent);
        record.binding = self.binding.unwrap_or(defaults.binding);
        record.pushed_requests = self.pushed_requests.unwrap_or(defaults.pushed_requests);
        record.answers = self.answers;
        if let Some(seconds) = self.access_token_seconds {
            if !ACCESS_TOKEN_SECONDS.contains(&seconds) {
                let message = "an access token lives 1 to 3600 seconds";
                return Err(AdminError::Invalid(message.to_owned()));
            }
            record.access_token_lifetime = seconds;
        }
        let rules = &mut record.request_rules;
        rules.profile = self.profile.unwrap_or_default();
        rules.response_encryption = self.encrypt_responses;
        rules.jwks = self
            .request_jwks
            .map(credential::request_keys)
            .transpose()?;
        if let Some(modes) = self.response_modes {
            rules.response_modes = modes;
        }
        if let Some(signed) = self.signed_requests {
            rules.signed_requests = signed;
        }
        let rules = &mut record.token_rules;
        rules.access_token_format = self.access_token_format.unwrap_or_default();
        rules.detail_types = self.authorization_details_types;
        rules.refresh = self.refresh_tokens.unwrap_or_default();
        rules.sector = self.sector;
        rules.subject_type = self.subject_type.unwrap_or_default();
        Ok((record, secret.map(|secret| secret.expose().clone())))
    }
}

/// Its answer: the secret stands here once and nowhere else.
#[derive(Serialize)]
pub(crate) struct Added {
    client_id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

pub(crate) async fn add(State(admin): State<Admin>, called: Called) -> Answer<Added> {
    called.answered(|called| added(&admin, called)).await
}

async fn added(admin: &Admin, called: Called) -> Result<Added, AdminError> {
    let (permit, body) = called.permit(admin, "client", "add").await?;
    let body: Add = body.json().await?;
    let tenant = permit.tenant().clone();
    let (record, client_secret) = body.record(admin, &tenant, permit.now())?;
    let of_tenant = admin.fabric.directory().tenant(&tenant);
    record
        .check()
        .and_then(|()| of_tenant.map_or(Ok(()), |tenant| tenant.profile.check(&record)))
        .map_err(|error| AdminError::Invalid(error.to_string()))?;
    let client_id = record.id.clone();
    let event = ClientAdded {
        by: Actor::LocalAdministrator,
        client: client_id.clone(),
        method: method(&record.authentication),
    };
    permit
        .change(vec![Write::AddClient(Box::new(record))], event)
        .await?;
    admin.fabric.directory().client_changed(&tenant, &client_id);
    Ok(Added {
        client_id,
        client_secret,
    })
}

/// The body of `POST .../clients/disable`. An id may hold a slash, so it does not stand in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disable {
    id: ClientId,
}

impl Described for Disable {
    const SCHEMA: &'static str = "ClientDisable";
}

/// The client that may do nothing from now on.
#[derive(Serialize)]
pub(crate) struct Disabled {
    client_id: ClientId,
}

pub(crate) async fn disable(State(admin): State<Admin>, called: Called) -> Answer<Disabled> {
    called.answered(|called| disabled(&admin, called)).await
}

async fn disabled(admin: &Admin, called: Called) -> Result<Disabled, AdminError> {
    let (permit, body) = called.permit(admin, "client", "disable").await?;
    let body: Disable = body.json().await?;
    let found = {
        let mut connection = admin.read().await?;
        clients::find(&mut connection, permit.tenant(), &body.id).await?
    };
    let mut record = found.ok_or(AdminError::Unknown("client"))?;
    if record.origin == Origin::Configuration {
        return Err(AdminError::Declared);
    }
    record.enabled = false;
    // Nothing brings back whom an administrator disabled: not a document either.
    record.registration.document_withdrawn = None;
    let tenant = permit.tenant().clone();
    let event = ClientChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("disabled"),
        client: body.id.clone(),
    };
    let writes = vec![
        Write::PutClient(Box::new(record)),
        Write::Revoke(Revoked::Client(body.id.clone())),
    ];
    permit.change(writes, event).await?;
    admin.fabric.directory().client_changed(&tenant, &body.id);
    Ok(Disabled { client_id: body.id })
}
