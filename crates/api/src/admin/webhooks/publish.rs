//! Publishing by hand: what a client publishes with a token, the administrator publishes here.

use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer};
use crate::admin::described::Described;
use crate::admin::request::Called;
use axum::extract::State;
use countersign_audit::event::{Actor, WebhookPublished};
use countersign_base::{Bounded, EventTypeName, MessageId, PartnerName};
use countersign_control::webhooks::{IdempotencyKey, Publication, Publisher};
use countersign_store::StoreError;
use countersign_store::webhooks::{Accepted, Addressee, PAYLOAD_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes beside the payload.
const REST_BYTES_MAX: usize = 4 * 1024;

/// The body of `POST .../webhooks/messages`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    r#type: EventTypeName,
    version: Option<u32>,
    /// To this partner's endpoints, and the tenant's own.
    partner: Option<PartnerName>,
    /// To every endpoint, whoever's it is.
    #[serde(default)]
    everyone: bool,
    order_key: Option<Bounded<128>>,
    idempotency_key: Option<IdempotencyKey>,
    data: Map<String, Value>,
}

impl Described for Publish {
    const SCHEMA: &'static str = "WebhookPublish";
}

/// The message.
#[derive(Serialize)]
pub(crate) struct Published {
    message: MessageId,
    version: u32,
    /// To how many endpoints it goes; absent if it was published before.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<u32>,
}

pub(crate) async fn publish(State(admin): State<Admin>, called: Called) -> Answer<Published> {
    called.answered(|called| published(&admin, called)).await
}

async fn published(admin: &Admin, called: Called) -> Result<Published, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_message", "publish").await?;
    let body: Publish = body.json_up_to(PAYLOAD_BYTES_MAX + REST_BYTES_MAX).await?;
    let to = match (body.partner, body.everyone) {
        (Some(partner), false) => Addressee::Partner(partner),
        (None, true) => Addressee::Everyone,
        (None, false) | (Some(_), true) => {
            let expected = "say to whom: `partner`, or `everyone`";
            return Err(AdminError::Invalid(expected.to_owned()));
        }
    };
    let partner = match &to {
        Addressee::Everyone => None,
        Addressee::Partner(partner) => Some(partner.clone()),
    };
    let event_type = body.r#type.clone();
    let publication = Publication::new(body.r#type, body.version, to, body.order_key, body.data);
    let (tenant, now) = (permit.tenant().clone(), permit.now());
    let fitting = {
        let mut connection = admin.read().await?;
        admin
            .event_types
            .check(&mut connection, &tenant, publication)
            .await?
            .map_err(|error| AdminError::Invalid(error.to_string()))?
    };
    let version = fitting.version();
    let fabric = &admin.fabric;
    let key = body.idempotency_key.as_ref();
    let new = fitting
        .into_message(fabric, &tenant, Publisher::Administrator, key, now)
        .map_err(|_| AdminError::Unavailable)?;
    let message = new.message.id;
    let event = WebhookPublished {
        by: Actor::LocalAdministrator,
        event_type,
        message,
        partner,
    };
    let event = fabric
        .recorder()
        .about_event(&tenant, Some(permit.request()), event);
    let endpoints = match fabric.store().accept_message(new, event, now).await {
        Ok(Accepted::Again) => None,
        Ok(Accepted::KeyReused) => return Err(AdminError::Exists),
        Ok(Accepted::New(endpoints)) => Some(endpoints),
        Err(StoreError::Full(_)) => {
            let message = "too many endpoints want it, or too much waits already";
            return Err(AdminError::Invalid(message.to_owned()));
        }
        Err(_) => return Err(AdminError::Unavailable),
    };
    Ok(Published {
        message,
        version,
        endpoints,
    })
}
