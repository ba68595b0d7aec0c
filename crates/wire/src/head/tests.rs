use super::{FieldName, HeadView, OneValue};

#[test]
fn a_name_is_a_token_and_case_has_no_meaning() {
    let name: FieldName = "X-Signature".parse().unwrap();
    assert_eq!(name.as_str(), "x-signature");
    for refused in ["", "x signature", "x:y", "é", &"x".repeat(65)] {
        assert!(refused.parse::<FieldName>().is_err(), "{refused}");
    }
}

#[test]
fn a_field_is_missing_once_several_times_or_no_text() {
    let fields: [(&str, &[u8]); 4] = [
        ("a", b" one\t"),
        ("b", b"1"),
        ("b", b"2"),
        ("c", b"caf\xc3\xa9"),
    ];
    let head = HeadView {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path_and_query: "/",
        fields: &fields,
    };
    assert_eq!(head.one("a"), OneValue::Text("one"));
    assert_eq!(head.one("b"), OneValue::Several);
    assert_eq!(head.one("c"), OneValue::NotText);
    assert_eq!(head.one("d"), OneValue::Missing);
    assert!(head.has("b") && !head.has("d"));
}
