use super::{BareItem, FIELD_BYTES_MAX, FieldError, MEMBERS_MAX, dictionary, item, list};
use proptest::prelude::*;

#[track_caller]
fn one(text: &str, value: BareItem) {
    let read = item(text).unwrap();
    assert_eq!(read.value, value);
    assert_eq!(read.to_string(), text);
}

/// The examples of RFC 8941 §3.3, and the edges of its numbers.
#[test]
fn items_are_read_and_written() {
    one("42", BareItem::Integer(42));
    one("-999999999999999", BareItem::Integer(-999_999_999_999_999));
    one("4.5", BareItem::Decimal(4500));
    one("-0.125", BareItem::Decimal(-125));
    one("999999999999.999", BareItem::Decimal(999_999_999_999_999));
    one("\"hello world\"", BareItem::String("hello world".into()));
    one(r#""a \"b\" \\c""#, BareItem::String(r#"a "b" \c"#.into()));
    one("foo123/456", BareItem::Token("foo123/456".into()));
    one("*a:b", BareItem::Token("*a:b".into()));
    one(
        ":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:",
        BareItem::ByteSequence(b"pretend this is binary content.".to_vec()),
    );
    one("::", BareItem::ByteSequence(Vec::new()));
    one("?1", BareItem::Boolean(true));
    one("?0", BareItem::Boolean(false));
    assert_eq!(item(" 1.0 ").unwrap().to_string(), "1.0");
    assert_eq!(item("007").unwrap().to_string(), "7");
    assert_eq!(item("-0").unwrap().to_string(), "0");
}

#[test]
fn what_is_no_item_is_refused() {
    for text in [
        "",
        "-",
        "1.",
        ".5",
        "1.2345",
        "1000000000000000",
        "1234567890123.1",
        "1 2",
        "\"a",
        "\"\\a\"",
        "\"\u{e9}\"",
        "\"a\tb\"",
        ":a:",
        ":YQ:",
        ":YQ==",
        "?2",
        "?",
        "a b",
        "(1)",
        "1,",
        "a;",
        "a;B",
        "a;=1",
        "a;b=",
        "a; \tb",
        "=a",
        "1;a=(1)",
    ] {
        assert_eq!(item(text).map(|_| ()), Err(FieldError::Syntax), "{text}");
    }
    assert_eq!(item("a;b;b").map(|_| ()), Err(FieldError::Duplicate));
}

/// The examples of RFC 8941 §3.1 and §3.2.
#[test]
fn lists_and_dictionaries_are_read_and_written() {
    for text in [
        "sugar, tea, rum",
        r#"("foo" "bar"), ("baz"), ("bat" "one"), ()"#,
        r#"("foo";a=1;b=2);lvl=5, ("bar" "baz");lvl=1"#,
        "abc;a=1;b=2;cde_456, (ghi;jk=4 l);q=\"9\";r=w",
        "",
    ] {
        assert_eq!(list(text).unwrap().to_string(), text);
    }
    for text in [
        r#"en="Applepie", da=:w4ZibGV0w6ZydGU=:"#,
        "a=?0, b, c;foo=bar",
        "rating=1.5, feelings=(joy sadness)",
        "a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid",
        "",
    ] {
        assert_eq!(dictionary(text).unwrap().to_string(), text);
    }
    assert_eq!(list("a,b \t,\tc;x=?1").unwrap().to_string(), "a, b, c;x");
    assert_eq!(dictionary("a=?1").unwrap().to_string(), "a");
    assert_eq!(list("( 1  2 )").unwrap().to_string(), "(1 2)");
}

#[test]
fn what_is_no_list_or_dictionary_is_refused() {
    for text in [
        "a,",
        ",a",
        "a,,b",
        "a b",
        "(a",
        "(a))",
        "(a,b)",
        "(a\tb)",
        "(\"a\"\"b\")",
        "((a))",
    ] {
        assert_eq!(list(text).map(|_| ()), Err(FieldError::Syntax), "{text}");
    }
    for text in ["a=", "A=1", "a=1,", "=1", "a=1 b=2", "\"a\"=1"] {
        assert_eq!(
            dictionary(text).map(|_| ()),
            Err(FieldError::Syntax),
            "{text}"
        );
    }
    assert_eq!(
        dictionary("a=1, b=2, a=3").map(|_| ()),
        Err(FieldError::Duplicate)
    );
}

#[test]
fn every_length_has_a_limit() {
    let members = |count: usize| vec!["a"; count].join(",");
    assert!(list(&members(MEMBERS_MAX)).is_ok());
    assert_eq!(
        list(&members(MEMBERS_MAX + 1)).map(|_| ()),
        Err(FieldError::TooLong)
    );
    let inner = |count: usize| format!("({})", vec!["a"; count].join(" "));
    assert!(list(&inner(MEMBERS_MAX)).is_ok());
    assert_eq!(
        list(&inner(MEMBERS_MAX + 1)).map(|_| ()),
        Err(FieldError::TooLong)
    );
    let parameters =
        |count: usize| (0..count).fold("a".to_owned(), |text, index| format!("{text};p{index}"));
    assert!(item(&parameters(32)).is_ok());
    assert_eq!(item(&parameters(33)).map(|_| ()), Err(FieldError::TooLong));
    assert_eq!(
        item(&"a".repeat(FIELD_BYTES_MAX + 1)).map(|_| ()),
        Err(FieldError::TooLong)
    );
    assert_eq!(
        item(&format!("a;{}", "k".repeat(257))).map(|_| ()),
        Err(FieldError::TooLong)
    );
}

proptest! {
    /// What was read is written in a form that reads the same and is written the same.
    #[test]
    fn written_forms_are_fixed(text in "[a-c01?:;=,()\"\\\\ .*-]{0,24}") {
        if let Ok(read) = list(&text) {
            let written = read.to_string();
            prop_assert_eq!(list(&written), Ok(read));
        }
        if let Ok(read) = dictionary(&text) {
            let written = read.to_string();
            prop_assert_eq!(dictionary(&written), Ok(read));
        }
    }
}
