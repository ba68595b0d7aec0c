//! The form of questions: what is read, what is ignored, what is refused.

use super::*;
use serde_json::json;

fn good() -> Json {
    json!({
        "subject": { "type": "user", "id": "alice" },
        "action": { "name": "read" },
        "resource": { "type": "order", "id": "1", "properties": { "region": "eu" } },
        "context": { "time": 5 },
    })
}

fn parse(body: &Json) -> Result<Evaluation, RequestError> {
    Evaluation::parse(body.to_string().as_bytes())
}

/// The request with one member replaced, or removed.
fn with(path: &[&str], value: Option<Json>) -> Json {
    let mut body = good();
    let (last, parents) = path.split_last().unwrap();
    let parent = parents.iter().fold(&mut body, |at, name| &mut at[*name]);
    match value {
        Some(value) => parent[*last] = value,
        None => drop(parent.as_object_mut().unwrap().remove(*last)),
    }
    body
}

#[test]
fn pdp_2_a_body_is_one_object() {
    assert!(parse(&good()).is_ok());
    let twice = br#"{"subject":{"type":"user","id":"a","id":"b"},"action":{"name":"read"},"resource":{"type":"order","id":"1"}}"#;
    let bodies: [&[u8]; 7] = [b"", b"[]", b"null", b"{", b"{}{}", b"\xff", twice];
    for body in bodies {
        assert_eq!(Evaluation::parse(body).err(), Some(RequestError::Json));
    }
    let deep = format!("{}1{}", "[".repeat(4000), "]".repeat(4000));
    assert_eq!(
        Evaluation::parse(deep.as_bytes()).err(),
        Some(RequestError::Json)
    );
}

#[test]
fn pdp_4_and_pdp_5_what_has_to_be_there_is_there() {
    for (path, missing) in [
        (&["subject"][..], "subject"),
        (&["action"], "action"),
        (&["resource"], "resource"),
        (&["subject", "id"], "subject.id"),
        (&["subject", "type"], "subject.type"),
        (&["action", "name"], "action.name"),
        (&["resource", "id"], "resource.id"),
        (&["resource", "type"], "resource.type"),
    ] {
        assert_eq!(
            parse(&with(path, None)).err(),
            Some(RequestError::Missing(missing))
        );
    }
    assert!(parse(&with(&["context"], None)).is_ok());
    assert!(parse(&with(&["resource", "properties"], None)).is_ok());
}

#[test]
fn pdp_6_members_have_their_type() {
    for (path, value, wrong) in [
        (&["subject"][..], json!("alice"), "subject"),
        (&["subject", "id"], json!(7), "subject.id"),
        (&["subject", "properties"], json!([]), "subject.properties"),
        (&["action"], json!("read"), "action"),
        (&["action", "name"], json!(7), "action.name"),
        (&["action", "properties"], json!("x"), "action.properties"),
        (&["resource"], json!(["order"]), "resource"),
        (&["resource", "type"], json!(null), "resource.type"),
        (&["context"], json!("x"), "context"),
    ] {
        assert_eq!(
            parse(&with(path, Some(value))).err(),
            Some(RequestError::Type(wrong))
        );
    }
    for (path, text, named) in [
        (&["subject", "id"][..], String::new(), "subject.id"),
        (&["action", "name"], "x".repeat(1025), "action.name"),
    ] {
        assert_eq!(
            parse(&with(path, Some(text.into()))).err(),
            Some(RequestError::Name(named))
        );
    }
}

#[test]
fn pdp_10_unknown_members_are_ignored() {
    let mut body = with(&["subject", "colour"], Some(json!("red")));
    body["more"] = json!({ "of": "it" });
    assert!(parse(&body).unwrap() == parse(&good()).unwrap());
}

