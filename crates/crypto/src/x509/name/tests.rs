use super::DistinguishedName;
use proptest::prelude::*;

fn parse(text: &str) -> Option<DistinguishedName> {
    text.parse().ok()
}

#[test]
fn a_name_is_read_and_written_in_one_way() {
    for (written, canonical) in [
        ("CN=billing,O=Example,C=DE", "CN=billing,O=Example,C=DE"),
        ("cn=billing, o=Example, c=DE", "CN=billing,O=Example,C=DE"),
        ("2.5.4.3=billing", "CN=billing"),
        ("1.3.6.1.4.1.1=x", "1.3.6.1.4.1.1=x"),
        ("CN=a+OU=b", "OU=b+CN=a"),
        (r"CN=Smith\, J\c3\b6rg", "CN=Smith\\, Jörg"),
        (r"CN=\#1", r"CN=\#1"),
        (r"CN=\ a\ ", r"CN=\ a\ "),
        ("CN=a=b", r"CN=a\=b"),
    ] {
        let name = parse(written).unwrap_or_else(|| panic!("{written} is a name"));
        let again = parse(&name.to_string()).unwrap();
        assert_eq!(name, again, "{written}");
        // Attributes of one part have no order, so those two are compared as names only.
        if !written.contains('+') {
            assert_eq!(name.to_string(), canonical);
        }
    }
    assert_eq!(parse("CN=a+OU=b"), parse("OU=b+CN=a"));
}

#[test]
fn order_case_and_space_make_another_name() {
    let name = parse("CN=billing,O=Example").unwrap();
    for other in [
        "O=Example,CN=billing",
        "CN=Billing,O=Example",
        "CN=billing,O=Example,C=DE",
        "CN=billing+O=Example",
        r"CN=billing\ ,O=Example",
    ] {
        assert_ne!(Some(&name), parse(other).as_ref(), "{other}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "",
        "billing",
        "CN=",
        "CN=a,",
        "CN=a,,O=b",
        "CN= a",
        "CN=a ",
        "CN=\"a\"",
        "CN=a;O=b",
        "CN=#0403",
        "XX=a",
        "2.5=a",
        "2.05.4.3=a",
        "CN=a\\",
        "CN=a\\z0",
        "CN=\\ff",
        "CN=\\00",
        "CN=a+CN=a",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(parse(&format!("CN={}", "a".repeat(1024))), None);
    assert!(parse(&format!("CN={}", "a".repeat(1000))).is_some());
}

#[test]
fn a_name_that_is_too_long_once_its_escapes_are_written_is_refused() {
    let longest = parse(&format!("CN=a{}", "=".repeat(510))).unwrap();
    assert_eq!(longest.to_string().len(), 1024);
    assert_eq!(parse(&longest.to_string()), Some(longest));
    assert_eq!(parse(&format!("CN=a{}", "=".repeat(511))), None);
}

proptest! {
    #[test]
    fn every_value_survives_its_text_form(value in "[^\\x00]{1,40}") {
        let escaped: String = value.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let name: DistinguishedName = format!("CN={escaped}").parse().unwrap();
        prop_assert_eq!(name.to_string().parse::<DistinguishedName>().unwrap(), name);
    }

    #[test]
    fn what_is_read_is_written_so_that_it_is_read_again(text in "(cn|O|2\\.5\\.4\\.3)=[A-Z0-9=,+\\\\# ;\"a-f\t]{0,40}(==){0,600}") {
        if let Ok(name) = text.parse::<DistinguishedName>() {
            prop_assert_eq!(name.to_string().parse::<DistinguishedName>().ok(), Some(name));
        }
    }
}
