//! An endpoint: what is sent there, what it is signed with, how it is served, and what can be done about it.

use super::View;
use super::change::{self, Change};
use super::listing::{self, Place, Which};
use super::overview::{badge, hindrance, path_of_list, state};
use super::permit::{self, Operation, Seen};
use crate::identity::answer::Failure;
use crate::pages;
use crate::pages::partner::{
    DeliveryRow, EndpointActions, EndpointPage, Filter, Moment, SecretRow, reason_in_words,
};
use axum::response::Response;
use countersign_base::{Bounded, MessageId};
use countersign_control::webhooks::webhook_id;
use countersign_store::tables::webhook_endpoints::{
    EndpointState, WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::tables::webhook_secrets::{SecretKind, WebhookSecretRow};
use countersign_store::tables::{webhook_endpoints, webhook_messages, webhook_secrets};
use countersign_store::webhooks::{DeliveryState, ListedWebhook};
use url::Url;

/// The endpoint that an address names, for whoever policy lets see it.
pub(super) async fn named(
    view: View<'_>,
    named: &str,
    which: Which,
    after: Option<Place>,
) -> Result<Response, Failure> {
    let id = named.parse().map_err(|_| Failure::NotFound)?;
    let seen = permit::endpoint(view.identity, view.call, &view.asker, id, "endpoint").await?;
    page(view, seen, which, after).await
}

pub(super) async fn page(
    view: View<'_>,
    seen: Seen,
    which: Which,
    after: Option<Place>,
) -> Result<Response, Failure> {
    let (tenant, id) = (&view.call.tenant.name, seen.endpoint().id);
    let listed = listing::listed(view.identity, view.call, &seen, which, after).await?;
    let messages: Vec<MessageId> = listed.rows.iter().map(|row| row.id.message).collect();
    let mut connection = view.identity.fabric.store().read().await?;
    let kinds = webhook_messages::kinds(&mut connection, tenant, &messages).await?;
    let events = webhook_endpoints::patterns(&mut connection, tenant, id).await?;
    let now = view.identity.fabric.now();
    let secrets = webhook_secrets::of_endpoint(&mut connection, tenant, id, now).await?;
    drop(connection);
    let deliveries = listed.rows.iter().map(|row| {
        let kind = kinds.get(&row.id.message);
        delivery_row(&view, row, kind.map(|(name, _)| name.as_str()))
    });
    let filters = Which::EVERY.into_iter().map(|each| Filter {
        label: each.label(),
        path: path_of_list(&view, id, each, None),
        is_current: each == which,
    });
    let record = seen.record();
    let page = EndpointPage {
        host: host(record.url.as_str()),
        url: record.url.to_string(),
        description: record.description.as_ref().map(ToString::to_string),
        badge: badge(seen.endpoint().state),
        hindrance: hindrance(&seen),
        events: events.iter().map(ToString::to_string).collect(),
        facts: facts(&seen),
        filters: filters.collect(),
        deliveries: deliveries.collect(),
        next: listed
            .next
            .map(|place| path_of_list(&view, id, which, Some(place))),
        can: actions(&view, &seen, &secrets)?,
        secrets: secrets.into_iter().map(secret_row).collect(),
        frame: view.frame(vec![view.home()]),
    };
    Ok(pages::render(&view.call.tenant, &page, ""))
}

/// The host of an address, with its port where it has one.
pub(super) fn host(url: &str) -> String {
    let Ok(parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    let host = parsed.host_str().unwrap_or_default();
    match parsed.port() {
        None => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

/// The buttons that policy and the endpoint's state leave.
fn actions(
    view: &View<'_>,
    seen: &Seen,
    secrets: &[WebhookSecretRow],
) -> Result<EndpointActions, Failure> {
    let id = seen.endpoint().id;
    let offered = |operation, change: Change| {
        let offered = permit::is_offered(view.identity, &view.asker, seen, operation);
        offered.then(|| change::seal(view, change)).transpose()
    };
    let rotate = Change::RotateSecret {
        endpoint: id,
        known: secrets.iter().map(|secret| secret.id).collect(),
    };
    let mut actions = EndpointActions {
        rotate: offered(Operation::RotateSecret, rotate)?,
        ..EndpointActions::default()
    };
    match seen.endpoint().state {
        EndpointState::Disabled => {
            actions.enable = offered(Operation::Enable, Change::Enable(id))?;
        }
        EndpointState::Enabled | EndpointState::Service => {
            let token = view.identity.fabric.random().token();
            let key = Bounded::parse(token.expose()).map_err(|_| Failure::Unavailable)?;
            let test = Change::SendTest { endpoint: id, key };
            actions.disable = offered(Operation::Disable, Change::Disable(id))?;
            actions.replay = offered(Operation::Replay, Change::Replay(id))?;
            actions.test = offered(Operation::SendTest, test)?;
        }
    }
    Ok(actions)
}

fn delivery_row(view: &View<'_>, row: &ListedWebhook, kind: Option<&str>) -> DeliveryRow {
    DeliveryRow {
        event_type: kind.unwrap_or("unknown").to_owned(),
        message: webhook_id(row.id.message),
        path: view
            .call
            .path_of(&format!("/partner/deliveries/{}", row.id)),
        badge: state(row.state),
        accepted: row.created.into(),
        words: in_words(row),
    }
}

/// What is to be known of a delivery at once.
pub(super) fn in_words(row: &ListedWebhook) -> String {
    let attempts = match row.attempts {
        0 => return "not tried yet".to_owned(),
        1 => "1 attempt".to_owned(),
        many => format!("{many} attempts"),
    };
    let last = match (row.state, row.status, row.reason.as_deref()) {
        (DeliveryState::Delivered, Some(status), _) => format!("answered {status}"),
        (_, Some(status), _) => format!("last answered {status}"),
        (_, None, Some(reason)) => reason_in_words(reason).to_owned(),
        (_, None, None) => return attempts,
    };
    format!("{attempts}, {last}")
}

fn secret_row(row: WebhookSecretRow) -> SecretRow {
    SecretRow {
        id: row.id.to_string(),
        kind: kind_in_words(row.kind),
        created: row.created.into(),
        ends: row.ends.map(Moment::from),
    }
}

pub(super) const fn kind_in_words(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Ed25519 => "Public key (Ed25519)",
        SecretKind::Hmac => "Shared secret (HMAC-SHA256)",
    }
}

fn facts(seen: &Seen) -> Vec<(&'static str, String)> {
    let record = seen.record();
    let signing = match record.signing {
        WebhookSigning::HttpSignature => "HTTP message signatures (RFC 9421), Ed25519",
        WebhookSigning::V1 => "Standard Webhooks, v1 (HMAC-SHA256)",
        WebhookSigning::V1a => "Standard Webhooks, v1a (Ed25519)",
    };
    let payload = match (record.payload, record.encryption.is_some()) {
        (WebhookPayload::Full, false) => "what was published",
        (WebhookPayload::Full, true) => "what was published, encrypted to your key",
        (WebhookPayload::Thin, false) => "ids alone",
        (WebhookPayload::Thin, true) => "ids alone, encrypted to your key",
    };
    let order = match record.order {
        WebhookOrder::Any => "as they come",
        WebhookOrder::PerKey => "one after another for each order key",
        WebhookOrder::Strict => "one after another",
    };
    let rate = match record.rate {
        None => format!("{} at a time", record.concurrency),
        Some(rate) => format!("{} at a time, {rate} a second", record.concurrency),
    };
    let certificate = match record.client_certificate {
        false => "none",
        true => "ours is shown",
    };
    vec![
        ("Signed by", signing.to_owned()),
        ("Payload", payload.to_owned()),
        ("Order", order.to_owned()),
        ("At most", rate),
        ("Retries", format!("the schedule {}", record.retries)),
        ("Client certificate", certificate.to_owned()),
        ("Endpoint id", seen.endpoint().id.to_string()),
    ]
}