#[test]
fn pdp_8_semantics_are_three() {
    let batch = |semantic: Json| {
        let mut body = good();
        body["evaluations"] = json!([{}]);
        body["options"] = json!({ "evaluations_semantic": semantic });
        Batch::parse(body.to_string().as_bytes())
    };
    for (name, expected) in [
        ("execute_all", Semantic::ExecuteAll),
        ("deny_on_first_deny", Semantic::DenyOnFirstDeny),
        ("permit_on_first_permit", Semantic::PermitOnFirstPermit),
    ] {
        assert!(matches!(batch(json!(name)), Ok(Batch::Many(semantic, _)) if semantic == expected));
    }
    for unknown in [json!("Execute_All"), json!(""), json!(1), json!(null)] {
        assert!(matches!(batch(unknown), Err(RequestError::Semantic)));
    }
}

#[test]
fn pdp_13_a_question_of_a_batch_overrides_what_stands_for_all() {
    let mut body = good();
    body["evaluations"] = json!([
        {},
        { "resource": { "type": "order", "id": "2" } },
        { "subject": "nobody" },
        7,
    ]);
    let Batch::Many(Semantic::ExecuteAll, questions) =
        Batch::parse(body.to_string().as_bytes()).unwrap()
    else {
        panic!("a batch")
    };
    assert!(questions[0].as_ref().ok() == parse(&good()).ok().as_ref());
    let second = questions[1].as_ref().ok().unwrap();
    assert_eq!(
        (second.resource.id.as_str(), second.subject.id.as_str()),
        ("2", "alice")
    );
    assert!(
        second.resource.properties.is_empty(),
        "a whole member is replaced, not mixed"
    );
    assert_eq!(
        questions[2].as_ref().err(),
        Some(&RequestError::Type("subject"))
    );
    assert_eq!(
        questions[3].as_ref().err(),
        Some(&RequestError::Type("evaluations"))
    );
    for empty in [json!([]), Json::Null] {
        let mut body = good();
        if empty.is_array() {
            body["evaluations"] = empty;
        }
        assert!(matches!(
            Batch::parse(body.to_string().as_bytes()),
            Ok(Batch::One(_))
        ));
    }
    body["evaluations"] = json!({});
    assert!(matches!(
        Batch::parse(body.to_string().as_bytes()),
        Err(RequestError::Type("evaluations"))
    ));
    body["evaluations"] = vec![json!({}); EVALUATIONS_MAX].into();
    assert!(Batch::parse(body.to_string().as_bytes()).is_ok());
    body["evaluations"] = vec![json!({}); EVALUATIONS_MAX + 1].into();
    assert!(matches!(
        Batch::parse(body.to_string().as_bytes()),
        Err(RequestError::TooMany)
    ));
    body["evaluations"] = json!([{}]);
    body["subject"] = json!("alice");
    assert!(matches!(
        Batch::parse(body.to_string().as_bytes()),
        Err(RequestError::Type("subject"))
    ));
}

#[test]
fn a_search_names_what_it_does_not_look_for() {
    let search = |sought, body: &Json| Search::parse(sought, body.to_string().as_bytes());
    let found = search(Sought::Subject, &good()).unwrap();
    assert_eq!(
        (found.subject.id.as_str(), found.resource.id.as_str()),
        ("", "1")
    );
    assert!(search(Sought::Subject, &with(&["subject", "id"], None)).is_ok());
    assert!(search(Sought::Resource, &with(&["resource", "id"], None)).is_ok());
    assert!(search(Sought::Action, &with(&["action"], None)).is_ok());
    assert_eq!(
        search(Sought::Resource, &with(&["subject", "id"], None)).err(),
        Some(RequestError::Missing("subject.id"))
    );
    assert_eq!(
        search(Sought::Subject, &with(&["action"], None)).err(),
        Some(RequestError::Missing("action"))
    );
    let paged = |page: Json| search(Sought::Subject, &with(&["page"], Some(page)));
    let page = paged(json!({ "token": "x", "limit": 3 })).unwrap();
    assert_eq!((page.token.as_deref(), page.limit), (Some("x"), 3));
    assert_eq!(paged(json!({ "token": "" })).unwrap().token, None);
    for limit in [json!(0), json!(101), json!(-1), json!("3"), json!(1.5)] {
        assert_eq!(
            paged(json!({ "limit": limit })).err(),
            Some(RequestError::PageLimit)
        );
    }
    assert_eq!(
        paged(json!({ "token": 3 })).err(),
        Some(RequestError::Type("page.token"))
    );
}
