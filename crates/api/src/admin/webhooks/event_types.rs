//! Event types: a new version added, all listed, one or all of a type retired.

use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer, is_cut};
use crate::admin::described::Described;
use crate::admin::request::Called;
use axum::extract::State;
use countersign_audit::event::{Actor, WebhookEventTypeChanged};
use countersign_audit::{Code, Count};
use countersign_base::{Bounded, EventTypeName, UnixTime};
use countersign_control::webhooks::is_built_in;
use countersign_store::Write;
use countersign_store::tables::PAGE_MAX;
use countersign_store::tables::webhook_event_types::{self, EventTypeRecord, EventTypeRow};
use countersign_store::webhooks::WebhookWrite;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `POST .../webhooks/event-types`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    name: EventTypeName,
    /// Which version; without it, the one after the newest.
    version: Option<u32>,
    description: Bounded<1024>,
    schema: Option<Value>,
    example: Option<Value>,
}

impl Described for Add {
    const SCHEMA: &'static str = "WebhookEventTypeAdd";
}

/// The version that was added.
#[derive(Serialize)]
pub(crate) struct Added {
    name: EventTypeName,
    version: u32,
}

pub(crate) async fn add_event_type(State(admin): State<Admin>, called: Called) -> Answer<Added> {
    called.answered(|called| added(&admin, called)).await
}

async fn added(admin: &Admin, called: Called) -> Result<Added, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_event_type", "add").await?;
    let body: Add = body.json().await?;
    if is_built_in(&body.name) {
        let taken = "this event type is built in: choose another name";
        return Err(AdminError::Invalid(taken.to_owned()));
    }
    let newest = {
        let mut connection = admin.read().await?;
        webhook_event_types::newest(&mut connection, permit.tenant(), &body.name).await?
    };
    let next = newest.map_or(1, |row| row.version.saturating_add(1));
    let record = EventTypeRecord {
        description: body.description,
        schema: body.schema,
        example: body.example,
        retired: false,
    };
    let record = admin
        .event_types
        .check_record(record)
        .map_err(|error| AdminError::Invalid(error.to_string()))?
        .into_record();
    let (name, version) = (body.name, body.version.unwrap_or(next));
    let row = EventTypeRow {
        name: name.clone(),
        version,
        record,
        created: permit.now(),
    };
    let event = WebhookEventTypeChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("added"),
        name: name.clone(),
        version: Some(Count::of(u64::from(version))),
    };
    let write = WebhookWrite::AddEventType(Box::new(row));
    permit
        .change(vec![Write::Webhook(Box::new(write))], event)
        .await?;
    Ok(Added { name, version })
}

/// The body of `POST .../webhooks/event-types/retire`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retire {
    name: EventTypeName,
    /// Which version; without it, all that there are.
    version: Option<u32>,
}

impl Described for Retire {
    const SCHEMA: &'static str = "WebhookEventTypeRetire";
}

/// What is retired with this request, and was not before.
#[derive(Serialize)]
pub(crate) struct Retired {
    name: EventTypeName,
    versions: Vec<u32>,
}

pub(crate) async fn retire_event_type(
    State(admin): State<Admin>,
    called: Called,
) -> Answer<Retired> {
    called.answered(|called| retired(&admin, called)).await
}

async fn retired(admin: &Admin, called: Called) -> Result<Retired, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_event_type", "retire").await?;
    let Retire { name, version } = body.json().await?;
    let known = {
        let mut connection = admin.read().await?;
        webhook_event_types::of_name(&mut connection, permit.tenant(), &name).await?
    };
    let is_meant = |row: &&EventTypeRow| version.is_none_or(|version| version == row.version);
    let meant: Vec<&EventTypeRow> = known.iter().filter(is_meant).collect();
    if meant.is_empty() {
        return Err(AdminError::Unknown("event type"));
    }
    let meant = meant.into_iter().filter(|row| !row.record.retired);
    let versions: Vec<u32> = meant.map(|row| row.version).collect();
    if versions.is_empty() {
        return Ok(Retired { name, versions });
    }
    let event = WebhookEventTypeChanged {
        by: Actor::LocalAdministrator,
        change: Code::of("retired"),
        name: name.clone(),
        version: version.map(|version| Count::of(u64::from(version))),
    };
    let write = WebhookWrite::RetireEventType {
        name: name.clone(),
        version,
    };
    permit
        .change(vec![Write::Webhook(Box::new(write))], event)
        .await?;
    Ok(Retired { name, versions })
}

/// The body of `POST .../webhooks/event-types/list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<Place>,
}

/// A version of an event type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    name: EventTypeName,
    version: u32,
}

impl Described for After {
    const SCHEMA: &'static str = "WebhookEventTypesAfter";
}

/// A page of versions, in the order of their names.
#[derive(Serialize)]
pub(crate) struct Listed {
    event_types: Vec<Known>,
    /// Whether there are more after the last.
    more: bool,
}

/// A version.
#[derive(Serialize)]
pub(crate) struct Known {
    name: EventTypeName,
    version: u32,
    #[serde(flatten)]
    record: EventTypeRecord,
    created: UnixTime,
}

pub(crate) async fn list_event_types(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_event_type", "list").await?;
    let body: After = body.json().await?;
    let after = body
        .after
        .as_ref()
        .map(|place| (&place.name, place.version));
    let mut connection = admin.read().await?;
    let found =
        webhook_event_types::list(&mut connection, permit.tenant(), after, PAGE_MAX).await?;
    let more = is_cut(&found);
    let known = |row: EventTypeRow| Known {
        name: row.name,
        version: row.version,
        record: row.record,
        created: row.created,
    };
    Ok(Listed {
        event_types: found.into_iter().map(known).collect(),
        more,
    })
}
