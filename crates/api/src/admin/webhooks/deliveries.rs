//! The delivery log, and bringing back what ended: one delivery, or all of an endpoint since a time.

use super::receiver;
use crate::admin::Admin;
use crate::admin::answer::{AdminError, Answer, is_cut};
use crate::admin::described::Described;
use crate::admin::request::Called;
use axum::extract::State;
use countersign_audit::event::{Actor, WebhookReplayAsked};
use countersign_audit::{Code, Count};
use countersign_base::{EndpointId, MessageId, UnixTime};
use countersign_control::webhooks::{masked_body, open_body};
use countersign_store::tables::PAGE_MAX;
use countersign_store::tables::{webhook_deliveries, webhook_messages};
use countersign_store::webhooks::{
    ListedWebhook, LoggedAttempt, REPLAY_MAX, Redelivered, Replay, Replayed, Replaying,
    WebhookDeliveryId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `POST .../webhooks/deliveries/list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Those of this endpoint, the newest first,
    endpoint: Option<EndpointId>,
    /// or those of this message, with its payload masked.
    message: Option<MessageId>,
    /// Of the endpoint, those that were given up.
    #[serde(default)]
    dead: bool,
    /// The last delivery of the page before.
    after: Option<i64>,
    /// And when that was accepted.
    after_created: Option<i64>,
}

impl Described for Of {
    const SCHEMA: &'static str = "WebhookDeliveriesOf";
}

/// A page of deliveries.
#[derive(Serialize)]
pub(crate) struct Listed {
    deliveries: Vec<Known>,
    /// Whether there are more after the last.
    more: bool,
    /// What the message says, its values masked but for ids, types and times.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

/// A delivery.
#[derive(Serialize)]
pub(crate) struct Known {
    delivery: String,
    endpoint: EndpointId,
    message: MessageId,
    sequence: i64,
    state: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    log: Vec<LoggedAttempt>,
    created: UnixTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<UnixTime>,
}

impl From<ListedWebhook> for Known {
    fn from(row: ListedWebhook) -> Self {
        Self {
            delivery: row.id.to_string(),
            endpoint: row.id.endpoint,
            message: row.id.message,
            sequence: row.sequence,
            state: row.state.as_str(),
            attempts: row.attempts,
            due: row.due,
            status: row.status,
            reason: row.reason,
            log: row.log,
            created: row.created,
            ended: row.ended,
        }
    }
}

pub(crate) async fn deliveries(State(admin): State<Admin>, called: Called) -> Answer<Listed> {
    called.answered(|called| listed(&admin, called)).await
}

async fn listed(admin: &Admin, called: Called) -> Result<Listed, AdminError> {
    let (permit, body) = called.permit(admin, "webhook_delivery", "list").await?;
    let body: Of = body.json().await?;
    let tenant = permit.tenant();
    let mut connection = admin.read().await?;
    let mut payload = None;
    let found = match (body.endpoint, body.message) {
        (Some(endpoint), None) if body.dead => {
            let after = body.after;
            webhook_deliveries::dead_of_endpoint(&mut connection, tenant, endpoint, after, PAGE_MAX)
                .await?
        }
        (Some(endpoint), None) => {
            let after = body.after_created.map(UnixTime).zip(body.after);
            webhook_deliveries::of_endpoint(&mut connection, tenant, endpoint, after, PAGE_MAX)
                .await?
        }
        (None, Some(message)) => {
            let found = webhook_messages::find(&mut connection, tenant, message).await?;
            let found = found.ok_or(AdminError::Unknown("message"))?;
            let body = open_body(&admin.fabric, &found).map_err(|_| AdminError::Unavailable)?;
            payload = Some(masked_body(&body));
            webhook_deliveries::of_message(&mut connection, tenant, message, None, PAGE_MAX).await?
        }
        (None, None) | (Some(_), Some(_)) => {
            let expected = "say of what: `endpoint`, or `message`";
            return Err(AdminError::Invalid(expected.to_owned()));
        }
    };
    Ok(Listed {
        more: is_cut(&found),
        deliveries: found.into_iter().map(Known::from).collect(),
        payload,
    })
}

/// What is due again.
#[derive(Serialize)]
pub(crate) struct Again {
    endpoint: EndpointId,
    /// How many deliveries.
    deliveries: u32,
    /// Whether there are more than one replay brings back: ask again,
    more: bool,
    /// from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<UnixTime>,
}

pub(crate) async fn resend(State(admin): State<Admin>, called: Called) -> Answer<Again> {
    called.answered(|called| resent(&admin, called)).await
}

async fn resent(admin: &Admin, called: Called) -> Result<Again, AdminError> {
    let named = called.named::<WebhookDeliveryId>("delivery");
    let (permit, _body) = called.permit(admin, "webhook_delivery", "resend").await?;
    let id = named.ok_or(AdminError::Unknown("delivery"))?;
    let fabric = &admin.fabric;
    let (tenant, now) = (permit.tenant(), fabric.now());
    let at = Count::of(u64::try_from(now.0).unwrap_or(0));
    let event = WebhookReplayAsked {
        by: Actor::LocalAdministrator,
        endpoint: id.endpoint,
        message: Some(id.message),
        since: at,
        until: at,
        which: Code::of("one"),
    };
    let event = fabric
        .recorder()
        .about_event(tenant, Some(permit.request()), event);
    match fabric
        .store()
        .redeliver_webhook(tenant, id, event, now)
        .await?
    {
        Redelivered::Absent => Err(AdminError::Unknown("delivery")),
        Redelivered::Disabled => Err(AdminError::Invalid(
            "the endpoint is disabled: enable it first".to_owned(),
        )),
        Redelivered::Due => Ok(again(id.endpoint, 1)),
        Redelivered::Waits => Ok(again(id.endpoint, 0)),
    }
}

const fn again(endpoint: EndpointId, deliveries: u32) -> Again {
    Again {
        endpoint,
        deliveries,
        more: false,
        since: None,
    }
}

/// The body of `POST .../webhooks/endpoints/{endpoint}/replay`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayOf {
    /// What was accepted from then on.
    since: i64,
    /// And before then; without it, until now.
    until: Option<i64>,
    /// Those that were delivered too.
    #[serde(default)]
    all: bool,
}

impl Described for ReplayOf {
    const SCHEMA: &'static str = "WebhookReplay";
}

pub(crate) async fn replay(State(admin): State<Admin>, called: Called) -> Answer<Again> {
    called.answered(|called| replayed(&admin, called)).await
}

async fn replayed(admin: &Admin, called: Called) -> Result<Again, AdminError> {
    let named = called.named::<EndpointId>("endpoint");
    let (permit, body) = called.permit(admin, "webhook_endpoint", "replay").await?;
    let row = receiver(&permit, admin, named).await?;
    let body: ReplayOf = body.json().await?;
    let fabric = &admin.fabric;
    let (tenant, now) = (permit.tenant(), fabric.now());
    let (which, name) = if body.all {
        (Replayed::All, "all")
    } else {
        (Replayed::Dead, "dead")
    };
    let replay = Replay {
        endpoint: row.id,
        since: UnixTime(body.since),
        until: body
            .until
            .map_or(UnixTime(now.0.saturating_add(1)), UnixTime),
        which,
        most: REPLAY_MAX,
    };
    let count = |time: UnixTime| Count::of(u64::try_from(time.0).unwrap_or(0));
    let event = WebhookReplayAsked {
        by: Actor::LocalAdministrator,
        endpoint: row.id,
        message: None,
        since: count(replay.since),
        until: count(replay.until),
        which: Code::of(name),
    };
    let event = fabric
        .recorder()
        .about_event(tenant, Some(permit.request()), event);
    match fabric
        .store()
        .replay_webhooks(tenant, replay, event, now)
        .await?
    {
        Replaying::Absent => Err(AdminError::Invalid(
            "the endpoint is disabled: enable it first".to_owned(),
        )),
        Replaying::Done(deliveries) => Ok(again(row.id, deliveries)),
        Replaying::More(deliveries, since) => Ok(Again {
            more: true,
            since: Some(since),
            ..again(row.id, deliveries)
        }),
    }
}
