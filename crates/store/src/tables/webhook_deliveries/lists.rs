//! Pages of deliveries, as people look at them.

use super::{ListedWebhook, NEVER, listed};
use crate::catalogue::webhooks::webhook_deliveries as sql;
use crate::engine::args;
use crate::tables::page;
use crate::{Connection, StoreError};
use countersign_base::{EndpointId, MessageId, Tenant, UnixTime};

/// A page of what went or goes to an endpoint, the newest first, beginning after `after`.
pub async fn of_endpoint(
    connection: &mut Connection,
    tenant: &Tenant,
    endpoint: EndpointId,
    after: Option<(UnixTime, i64)>,
    limit: u16,
) -> Result<Vec<ListedWebhook>, StoreError> {
    let (time, sequence) =
        after.map_or((i64::MAX, i64::MAX), |(time, sequence)| (time.0, sequence));
    let values = args![
        tenant.as_str(),
        endpoint.as_bytes(),
        time,
        sequence,
        page(limit)
    ];
    let rows = connection.fetch_all(&sql::OF_ENDPOINT, values).await?;
    rows.iter().map(listed).collect()
}

/// A page of what waits for an endpoint, what is due first at the front, beginning after what was due then.
pub async fn waiting_for_endpoint(
    connection: &mut Connection,
    tenant: &Tenant,
    endpoint: EndpointId,
    after: Option<(Option<UnixTime>, i64)>,
    limit: u16,
) -> Result<Vec<ListedWebhook>, StoreError> {
    let (due, sequence) = after.map_or((i64::MIN, i64::MIN), |(due, sequence)| {
        (due.map_or(NEVER, |due| due.0), sequence)
    });
    let of = args![
        tenant.as_str(),
        endpoint.as_bytes(),
        due,
        sequence,
        page(limit)
    ];
    let rows = connection.fetch_all(&sql::UNDELIVERED, of).await?;
    rows.iter().map(listed).collect()
}

/// A page of what was given up at an endpoint, the newest first, beginning after `after`.
pub async fn dead_of_endpoint(
    connection: &mut Connection,
    tenant: &Tenant,
    endpoint: EndpointId,
    after: Option<i64>,
    limit: u16,
) -> Result<Vec<ListedWebhook>, StoreError> {
    let values = args![
        tenant.as_str(),
        endpoint.as_bytes(),
        after.unwrap_or(i64::MAX),
        page(limit)
    ];
    let rows = connection.fetch_all(&sql::DEAD, values).await?;
    rows.iter().map(listed).collect()
}

/// A page of where a message goes, in the order of the endpoints' ids, beginning after `after`.
pub async fn of_message(
    connection: &mut Connection,
    tenant: &Tenant,
    message: MessageId,
    after: Option<EndpointId>,
    limit: u16,
) -> Result<Vec<ListedWebhook>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let values = args![tenant.as_str(), message.as_bytes(), after, page(limit)];
    let rows = connection.fetch_all(&sql::OF_MESSAGE, values).await?;
    rows.iter().map(listed).collect()
}
