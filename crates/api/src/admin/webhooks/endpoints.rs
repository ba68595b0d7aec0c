//! Endpoints: added, shown, enabled, disabled, removed; their secrets rotated. What one is is changed in [`super::change`].

use super::receiver;
use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer, is_cut};
use crate::admin::described::Described;
use crate::admin::request::{Called, Permit};
use axum::extract::State;
use countersign_audit::event::{Actor, WebhookEndpointChanged, WebhookSecretRotated};
use countersign_audit::{Code, Count};
use countersign_base::{
    Bounded, Duration, EndpointId, EventPattern, PartnerName, ReceiverUrl, UnixTime,
    WebhookSecretId,
};
use countersign_control::webhooks::{self, MadeSecret, Receiver};
use countersign_store::Write;
use countersign_store::tables::PAGE_MAX;
use countersign_store::tables::webhook_endpoints::{
    self, DisabledBecause, EndpointRecord, EndpointRow, EndpointSwitch, EndpointTarget,
    WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::tables::webhook_secrets::{self, WebhookSecretRow};
use countersign_store::webhooks::{NewEndpoint, WebhookWrite};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The schedule of retries that an endpoint has unless its partner says otherwise.
const SCHEDULE: &str = "standard";

/// What a receiver is, in the body that adds one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    url: ReceiverUrl,
    description: Option<Bounded<256>>,
    events: BTreeSet<EventPattern>,
    #[serde(default = "standard")]
    signing: WebhookSigning,
    #[serde(default)]
    payload: WebhookPayload,
    encryption: Option<Value>,
    #[serde(default)]
    order: WebhookOrder,
    rate: Option<u32>,
    concurrency: Option<u16>,
    retries: Option<Bounded<32>>,
    #[serde(default)]
    client_certificate: bool,
    ca: Option<String>,
}

const fn standard() -> WebhookSigning {
    WebhookSigning::V1
}

impl Wanted {
    fn checked(self, admin: &Admin) -> Result<Receiver, AdminError> {
        let retries = match self.retries {
            Some(retries) => retries,
            None => Bounded::parse(SCHEDULE).map_err(|_| AdminError::Unavailable)?,
        };
        let record = EndpointRecord {
            url: self.url,
            description: self.description,
            signing: self.signing,
            payload: self.payload,
            encryption: self.encryption,
            order: self.order,
            rate: self.rate,
            concurrency: self.concurrency.unwrap_or(webhooks::CONCURRENCY),
            retries,
            client_certificate: self.client_certificate,
            ca: self.ca,
            disabled: None,
        };
        let rules = admin.fabric.webhook_rules();
        Receiver::check(record, self.events, &rules.schedules)
            .map_err(|error| AdminError::Invalid(error.to_string()))
    }
}

/// The body of `POST .../webhooks/endpoints`.
#[derive(Deserialize)]
pub(crate) struct Add {
    partner: Option<PartnerName>,
    #[serde(flatten)]
    wanted: Wanted,
}

impl Described for Add {
    const SCHEMA: &'static str = "WebhookEndpointAdd";
}

/// A new secret: it stands here once and nowhere else.
#[derive(Serialize)]
pub(crate) struct Shown {
    endpoint: EndpointId,
    secret_id: WebhookSecretId,
    /// `whsec_…`, which the receiver keeps to itself, or `whpk_…`.
    secret: String,
    /// When the secrets before it end.
    #[serde(skip_serializing_if = "Option::is_none")]
    others_end: Option<UnixTime>,
}

pub(crate) async fn add(State(admin): State<Admin>, called: Called) -> Answer<Shown> {
    called.answered(|called| added(&admin, called)).await
}

