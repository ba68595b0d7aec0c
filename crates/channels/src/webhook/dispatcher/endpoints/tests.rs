use super::{Known, or_unreadable};
use countersign_base::EndpointId;
use countersign_store::StoreError;
use countersign_store::webhooks::Lane;

#[test]
fn one_endpoint_that_cannot_be_read_stops_nobody() {
    let lane = Lane {
        tenant: "default".parse().unwrap(),
        endpoint: EndpointId::from_bytes([7; 16]),
    };
    let corrupt = StoreError::Corrupt {
        table: "webhook_endpoints",
        reason: "unknown field".to_owned(),
    };
    let known = or_unreadable(&lane, Err(corrupt));
    assert!(matches!(known, Ok(Known::NotServed)));
    // A store that does not answer says nothing of the endpoint.
    let unread = or_unreadable(&lane, Err(StoreError::NoReader));
    assert!(matches!(unread, Err(StoreError::NoReader)));
}
