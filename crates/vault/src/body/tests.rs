use super::*;
use serde_json::json;

fn body(value: serde_json::Value) -> Body {
    Body::of(value).unwrap()
}

#[test]
fn members_are_read_as_weakly_as_clients_write_them() {
    let body = body(json!({
        "n": "12", "m": 12, "t": "true", "f": 0, "null": null, "list": "a, b,", "array": ["a", 1],
        "hour": "1h", "seconds": 90, "map": {"k": "v"}
    }));
    assert_eq!(body.integer("n"), Ok(Some(12)));
    assert_eq!(body.integer("m"), Ok(Some(12)));
    assert_eq!(body.text("m"), Ok(Some("12".to_owned())));
    assert_eq!(body.truth("t"), Ok(Some(true)));
    assert_eq!(body.truth("f"), Ok(Some(false)));
    assert!(!body.has("null"));
    assert_eq!(body.integer("null"), Ok(None));
    assert_eq!(
        body.texts("list"),
        Ok(Some(vec!["a".to_owned(), "b".to_owned()]))
    );
    assert_eq!(
        body.texts("array"),
        Ok(Some(vec!["a".to_owned(), "1".to_owned()]))
    );
    assert_eq!(body.duration("hour"), Ok(Some(Duration::from_secs(3600))));
    assert_eq!(body.duration("seconds"), Ok(Some(Duration::from_secs(90))));
    assert_eq!(
        body.text_map("map").unwrap().unwrap().get("k").unwrap(),
        "v"
    );
    assert!(body.integer("list").is_err());
    assert!(body.count("missing").unwrap().is_none());
    assert!(body.required_text("missing").is_err());
}

#[test]
fn empty_bodies_are_nothing_and_others_than_objects_are_refused() {
    for nothing in ["", "  ", "null", "{}"] {
        assert!(
            Body::parse(nothing.as_bytes())
                .unwrap()
                .members()
                .is_empty()
        );
    }
    for refused in ["[]", "1", "\"canary\"", "{", "{\"a\":canary}"] {
        let error = Body::parse(refused.as_bytes()).err().unwrap();
        assert_eq!(error.status(), 400);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn cve_2025_6203_depth_and_strings_are_bounded() {
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(Body::parse(deep(30).as_bytes()).is_ok());
    assert!(Body::parse(deep(40).as_bytes()).is_err());
    assert!(Body::parse(deep(100_000).as_bytes()).is_err());
    let many = |count: usize| json!({ "a": vec!["x"; count] }).to_string();
    assert!(Body::parse(many(STRINGS_MAX - 1).as_bytes()).is_ok());
    assert!(Body::parse(many(STRINGS_MAX + 1).as_bytes()).is_err());
    let numbers = |count: usize| json!({ "a": vec![0; count] }).to_string();
    assert!(Body::parse(numbers(COMMAS_MAX).as_bytes()).is_ok());
    assert!(Body::parse(numbers(COMMAS_MAX + 2).as_bytes()).is_err());
}