async fn added(admin: &Admin, called: Called) -> Result<Shown, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_endpoint", "add").await?;
    let body: Add = body.json().await?;
    let receiver = body.wanted.checked(admin)?;
    let (endpoint, made) = (
        webhooks::new_endpoint_id(&admin.fabric),
        secret(admin, &permit, receiver.signing())?,
    );
    let event = WebhookEndpointChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("added"),
        endpoint,
        partner: body.partner.clone(),
    };
    let secret_id = made.stored.id;
    let (record, patterns) = receiver.into_parts();
    let new = NewEndpoint {
        id: endpoint,
        partner: body.partner,
        record,
        patterns,
        secret: made.stored,
    };
    let write = WebhookWrite::AddEndpoint(Box::new(new));
    permit
        .change(vec![Write::Webhook(Box::new(write))], event)
        .await?;
    Ok(Shown {
        endpoint,
        secret_id,
        secret: made.shown.expose().clone(),
        others_end: None,
    })
}

fn secret(
    admin: &Admin,
    permit: &Permit<'_>,
    signing: WebhookSigning,
) -> Result<MadeSecret, AdminError> {
    webhooks::make_secret(&admin.fabric, permit.tenant(), signing)
        .map_err(|_| AdminError::Unavailable)
}

/// The body of `POST .../webhooks/endpoints/list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    partner: Option<PartnerName>,
    after: Option<EndpointId>,
}

impl Described for Of {
    const SCHEMA: &'static str = "WebhookEndpointsOf";
}

/// A page of endpoints, in the order of their ids.
#[derive(Serialize)]
pub(crate) struct Listed {
    endpoints: Vec<Known>,
    /// Whether there are more after the last.
    more: bool,
}

/// An endpoint.
#[derive(Serialize)]
pub(crate) struct Known {
    endpoint: EndpointId,
    #[serde(skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerName>,
    state: &'static str,
    #[serde(flatten)]
    record: EndpointRecord,
    created: UnixTime,
    changed: UnixTime,
}

fn known(row: EndpointRow) -> Option<Known> {
    let EndpointTarget::Receiver(record) = row.target else {
        return None;
    };
    Some(Known {
        endpoint: row.id,
        partner: row.partner,
        state: row.state.as_str(),
        record: *record,
        created: row.created,
        changed: row.changed,
    })
}

pub(crate) async fn list(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_endpoint", "list").await?;
    let body: Of = body.json().await?;
    let mut connection = admin.read().await?;
    let partner = body.partner.as_ref();
    let found = webhook_endpoints::list(
        &mut connection,
        permit.tenant(),
        partner,
        body.after,
        PAGE_MAX,
    )
    .await?;
    Ok(Listed {
        more: is_cut(&found),
        endpoints: found.into_iter().filter_map(known).collect(),
    })
}

/// An endpoint with all that is known of it: never a secret.
#[derive(Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    known: Known,
    events: BTreeSet<EventPattern>,
    secrets: Vec<KnownSecret>,
}

/// That there is a secret.
#[derive(Serialize)]
pub(crate) struct KnownSecret {
    secret_id: WebhookSecretId,
    kind: &'static str,
    created: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<UnixTime>,
}

impl From<WebhookSecretRow> for KnownSecret {
    fn from(row: WebhookSecretRow) -> Self {
        Self {
            secret_id: row.id,
            kind: row.kind.as_str(),
            created: row.created,
            ends: row.ends,
        }
    }
}

pub(crate) async fn show(State(admin): State<Admin>, called: Called) -> Answer<Whole> {
    called.answered(|called| shown(&admin, called)).await
}

async fn shown(admin: &Admin, called: Called) -> Result<Whole, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, _body) = called.permit(admin, "webhook_endpoint", "show").await?;
    let row = receiver(&permit, admin, named).await?;
    let (tenant, id) = (permit.tenant(), row.id);
    let mut connection = admin.read().await?;
    let events = webhook_endpoints::patterns(&mut connection, tenant, id).await?;
    let secrets = webhook_secrets::of_endpoint(&mut connection, tenant, id, permit.now()).await?;
    let known = known(row).ok_or(AdminError::Unknown("endpoint"))?;
    Ok(Whole {
        known,
        events,
        secrets: secrets.into_iter().map(KnownSecret::from).collect(),
    })
}

/// An endpoint as it is now.
#[derive(Serialize)]
pub(crate) struct Changed {
    endpoint: EndpointId,
    change: &'static str,
}

