//! RFC 8785 §3.2.3's example of member order, and the refusal of what records never hold.

use super::canonical_json;
use serde_json::json;

fn check(value: serde_json::Value, expected: Option<&str>) {
    assert_eq!(
        canonical_json(&value)
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .as_deref(),
        expected
    );
}

#[test]
fn members_are_sorted_by_utf16_code_units() {
    let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
    check(
        value,
        Some(
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
        ),
    );
}

#[test]
fn strings_are_escaped_as_the_rfc_says() {
    check(
        json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/"),
        Some("\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""),
    );
}

#[test]
fn floats_and_large_integers_are_refused() {
    check(json!(9_007_199_254_740_991_u64), Some("9007199254740991"));
    check(json!(-9_007_199_254_740_991_i64), Some("-9007199254740991"));
    check(json!(9_007_199_254_740_992_u64), None);
    check(json!([1.5]), None);
}
