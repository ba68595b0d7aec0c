//! Changing what an endpoint is: only what the body names, so that nobody who changes one thing has to know the others.
//!
//! What a receiver's webhooks are signed by stays: its secrets are of that kind, and who verifies has to change over by hand anyway.

use super::endpoints::{Changed, carried_out};
use super::receiver;
use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer};
use crate::admin::described::Described;
use crate::admin::request::Called;
use axum::extract::State;
use countersign_base::{Bounded, EndpointId, EventPattern, ReceiverUrl};
use countersign_control::webhooks::{Receiver, Schedules};
use countersign_store::tables::webhook_endpoints::{
    self, EndpointRecord, EndpointTarget, WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::webhooks::WebhookWrite;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeSet;

/// What becomes of a member that may be absent.
#[derive(Default)]
enum Member<T> {
    /// It is not named.
    #[default]
    Stays,
    /// `null`: there is none from now on.
    Taken,
    /// It is this from now on.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Self::Taken,
            Some(value) => Self::Set(value),
        })
    }
}

impl<T> Member<T> {
    fn over(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Stays => present,
            Self::Taken => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// The body of `POST .../webhooks/endpoints/{endpoint}/change`: what is not there stays as it is, and `null` takes away what may be absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    url: Option<ReceiverUrl>,
    #[serde(default)]
    description: Member<Bounded<256>>,
    events: Option<BTreeSet<EventPattern>>,
    signing: Option<WebhookSigning>,
    payload: Option<WebhookPayload>,
    #[serde(default)]
    encryption: Member<Value>,
    order: Option<WebhookOrder>,
    #[serde(default)]
    rate: Member<u32>,
    concurrency: Option<u16>,
    retries: Option<Bounded<32>>,
    client_certificate: Option<bool>,
    #[serde(default)]
    ca: Member<String>,
}

impl Described for Change {
    const SCHEMA: &'static str = "WebhookEndpointChange";
}

impl Change {
    fn over(
        self,
        before: &EndpointRecord,
        patterns: BTreeSet<EventPattern>,
        schedules: &Schedules,
    ) -> Result<Receiver, AdminError> {
        if self.signing.is_some_and(|wanted| wanted != before.signing) {
            return Err(AdminError::Invalid(
                "an endpoint keeps its `signing`: add another endpoint".to_owned(),
            ));
        }
        let present = before.clone();
        let record = EndpointRecord {
            url: self.url.unwrap_or(present.url),
            description: self.description.over(present.description),
            signing: present.signing,
            payload: self.payload.unwrap_or(present.payload),
            encryption: self.encryption.over(present.encryption),
            order: self.order.unwrap_or(present.order),
            rate: self.rate.over(present.rate),
            concurrency: self.concurrency.unwrap_or(present.concurrency),
            retries: self.retries.unwrap_or(present.retries),
            client_certificate: self
                .client_certificate
                .unwrap_or(present.client_certificate),
            ca: self.ca.over(present.ca),
            disabled: present.disabled,
        };
        let patterns = self.events.unwrap_or(patterns);
        Receiver::check_change(before, record, patterns, schedules)
            .map_err(|error| AdminError::Invalid(error.to_string()))
    }
}

pub(crate) async fn change(State(admin): State<Admin>, called: Called) -> Answer<Changed> {
    called.answered(|called| changed(&admin, called)).await
}

async fn changed(admin: &Admin, called: Called) -> Result<Changed, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, body) = called.permit(admin, "webhook_endpoint", "change").await?;
    let row = receiver(&permit, admin, named).await?;
    let body: Change = body.json().await?;
    let EndpointTarget::Receiver(present) = &row.target else {
        return Err(AdminError::Unknown("endpoint"));
    };
    let patterns = {
        let mut connection = admin.read().await?;
        webhook_endpoints::patterns(&mut connection, permit.tenant(), row.id).await?
    };
    let rules = admin.fabric.webhook_rules();
    let receiver = body.over(present, patterns, &rules.schedules)?;
    let (record, patterns) = receiver.into_parts();
    let write = WebhookWrite::PutEndpoint {
        id: row.id,
        record: Box::new(record),
        patterns,
    };
    carried_out(permit, row, "changed", write).await
}
