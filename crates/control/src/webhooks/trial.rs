//! Test events: what somebody sends to an endpoint to see whether it arrives and is verified there.
//!
//! Their type is built in. It needs no registration, nobody can register it, and it goes to the one endpoint that it is sent to, whatever that wants: signed, retried and logged as
//! any other.

use super::publication::{Fitting, Publication};
use countersign_base::{EventTypeName, ParseError};
use countersign_store::tables::webhook_endpoints::EndpointRow;
use countersign_store::webhooks::Addressee;
use serde_json::{Map, Value};

/// The type of test events.
pub const TEST_EVENT: &str = "webhook.test";
/// Its only version.
const VERSION: u32 = 1;

/// Whether a type is built in, so that nobody registers it.
#[must_use]
pub fn is_built_in(name: &EventTypeName) -> bool {
    name.as_str() == TEST_EVENT
}

/// A test event for an endpoint: it names the endpoint, and nothing else.
///
/// # Errors
/// Never: the name of its type is one.
pub fn test_publication(endpoint: &EndpointRow) -> Result<Fitting, ParseError> {
    let to = match &endpoint.partner {
        None => Addressee::Everyone,
        Some(partner) => Addressee::Partner(partner.clone()),
    };
    let payload = Map::from_iter([
        (
            "endpoint_id".to_owned(),
            Value::from(endpoint.id.to_string()),
        ),
        ("test".to_owned(), Value::from(true)),
    ]);
    let publication = Publication::new(TEST_EVENT.parse()?, Some(VERSION), to, None, payload);
    Ok(Fitting::new(publication, VERSION))
}
