//! Which answers an obligation can be carried out on. What it does to them is tested with obligations themselves (`countersign_policy::obligation`).

use super::{ProjectionError, oblige};
use bytes::Bytes;
use countersign_base::Tenant;
use countersign_policy::obligation::{Duty, Obligations};
use countersign_policy::{Entity, EntityId, PolicySet, Query, Target, decide, vocabulary};
use http::header;
use http::response::{Builder, Parts};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: &str = "
entity Tenant;
entity User { tenant: Tenant };
entity Order { tenant: Tenant };
action \"read\" appliesTo { principal: [User], resource: [Order], context: {} };
";

struct Reading;

impl Target for Reading {
    fn query(&self) -> Query {
        let of =
            |kind: &str| -> Entity { vocabulary::resource(kind, "1", &Tenant::default_tenant()) };
        Query {
            principal: of("User"),
            action: "read".to_owned(),
            resource: of("Order"),
            context: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    fn carries_out(&self) -> &[Duty] {
        &Duty::ALL
    }
}

/// What a permit with these annotations asks for.
fn asked(annotations: &str) -> Arc<Obligations> {
    let policy = format!("{annotations} permit (principal, action, resource);");
    let set = PolicySet::load(SCHEMA, &[("p.cedar", policy)]).unwrap();
    let permitted = decide(&set, Reading).unwrap();
    assert_eq!(
        permitted.query().resource.id(),
        &EntityId::new("Order", "1")
    );
    Arc::clone(permitted.obligations().unwrap())
}

fn head(change: impl FnOnce(Builder) -> Builder) -> Parts {
    let builder = http::Response::builder()
        .header("content-length", "999")
        .header("etag", "\"e\"")
        .header("content-digest", "sha-256=:x:");
    change(builder).body(()).unwrap().into_parts().0
}

fn json(change: impl FnOnce(Builder) -> Builder) -> Parts {
    head(|head| change(head.header("content-type", "application/json")))
}

#[test]
fn fields_that_speak_of_the_bytes_are_made_true_or_go() {
    let asked = asked("@drop(\"/card\") @mask(\"/name\")");
    let mut head = json(|head| head);
    let before =
        Bytes::from_static(br#"{"id":12345678901234567890123,"card":{"cvc":1},"name":"n"}"#);
    let after = oblige(&mut head, &before, &asked).unwrap();
    assert_eq!(
        &after[..],
        br#"{"id":12345678901234567890123,"name":"***"}"#
    );
    assert_eq!(
        head.headers[header::CONTENT_LENGTH],
        after.len().to_string()
    );
    assert!(!head.headers.contains_key(header::ETAG));
    assert!(!head.headers.contains_key("content-digest"));
}

#[test]
fn what_cannot_be_read_is_not_passed_on() {
    let asked = asked("@drop(\"/a\")");
    let refused = |mut head: Parts, body: &'static str| {
        oblige(&mut head, &Bytes::from_static(body.as_bytes()), &asked).unwrap_err()
    };
    let encoded = json(|head| head.header("content-encoding", "gzip"));
    assert_eq!(refused(encoded, "{}"), ProjectionError::Encoded);
    let part = json(|head| head.status(206));
    assert_eq!(refused(part, "{}"), ProjectionError::Partial);
    let two = json(|head| head.header("content-type", "text/html"));
    assert_eq!(refused(two, "{}"), ProjectionError::MediaType);
    let other = head(|head| head.header("content-type", "text/plain"));
    assert_eq!(refused(other, "{}"), ProjectionError::MediaType);
    let switch = json(|head| head.status(101));
    assert_eq!(refused(switch, "{}"), ProjectionError::MediaType);
    let broken = refused(json(|head| head), "{\"b\":");
    assert!(
        matches!(broken, ProjectionError::Obligation(_)),
        "{broken:?}"
    );
    let held = oblige(&mut json(|head| head), &Bytes::from_static(b"{}"), &asked);
    assert!(held.is_ok());
}

#[test]
fn an_answer_that_is_no_success_holds_no_rows() {
    let asked = asked("@limit_rows(\"1\") @mask(\"/secret\")");
    let body = Bytes::from_static(br#"{"secret":"x"}"#);
    let failed = oblige(&mut json(|head| head.status(404)), &body, &asked).unwrap();
    assert_eq!(&failed[..], br#"{"secret":"***"}"#);
    assert!(oblige(&mut json(|head| head), &body, &asked).is_err());
}

#[test]
fn an_answer_without_body_says_nothing_of_the_one_it_would_have() {
    let mut head = json(|head| head);
    let asked = asked("@drop(\"/a\")");
    assert!(oblige(&mut head, &Bytes::new(), &asked).unwrap().is_empty());
    assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
}
