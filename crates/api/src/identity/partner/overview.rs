//! The list of a partner's endpoints, each with what became of the last deliveries.

use super::View;
use super::listing::{Place, Which};
use super::permit::{self, Seen};
use crate::identity::answer::Failure;
use crate::pages;
use crate::pages::partner::{Badge, EndpointCard, EndpointsPage, Health, Moment};
use axum::response::Response;
use countersign_base::EndpointId;
use countersign_store::Connection;
use countersign_store::tables::webhook_endpoints::{DisabledBecause, EndpointState};
use countersign_store::tables::{webhook_deliveries, webhook_endpoints};
use countersign_store::webhooks::{DeliveryState, ListedWebhook};

/// Endpoints of one page.
const SHOWN_MAX: u16 = 20;
/// Deliveries that tell how an endpoint is.
const LAST: u16 = 20;

/// The list, for whoever policy lets see it.
pub(super) async fn endpoints(
    view: View<'_>,
    after: Option<EndpointId>,
) -> Result<Response, Failure> {
    let partner = permit::partner(view.identity, view.call, &view.asker).await?;
    let tenant = &view.call.tenant.name;
    let mut connection = view.identity.fabric.store().read().await?;
    let mut rows = webhook_endpoints::list(
        &mut connection,
        tenant,
        Some(partner.name()),
        after,
        SHOWN_MAX.saturating_add(1),
    )
    .await?;
    let is_more = rows.len() > usize::from(SHOWN_MAX);
    rows.truncate(usize::from(SHOWN_MAX));
    let next = rows.last().filter(|_| is_more).map(|last| {
        let list = view.call.path_of(super::LIST);
        format!("{list}?after={}", last.id)
    });
    let seen = permit::those_seen(view.identity, &view.asker, &partner, rows);
    let mut cards = Vec::with_capacity(seen.len());
    for (number, seen) in seen.iter().enumerate() {
        cards.push(card(&view, &mut connection, seen, number).await?);
    }
    drop(connection);
    let page = EndpointsPage {
        frame: view.frame(Vec::new()),
        partner: partner.name().to_string(),
        endpoints: cards,
        next,
    };
    Ok(pages::render(&view.call.tenant, &page, ""))
}

async fn card(
    view: &View<'_>,
    connection: &mut Connection,
    seen: &Seen,
    number: usize,
) -> Result<EndpointCard, Failure> {
    let (tenant, endpoint) = (&view.call.tenant.name, seen.endpoint());
    let events = webhook_endpoints::patterns(connection, tenant, endpoint.id).await?;
    let last = webhook_deliveries::of_endpoint(connection, tenant, endpoint.id, None, LAST).await?;
    let record = seen.record();
    Ok(EndpointCard {
        url: record.url.to_string(),
        description: record.description.as_ref().map(ToString::to_string),
        path: view.path_of_endpoint(endpoint.id),
        badge: badge(endpoint.state),
        hindrance: hindrance(seen),
        events: events.iter().map(ToString::to_string).collect(),
        health: health(&last),
        number,
    })
}

pub(super) const fn badge(state: EndpointState) -> Badge {
    match state {
        EndpointState::Disabled => Badge::bad("disabled"),
        EndpointState::Enabled | EndpointState::Service => Badge::good("enabled"),
    }
}

/// Why nothing goes to an endpoint, and since when.
pub(super) fn hindrance(seen: &Seen) -> Option<String> {
    let endpoint = seen.endpoint();
    if endpoint.state != EndpointState::Disabled {
        return None;
    }
    let since = Moment::from(endpoint.changed).text;
    Some(match seen.record().disabled {
        Some(DisabledBecause::Asked) => format!("Disabled by hand, {since}."),
        Some(DisabledBecause::Failing) => {
            format!("Disabled {since}: for five days it took nothing that was sent.")
        }
        Some(DisabledBecause::Gone) => {
            format!("Disabled {since}: it answered 410, which says that it is gone for good.")
        }
        None => format!("Disabled, {since}."),
    })
}

pub(super) const fn state(state: DeliveryState) -> Badge {
    match state {
        DeliveryState::Dead => Badge::bad("given up"),
        DeliveryState::Delivered => Badge::good("delivered"),
        DeliveryState::Waiting => Badge::quiet("waiting"),
    }
}

/// What the newest deliveries say of an endpoint.
fn health(newest: &[ListedWebhook]) -> Health {
    let count = |state| newest.iter().filter(|row| row.state == state).count();
    let class = |row: &ListedWebhook| match row.state {
        DeliveryState::Dead => "dead",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Waiting => "waiting",
    };
    let words: Vec<String> = [
        (count(DeliveryState::Delivered), "delivered"),
        (count(DeliveryState::Waiting), "waiting"),
        (count(DeliveryState::Dead), "given up"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let arrived = newest
        .iter()
        .filter(|row| row.state == DeliveryState::Delivered)
        .filter_map(|row| row.ended)
        .max();
    Health {
        strip: newest.iter().rev().map(class).collect(),
        words: match words.as_slice() {
            [] => "nothing was sent yet".to_owned(),
            words => words.join(", "),
        },
        last: arrived.map(Moment::from),
    }
}

/// The address of a list of deliveries.
pub(super) fn path_of_list(
    view: &View<'_>,
    id: EndpointId,
    which: Which,
    after: Option<Place>,
) -> String {
    let path = view.path_of_endpoint(id);
    match (which, after) {
        (Which::All, None) => path,
        (which, None) => format!("{path}?state={}", which.as_str()),
        (which, Some(after)) => format!("{path}?state={}&after={after}", which.as_str()),
    }
}
