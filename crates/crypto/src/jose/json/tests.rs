use super::object;
use crate::jose::JoseError;
use proptest::prelude::*;

#[test]
fn what_is_refused() {
    let check = |text: &str, reason: &str| match object(text.as_bytes()) {
        Err(JoseError::Json(found)) => assert_eq!(found, reason, "{text}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"a":1,"a":1}"#, "a member stands twice");
    check(r#"{"a":{"b":1,"b":2}}"#, "a member stands twice");
    check(r#"{"a":[{"b":1,"\u0062":2}]}"#, "a member stands twice");
    check("[]", "it is another value");
    check("null", "it is another value");
    check(r#"{} {}"#, "something follows it");
    check(r#"{"a":1e999}"#, "it is not JSON");
    check(r#"{"a":NaN}"#, "it is not JSON");
    check(r#"{'a':1}"#, "it is not JSON");
    check("", "it is not JSON");
    check(
        &format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16)),
        "it is nested too deep",
    );
    assert!(object(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn what_is_read() {
    assert_eq!(
        object(br#" {"a":1,"b":{"a":[true,null,-1.5,"x"]}} "#)
            .unwrap()
            .len(),
        2
    );
    assert!(object(format!("{{\"a\":{}{}}}", "[".repeat(15), "]".repeat(15)).as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = object(&bytes);
    }

    #[test]
    fn agrees_with_serde_json_when_it_accepts(text in r#"[{}\[\]:,"a-c0-9.e+ \\-]{0,40}"#) {
        if let Ok(members) = object(text.as_bytes()) {
            let other: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(members, other);
        }
    }
}
