//! One delivery: its attempts, and what it says, masked.

use super::View;
use super::change::{self, Change};
use super::endpoint::{host, in_words};
use super::overview::state;
use super::permit::{self, Operation, Seen};
use crate::identity::answer::Failure;
use crate::pages;
use crate::pages::partner::{
    AttemptRow, Badge, Crumb, Cut, DeliveryPage, Moment, Payload, reason_in_words,
};
use axum::response::Response;
use countersign_base::UnixTime;
use countersign_control::webhooks::{masked_body, open_body, webhook_id};
use countersign_store::tables::webhook_endpoints::{EndpointState, WebhookPayload};
use countersign_store::tables::{webhook_deliveries, webhook_messages};
use countersign_store::webhooks::{
    DeliveryState, ListedWebhook, LoggedAttempt, WebhookDeliveryId, WebhookMessage,
};

/// Characters of a payload that are shown.
const PAYLOAD_SHOWN_MAX: usize = 16 * 1024;

/// The delivery that an address names, for whoever policy lets see its endpoint.
pub(super) async fn named(view: View<'_>, named: &str) -> Result<Response, Failure> {
    let id: WebhookDeliveryId = named.parse().map_err(|_| Failure::NotFound)?;
    let seen = permit::endpoint(
        view.identity,
        view.call,
        &view.asker,
        id.endpoint,
        "delivery",
    )
    .await?;
    page(view, seen, id).await
}

pub(super) async fn page(
    view: View<'_>,
    seen: Seen,
    id: WebhookDeliveryId,
) -> Result<Response, Failure> {
    let tenant = &view.call.tenant.name;
    let mut connection = view.identity.fabric.store().read().await?;
    let row = webhook_deliveries::find(&mut connection, tenant, id)
        .await?
        .ok_or(Failure::NotFound)?;
    let message = webhook_messages::find(&mut connection, tenant, id.message).await?;
    drop(connection);
    let payload = match &message {
        None => Payload::Gone,
        Some(_) if seen.record().payload == WebhookPayload::Thin => Payload::Thin,
        Some(message) => masked(&view, message)?,
    };
    let logged = u32::try_from(row.log.len()).unwrap_or(u32::MAX);
    let record = seen.record();
    let page = DeliveryPage {
        event_type: message.as_ref().map_or_else(
            || "unknown".to_owned(),
            |message| message.event_type.to_string(),
        ),
        version: message.map_or_else(String::new, |message| message.version.to_string()),
        message: webhook_id(row.id.message),
        url: record.url.to_string(),
        badge: state(row.state),
        words: lead(&row),
        accepted: Moment::exact(row.created),
        ended: row.ended.map(Moment::exact),
        due: row.due.map(Moment::exact),
        attempts: row.log.iter().rev().map(attempt).collect(),
        earlier: row.attempts.saturating_sub(logged),
        payload,
        here: view
            .call
            .path_of(&format!("/partner/deliveries/{}", row.id)),
        resend: resend(&view, &seen, &row)?,
        frame: view.frame(vec![
            view.home(),
            Crumb {
                label: host(record.url.as_str()),
                path: view.path_of_endpoint(id.endpoint),
            },
        ]),
    };
    Ok(pages::render(&view.call.tenant, &page, ""))
}

fn lead(row: &ListedWebhook) -> String {
    let words = in_words(row);
    match row.state {
        DeliveryState::Dead => format!("It did not arrive and is not tried any more: {words}."),
        DeliveryState::Delivered => format!("It arrived: {words}."),
        DeliveryState::Waiting if row.due.is_none() => {
            format!("It waits behind another one of its order: {words}.")
        }
        DeliveryState::Waiting => format!("It is on its way: {words}."),
    }
}

/// The button that has it sent again, of what ended at an endpoint that is served.
fn resend(view: &View<'_>, seen: &Seen, row: &ListedWebhook) -> Result<Option<String>, Failure> {
    let Some(ended) = row.ended else {
        return Ok(None);
    };
    let is_served = seen.endpoint().state == EndpointState::Enabled;
    let resend = Operation::Resend;
    if !is_served || !permit::is_offered(view.identity, &view.asker, seen, resend) {
        return Ok(None);
    }
    let change = Change::Resend {
        endpoint: row.id.endpoint,
        message: row.id.message,
        ended,
    };
    change::seal(view, change).map(Some)
}

fn masked(view: &View<'_>, message: &WebhookMessage) -> Result<Payload, Failure> {
    let body = open_body(&view.identity.fabric, message).map_err(|_| Failure::Unavailable)?;
    let mut text =
        serde_json::to_string_pretty(&masked_body(&body)).map_err(|_| Failure::Unavailable)?;
    let end = text.char_indices().nth(PAYLOAD_SHOWN_MAX);
    let cut = match end {
        None => Cut::No,
        Some((end, _)) => {
            text.truncate(end);
            Cut::Yes
        }
    };
    Ok(Payload::Masked { text, cut })
}

fn attempt(logged: &LoggedAttempt) -> AttemptRow {
    let is_good = logged.reason.is_none();
    AttemptRow {
        at: Moment::exact(UnixTime(logged.at)),
        badge: match is_good {
            true => Badge::good("delivered"),
            false => Badge::bad("failed"),
        },
        status: logged.status,
        reason: logged
            .reason
            .as_deref()
            .map(|reason| reason_in_words(reason).to_owned()),
        took: took(logged.took_ms),
    }
}

fn took(milliseconds: u32) -> String {
    match milliseconds {
        0..10_000 => format!("{milliseconds} ms"),
        more => format!("{} s", more / 1_000),
    }
}
