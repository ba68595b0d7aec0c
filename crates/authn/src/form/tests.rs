//! What is a form and what is an error.

use super::{Form, FormError};
use countersign_base::limits;
use proptest::prelude::*;

fn error(text: &str) -> Option<FormError> {
    Form::parse(text.as_bytes()).err()
}

#[test]
fn a_form_is_read() {
    let form =
        Form::parse(b"grant_type=client_credentials&scope=a+b%20c&empty=&flag&&x=%C3%A9").unwrap();
    assert_eq!(form.get("grant_type"), Some("client_credentials"));
    assert_eq!(form.get("scope"), Some("a b c"));
    assert_eq!(form.get("x"), Some("é"));
    assert_eq!(
        (form.get("empty"), form.get("flag"), form.get("missing")),
        (None, None, None)
    );
    assert_eq!(
        form.names().collect::<Vec<_>>(),
        ["grant_type", "scope", "empty", "flag", "x"]
    );
    assert!(form.contains("x") && !form.contains("empty"));
}

#[test]
fn r29_ca_14_a_repeated_parameter_is_an_error() {
    assert_eq!(error("scope=a&scope=b"), Some(FormError::Repeated));
    assert_eq!(error("scope=a&scope=a"), Some(FormError::Repeated));
    assert_eq!(
        error("scope=a&sc%6Fpe=b"),
        Some(FormError::Repeated),
        "however it is written"
    );
    assert_eq!(
        error("scope=&scope=b"),
        Some(FormError::Repeated),
        "also beside an empty one"
    );
    assert_eq!(error("scope=a&other=b"), None);
}

#[test]
fn what_breaks_the_format_is_an_error() {
    for (text, expected) in [
        ("a=%", FormError::BrokenEscape),
        ("a=%4", FormError::BrokenEscape),
        ("a=%zz", FormError::BrokenEscape),
        ("%=a", FormError::BrokenEscape),
        ("a=%FF", FormError::NotUtf8),
        ("a=%00", FormError::ControlCharacter),
        ("a=%0d%0aX", FormError::ControlCharacter),
        ("a%0a=b", FormError::ControlCharacter),
    ] {
        assert_eq!(error(text), Some(expected), "{text}");
    }
    assert_eq!(error("a=%41"), None);
}

#[test]
fn limits_are_refusals_and_never_cut() {
    let many: Vec<String> = (0..65).map(|number| format!("p{number}=1")).collect();
    assert_eq!(error(&many.join("&")), Some(FormError::TooManyParameters));
    assert_eq!(error(&many[..64].join("&")), None);
    let long = format!("a={}", "x".repeat(limits::FORM_BYTES_MAX - 2));
    assert_eq!(error(&long), None);
    assert_eq!(error(&format!("{long}x")), Some(FormError::TooLong));
    assert_eq!(
        error(&format!("{}=1", "n".repeat(129))),
        Some(FormError::TooLong)
    );
}

#[test]
fn debug_shows_no_value() {
    let form = Form::parse(b"password=hunter2").unwrap();
    assert_eq!(format!("{form:?}"), "[\"password\"]");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Form::parse(&bytes);
    }

    #[test]
    fn what_was_encoded_is_read_back(name in "[a-z_]{1,20}", value in "[^\\p{Cc}]{1,60}") {
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let form = Form::parse(format!("{name}={encoded}").as_bytes()).unwrap();
        prop_assert_eq!(form.get(&name), Some(value.as_str()));
    }
}
