use super::*;
use proptest::prelude::*;

/// The canonical form, or why there is none.
fn read(authority: &str) -> String {
    match Destination::parse(authority) {
        Ok(destination) => destination.to_string(),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn one_host_has_one_spelling() {
    for (authority, expected) in [
        ("api.partner.test:443", "api.partner.test:443"),
        ("API.Partner.TEST:443", "api.partner.test:443"),
        ("xn--bcher-kva.test:443", "xn--bcher-kva.test:443"),
        ("a_b.test:443", "a_b.test:443"),
        ("localhost:1", "localhost:1"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[2606:4700::1111]:443", "[2606:4700::1111]:443"),
        ("[2606:4700:0:0:0:0:0:1111]:443", "[2606:4700::1111]:443"),
        ("[::1]:443", "[::1]:443"),
        // Ports.
        ("api.test", "destination_port"),
        ("api.test:", "destination_port"),
        ("api.test:0", "destination_port"),
        ("api.test:0443", "destination_port"),
        ("api.test:+443", "destination_port"),
        ("api.test:65536", "destination_port"),
        ("api.test:443 ", "destination_port"),
        ("[::1]", "destination_port"),
        // Addresses as nobody has to write them.
        ("2130706433:80", "destination_address_spelling"),
        ("0x7f000001:80", "destination_address_spelling"),
        ("0x7f.0.0.1:80", "destination_address_spelling"),
        ("0177.0.0.1:80", "destination_address_spelling"),
        ("017700000001:80", "destination_address_spelling"),
        ("127.1:80", "destination_address_spelling"),
        ("127.0.1:80", "destination_address_spelling"),
        ("0:80", "destination_address_spelling"),
        ("0x:80", "destination_address_spelling"),
        ("127.0.0.01:80", "destination_address_spelling"),
        ("127.0.0.256:80", "destination_address_spelling"),
        ("1.2.3.4.5:80", "destination_address_spelling"),
        ("foo.0x1:80", "destination_address_spelling"),
        ("foo.1:80", "destination_address_spelling"),
        ("[::ffff:127.0.0.1]:80", "destination_address_spelling"),
        ("[::ffff:7f00:1]:80", "destination_address_spelling"),
        ("[::127.0.0.1]:80", "destination_address_spelling"),
        ("[64:ff9b::127.0.0.1]:80", "destination_address_spelling"),
        // What others may strip, decode or fold.
        ("127.0.0.1.:80", "destination_trailing_dot"),
        ("localhost.:80", "destination_trailing_dot"),
        ("localhost..:80", "destination_trailing_dot"),
        (".localhost:80", "destination_label"),
        ("a..b:80", "destination_label"),
        ("-a.test:80", "destination_label"),
        ("a-.test:80", "destination_label"),
        (":80", "destination_label"),
        (".:80", "destination_label"),
        ("127.0.0.%31:80", "destination_escape"),
        ("%6cocalhost:80", "destination_escape"),
        ("localhost%00.test:80", "destination_escape"),
        ("[fe80::1%25eth0]:80", "destination_zone"),
        ("[fe80::1%eth0]:80", "destination_zone"),
        ("user@api.test:443", "destination_user_info"),
        ("user:secret@api.test:443", "destination_user_info"),
        ("api.test:443@127.0.0.1:80", "destination_user_info"),
        ("①②⑦.⓪.⓪.①:80", "destination_not_ascii"),
        ("１２７.０.０.１:80", "destination_not_ascii"),
        ("localhost。test:80", "destination_not_ascii"),
        ("bücher.test:443", "destination_not_ascii"),
        ("ⓛocalhost:80", "destination_not_ascii"),
        ("xn--a:443", "destination_disagreement"),
        ("xn--:443", "destination_label"),
        ("api test:443", "destination_character"),
        ("api.test/:443", "destination_character"),
        ("api.test\\.evil:443", "destination_character"),
        ("api.test#:443", "destination_character"),
        ("api.test?:443", "destination_character"),
        ("api.test,evil.test:443", "destination_character"),
        ("::1:80", "destination_character"),
        ("[::1:80", "destination_character"),
        ("[::1]]:80", "destination_character"),
        ("[v1.fe]:80", "destination_character"),
        ("http://api.test:443", "destination_character"),
    ] {
        assert_eq!(read(authority), expected, "{authority}");
    }
}

#[test]
fn a_name_has_limits() {
    let label = "a".repeat(63);
    assert_eq!(
        read(&format!("{label}.test:443")),
        format!("{label}.test:443")
    );
    assert_eq!(read(&format!("{label}a.test:443")), "destination_label");
    let long = [label.as_str(); 4].join(".");
    let first = |length| format!("{}:443", long.get(..length).unwrap());
    assert_eq!(read(&first(253)), first(253));
    assert_eq!(read(&first(254)), "destination_label");
}

#[test]
fn a_scheme_brings_its_port() {
    assert_eq!(Destination::parse_or("a.test", 80).unwrap().port(), 80);
    assert_eq!(Destination::parse_or("a.test:81", 80).unwrap().port(), 81);
    assert_eq!(Destination::parse_or("[::1]", 80).unwrap().port(), 80);
    let destination = Destination::parse_or("a.test", 443).unwrap();
    assert_eq!(destination.authority(443), "a.test");
    assert_eq!(destination.authority(80), "a.test:443");
}

#[test]
fn what_is_below_a_suffix_is_not_the_suffix() {
    for (host, below) in [
        ("api.partner.test", true),
        ("a.b.partner.test", true),
        ("partner.test", false),
        ("evilpartner.test", false),
        ("partner.test.evil", false),
        ("127.0.0.1", false),
    ] {
        let host: DestinationHost = host.parse().unwrap();
        assert_eq!(host.is_below(".partner.test"), below, "{host}");
    }
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own_and_the_url_standard_agrees(
        authority in "(\\[[0-9a-f:.%]{0,20}\\]|[a-zA-Z0-9x.%@_üⅠ０-]{0,24})(:[0-9+]{0,6})?",
    ) {
        if let Ok(destination) = Destination::parse(&authority) {
            let text = destination.to_string();
            prop_assert_eq!(Destination::parse(&text), Ok(destination.clone()));
            let url = url::Url::parse(&format!("http://{authority}/")).unwrap();
            prop_assert_eq!(url.host_str().unwrap(), destination.host().to_string());
            prop_assert_eq!(url.port_or_known_default(), Some(destination.port()));
        }
    }

    #[test]
    fn ordinary_names_are_read(labels in prop::collection::vec("[a-z]([a-z0-9]{0,10}[a-z])?", 1..5), port in 1_u16..) {
        let authority = format!("{}:{port}", labels.join("."));
        prop_assert_eq!(read(&authority), authority);
    }
}
