use super::{Content, ContentError, attributes};
use crate::json::JsonFault;
use crate::routes::{AttributeSource, ResourceId, ResourceSpec};
use bytes::Bytes;
use countersign_policy::{EntityId, Value};
use http::HeaderMap;

fn content(
    fields: &[(&'static str, &'static str)],
    body: &'static str,
) -> Result<Content, ContentError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    Content::of(Bytes::from_static(body.as_bytes()), &headers)
}

fn json(body: &'static str) -> Content {
    content(&[("content-type", "application/json")], body).unwrap()
}

#[test]
fn what_is_encoded_is_refused() {
    for coding in ["gzip", "br", "identity, gzip", "x", ""] {
        let fields = [
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        assert_eq!(
            content(&fields, "{}").err(),
            Some(ContentError::Encoded),
            "{coding}"
        );
    }
    let fields = [
        ("content-type", "application/json"),
        ("content-encoding", "identity"),
    ];
    assert!(content(&fields, "{}").unwrap().json().is_ok());
    for charset in [
        "charset=utf-16",
        "charset=utf-7",
        "charset = utf-8",
        "charset",
    ] {
        let value: &'static str = format!("application/json; {charset}").leak();
        assert_eq!(
            content(&[("content-type", value)], "{}").err(),
            Some(ContentError::Encoded),
            "{charset}"
        );
    }
}

#[test]
fn json_is_what_says_so() {
    for media_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/merge-patch+json",
        "application/json;charset=\"utf-8\"; x=1",
    ] {
        assert!(
            content(&[("content-type", media_type)], "{}")
                .unwrap()
                .json()
                .is_ok(),
            "{media_type}"
        );
    }
    for media_type in [
        "text/json",
        "text/plain",
        "application/jsonp",
        "application/xml",
    ] {
        let content = content(&[("content-type", media_type)], "{}").unwrap();
        assert_eq!(
            content.json().err(),
            Some(ContentError::MediaType),
            "{media_type}"
        );
    }
    assert_eq!(
        content(&[], "{}").unwrap().json().err(),
        Some(ContentError::MediaType)
    );
    for media_type in [
        "json",
        "/",
        "application/",
        "application/json, text/plain",
        "a b/c",
    ] {
        assert_eq!(
            content(&[("content-type", media_type)], "{}").err(),
            Some(ContentError::MediaType),
            "{media_type}"
        );
    }
}

#[test]
fn an_attribute_is_there_with_its_type_or_the_request_is_denied() {
    let body = json(
        r#"{"customer":{"id":"c-1","n":7,"vip":false,"none":null,"list":["x"],"half":0.5,"":1},"a/b":"s"}"#,
    );
    let at = |pointer: &str| body.attribute(&pointer.parse().unwrap());
    assert_eq!(at("/customer/id"), Ok("c-1".into()));
    assert_eq!(at("/customer/n"), Ok(Value::Long(7)));
    assert_eq!(at("/customer/vip"), Ok(Value::Bool(false)));
    assert_eq!(at("/customer/list/0"), Ok("x".into()));
    assert_eq!(at("/customer/"), Ok(Value::Long(1)));
    assert_eq!(at("/a~1b"), Ok("s".into()));
    for pointer in [
        "",
        "/customer",
        "/customer/none",
        "/customer/half",
        "/customer/list",
        "/customer/list/1",
        "/customer/list/00",
        "/customer/list/-",
        "/customer/list/+0",
        "/missing",
        "/customer/id/x",
    ] {
        assert_eq!(at(pointer), Err(ContentError::Attribute), "{pointer}");
    }
    // Beyond what policies count with.
    assert_eq!(
        json("{\"n\":9223372036854775808}").attribute(&"/n".parse().unwrap()),
        Err(ContentError::Attribute)
    );
    let twice = json(r#"{"id":"a","id":"b"}"#).attribute(&"/id".parse().unwrap());
    assert!(
        matches!(twice, Err(ContentError::Json(error)) if error.fault() == JsonFault::Duplicate)
    );
}

#[test]
fn an_attribute_that_names_an_entity_is_text() {
    let resource = ResourceSpec::Entity {
        kind: "Order".to_owned(),
        id: ResourceId::Path,
        attributes: [(
            "owner".to_owned(),
            AttributeSource::Body {
                pointer: "/owner".parse().unwrap(),
                kind: Some("User".to_owned()),
            },
        )]
        .into(),
    };
    let read = attributes(&resource, &json(r#"{"owner":"alice"}"#)).unwrap();
    assert_eq!(
        read,
        [(
            "owner".to_owned(),
            Value::Entity(EntityId::new("User", "alice"))
        )]
    );
    for body in [
        r#"{"owner":7}"#,
        r#"{"owner":""}"#,
        r#"{"owner":["alice"]}"#,
        "{}",
    ] {
        assert_eq!(
            attributes(&resource, &json(body)),
            Err(ContentError::Attribute),
            "{body}"
        );
    }
    assert_eq!(
        attributes(&ResourceSpec::Route, &json("{}")),
        Ok(Vec::new())
    );
}
