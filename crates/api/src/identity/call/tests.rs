use super::*;

fn from(text: &str) -> String {
    let mut extensions = Extensions::new();
    extensions.insert(SocketAddr::new(text.parse().unwrap(), 40_000));
    source(&extensions).to_string()
}

#[test]
fn a56_an_address_of_ipv4_is_one_in_either_form() {
    assert_eq!(from("::ffff:192.0.2.7"), "192.0.2.7");
    assert_eq!(from("192.0.2.7"), "192.0.2.7");
    assert_eq!(from("2001:db8::7"), "2001:db8::7");
    assert_eq!(source(&Extensions::new()).to_string(), "0.0.0.0");
}

#[test]
fn a56_a_subscriber_has_one_address_of_ipv4_or_64_bits_of_ipv6() {
    let of = |text: &str| subscriber(text.parse().unwrap()).to_string();
    assert_eq!(of("192.0.2.77"), "192.0.2.77");
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(of("2001:db8:1:2:ffff::"), of("2001:db8:1:2::1"));
    assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
}