/// Carries out a change of a receiver.
pub(super) async fn carried_out(
    permit: Permit<'_>,
    row: EndpointRow,
    change: &'static str,
    write: WebhookWrite,
) -> Result<Changed, AdminError> {
    let event = WebhookEndpointChanged {
        by: Actor::LocalAdministrator,
        change: Code::of(change),
        endpoint: row.id,
        partner: row.partner,
    };
    permit
        .change(vec![Write::Webhook(Box::new(write))], event)
        .await?;
    Ok(Changed {
        endpoint: row.id,
        change,
    })
}

pub(crate) async fn remove(State(admin): State<Admin>, called: Called) -> Answer<Changed> {
    called.answered(|called| removed(&admin, called)).await
}

async fn removed(admin: &Admin, called: Called) -> Result<Changed, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, _body) = called.permit(admin, "webhook_endpoint", "remove").await?;
    let row = receiver(&permit, admin, named).await?;
    let write = WebhookWrite::RemoveEndpoint(row.id);
    carried_out(permit, row, "removed", write).await
}

pub(crate) async fn enable(State(admin): State<Admin>, called: Called) -> Answer<Changed> {
    let enabled = EndpointSwitch::Enabled;
    called
        .answered(|called| switched(&admin, called, "enable", enabled))
        .await
}

pub(crate) async fn disable(State(admin): State<Admin>, called: Called) -> Answer<Changed> {
    let disabled = EndpointSwitch::Disabled(DisabledBecause::Asked);
    called
        .answered(|called| switched(&admin, called, "disable", disabled))
        .await
}

async fn switched(
    admin: &Admin,
    called: Called,
    operation: &'static str,
    to: EndpointSwitch,
) -> Result<Changed, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, _body) = called.permit(admin, "webhook_endpoint", operation).await?;
    let row = receiver(&permit, admin, named).await?;
    let state = to.state();
    if row.state == state {
        return Ok(Changed {
            endpoint: row.id,
            change: state.as_str(),
        });
    }
    let write = WebhookWrite::SwitchEndpoint(row.id, to);
    carried_out(permit, row, state.as_str(), write).await
}

/// The body of `POST .../webhooks/endpoints/{endpoint}/rotate-secret`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    /// Seconds for which the secrets before it sign beside it.
    overlap: Option<u64>,
}

impl Described for Rotate {
    const SCHEMA: &'static str = "WebhookSecretRotate";
}

pub(crate) async fn rotate_secret(State(admin): State<Admin>, called: Called) -> Answer<Shown> {
    called.answered(|called| rotated(&admin, called)).await
}

async fn rotated(admin: &Admin, called: Called) -> Result<Shown, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, body) = called
        .permit(admin, "webhook_endpoint", "rotate_secret")
        .await?;
    let row = receiver(&permit, admin, named).await?;
    let body: Option<Rotate> = body.json_or_nothing().await?;
    let overlap = body.and_then(|body| body.overlap).map(Duration::from_secs);
    if overlap.is_some_and(|overlap| overlap > webhooks::OVERLAP_MAX) {
        let most = webhooks::OVERLAP_MAX.as_secs();
        let expected = format!("secrets overlap for at most {most} seconds");
        return Err(AdminError::Invalid(expected));
    }
    let EndpointTarget::Receiver(record) = &row.target else {
        return Err(AdminError::Unknown("endpoint"));
    };
    let made = secret(admin, &permit, record.signing)?;
    let others_end = webhooks::others_end(overlap, permit.now());
    let secret_id = made.stored.id;
    let event = WebhookSecretRotated {
        by: Actor::LocalAdministrator,
        endpoint: row.id,
        others_end: Count::of(u64::try_from(others_end.0).unwrap_or(0)),
        secret: secret_id,
    };
    let write = WebhookWrite::RotateSecret {
        endpoint: row.id,
        secret: made.stored,
        others_end,
    };
    permit
        .change(vec![Write::Webhook(Box::new(write))], event)
        .await?;
    Ok(Shown {
        endpoint: row.id,
        secret_id,
        secret: made.shown.expose().clone(),
        others_end: Some(others_end),
    })
}
