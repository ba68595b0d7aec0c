use super::{DEPTH_MAX, Integers, JsonFault, VALUES_MAX, read, value};
use proptest::prelude::*;
use serde_json::Value;

#[track_caller]
fn refused(text: impl AsRef<[u8]>, fault: JsonFault, pointer: &str) {
    let error = value(text.as_ref(), Integers::Exact).unwrap_err();
    assert_eq!((error.fault(), error.pointer().as_str()), (fault, pointer));
}

#[test]
fn a_member_that_stands_twice_is_refused_where_it_stands() {
    refused(r#"{"a":1,"a":2}"#, JsonFault::Duplicate, "/a");
    // The same name in other letters of the same alphabet of escapes.
    refused(
        r#"{"x":[{"role":1,"r\u006fle":2}]}"#,
        JsonFault::Duplicate,
        "/x/0/role",
    );
    let many: Vec<String> = (0..20).map(|n| format!("\"m{n}\":0")).collect();
    let many = many.join(",");
    refused(format!("{{{many},\"m7\":1}}"), JsonFault::Duplicate, "/m7");
    assert!(value(format!("{{{many}}}").as_bytes(), Integers::Exact).is_ok());
    assert!(value(br#"{"a":1,"A":2}"#, Integers::Exact).is_ok());
}

#[test]
fn depth_and_number_of_values_have_limits() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(value(nested(DEPTH_MAX).as_bytes(), Integers::Exact).is_ok());
    let error = value(nested(DEPTH_MAX + 1).as_bytes(), Integers::Exact).unwrap_err();
    assert_eq!(error.fault(), JsonFault::Depth);
    let error = value("[".repeat(1_000_000).as_bytes(), Integers::Exact).unwrap_err();
    assert_eq!(error.fault(), JsonFault::Depth);
    let list = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(value(list(VALUES_MAX - 1).as_bytes(), Integers::Exact).is_ok());
    let error = value(list(VALUES_MAX).as_bytes(), Integers::Exact).unwrap_err();
    assert_eq!(error.fault(), JsonFault::TooMany);
}

#[test]
fn numbers_that_readers_hold_differently_are_refused() {
    for (text, fault) in [
        ("18446744073709551616", JsonFault::Number),
        ("-9223372036854775809", JsonFault::Number),
        ("1e400", JsonFault::Number),
        ("1.0e+99999", JsonFault::Number),
        ("01", JsonFault::Syntax),
        ("1.", JsonFault::Syntax),
        ("1e", JsonFault::Syntax),
        ("-", JsonFault::Syntax),
        ("+1", JsonFault::Syntax),
        ("NaN", JsonFault::Syntax),
    ] {
        refused(text, fault, "");
    }
    refused("9".repeat(65), JsonFault::Number, "");
    for text in [
        "18446744073709551615",
        "-9223372036854775808",
        "1e300",
        "-0",
        "0.1",
    ] {
        assert!(value(text.as_bytes(), Integers::Exact).is_ok(), "{text}");
    }
    let rounded = value(b"18446744073709551616", Integers::Rounded).unwrap();
    assert_eq!(rounded, serde_json::json!(1.844_674_407_370_955_2e19));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\n\"",
        "1 2",
        "tru",
        "// c\n1",
        "\u{feff}1",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "\"\\",
    ] {
        let error = value(text.as_bytes(), Integers::Exact).unwrap_err();
        assert_eq!(error.fault(), JsonFault::Syntax, "{text:?}");
    }
    refused(b"\"\xff\"", JsonFault::Utf8, "");
}

#[test]
fn what_is_written_again_says_what_it_said() {
    let text = r#" { "a" : [ 1.50, 123456789012345678901234567890, "\u00e9\n", true ], "b\"" : null , "c":{}, "d":[] } "#;
    let mut out = Vec::new();
    read(text.as_bytes(), Integers::Rounded)
        .unwrap()
        .write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"a":[1.50,123456789012345678901234567890,"\u00e9\n",true],"b\"":null,"c":{},"d":[]}"#
    );
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn documents_are_read_and_written_as_the_library_does(document in documents()) {
        let text = serde_json::to_vec(&document).unwrap();
        let node = read(&text, Integers::Exact).unwrap();
        prop_assert_eq!(node.to_value(), document);
        let mut out = Vec::new();
        node.write(&mut out);
        prop_assert_eq!(out, text);
    }

    #[test]
    fn nothing_is_taken_that_the_library_refuses(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+\\- \n]{0,24}") {
        let ours = value(text.as_bytes(), Integers::Rounded);
        let theirs: Result<Value, _> = serde_json::from_str(&text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Ok(_), Err(error)) => prop_assert!(false, "{text:?}: {error}"),
            (Err(error), Ok(_)) => prop_assert_eq!(error.fault(), JsonFault::Duplicate, "{:?}", text),
            (Err(_), Err(_)) => {}
        }
    }
}
