use super::{
    BareItem, Dictionary, FIELD_BYTES_MAX, FieldError, INTEGER_MAX, InnerList, Item, List,
    MEMBERS_MAX, Member, Parameters, dictionary, item, list,
};
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

fn a_key() -> impl Strategy<Value = String> {
    "[a-z*][a-z0-9_.*-]{0,8}"
}

fn a_bare_item() -> impl Strategy<Value = BareItem> {
    prop_oneof![
        any::<bool>().prop_map(BareItem::Boolean),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(BareItem::ByteSequence),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(BareItem::Decimal),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(BareItem::Integer),
        "[ -~]{0,20}".prop_map(BareItem::String),
        "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,12}".prop_map(BareItem::Token),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    prop::collection::btree_map(a_key(), a_bare_item(), 0..4)
        .prop_map(|parameters| Parameters(parameters.into_iter().collect()))
}

fn an_item() -> impl Strategy<Value = Item> {
    (a_bare_item(), parameters()).prop_map(|(value, parameters)| Item { value, parameters })
}

fn a_member() -> impl Strategy<Value = Member> {
    let inner = (prop::collection::vec(an_item(), 0..4), parameters());
    prop_oneof![
        an_item().prop_map(Member::Item),
        inner.prop_map(|(items, parameters)| Member::InnerList(InnerList { items, parameters })),
    ]
}

proptest! {
    /// What is written is read as what it was.
    #[test]
    fn every_value_is_read_as_it_was_written(
        one in an_item(),
        members in prop::collection::vec(a_member(), 0..6),
        keys in prop::collection::btree_set(a_key(), 6),
    ) {
        prop_assert_eq!(item(&one.to_string()), Ok(one));
        let named = keys.into_iter().zip(members.iter().cloned()).collect();
        let (all, named) = (List(members), Dictionary(named));
        prop_assert_eq!(list(&all.to_string()), Ok(all));
        prop_assert_eq!(dictionary(&named.to_string()), Ok(named));
    }

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
