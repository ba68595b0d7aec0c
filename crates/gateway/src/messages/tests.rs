//! What is said of refusals: to records each its own name, to callers the same for whatever does not hold.

use super::{MessageDenial, NotSpent};
use countersign_wire::message::MessageRefusal;
use http::StatusCode;
use std::collections::BTreeSet;

fn all() -> Vec<MessageDenial> {
    let mut all: Vec<MessageDenial> = MessageRefusal::ALL
        .into_iter()
        .map(MessageDenial::Refused)
        .collect();
    all.extend([
        MessageDenial::Answer,
        MessageDenial::KeysAway,
        MessageDenial::MediaType,
        MessageDenial::NoSignature,
        MessageDenial::NotSpent(NotSpent::Replayed),
        MessageDenial::NotSpent(NotSpent::Unavailable),
    ]);
    all
}

#[test]
fn every_refusal_has_a_name_of_its_own() {
    let names: BTreeSet<_> = all().iter().map(|denial| denial.code()).collect();
    assert_eq!(names.len(), all().len());
    assert!(names.iter().all(|name| name.starts_with("message_")));
    for reason in MessageRefusal::ALL {
        let name = MessageDenial::Refused(reason).code();
        assert_eq!(name, format!("message_{}", reason.as_str()));
    }
}

#[test]
fn whatever_does_not_hold_is_answered_alike() {
    for reason in MessageRefusal::ALL {
        let status = MessageDenial::Refused(reason).status();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{reason:?}");
    }
}
