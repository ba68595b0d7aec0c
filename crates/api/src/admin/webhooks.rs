//! Webhooks: endpoints with their secrets, event types, publishing, what was published, deliveries and bringing them back.

mod change;
mod deliveries;
mod endpoints;
mod event_types;
mod messages;
mod publish;

pub(super) use change::change;
pub(super) use deliveries::{deliveries, replay, resend};
pub(super) use endpoints::{add, disable, enable, list, remove, rotate_secret, show};
pub(super) use event_types::{add_event_type, list_event_types, retire_event_type};
pub(super) use messages::{list_messages, show_message};
pub(super) use publish::publish;

use super::Admin;
use super::answer::AdminError;
use super::request::Permit;
use countersign_base::EndpointId;
use countersign_store::tables::webhook_endpoints::{self, EndpointRow, EndpointTarget};

/// The receiver of that id. A service of this installation is none.
async fn receiver(
    permit: &Permit<'_>,
    admin: &Admin,
    id: Option<EndpointId>,
) -> Result<EndpointRow, AdminError> {
    let unknown = AdminError::Unknown("endpoint");
    let id = id.ok_or(AdminError::Unknown("endpoint"))?;
    let mut connection = admin.read().await?;
    let found = webhook_endpoints::find(&mut connection, permit.tenant(), id).await?;
    match found {
        Some(row) if matches!(row.target, EndpointTarget::Receiver(_)) => Ok(row),
        Some(_) | None => Err(unknown),
    }
}
