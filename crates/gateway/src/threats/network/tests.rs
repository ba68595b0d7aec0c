use super::super::geography::Place;
use super::{AddressList, Cidr, CidrError, CountryRules, NetworkRefusal, NetworkRules, Unknown};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

fn list(networks: &[&str]) -> AddressList {
    networks
        .iter()
        .map(|text| text.parse::<Cidr>().unwrap())
        .collect()
}

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_mapped_address_is_the_ipv4_address_on_both_sides() {
    for networks in [
        ["192.0.2.0/24"],
        ["::ffff:192.0.2.0/120"],
        ["::ffff:c000:200/120"],
    ] {
        let list = list(&networks);
        assert!(list.contains(at("192.0.2.7")), "{networks:?}");
        assert!(list.contains(at("::ffff:192.0.2.7")), "{networks:?}");
        assert!(!list.contains(at("192.0.3.7")), "{networks:?}");
        assert!(!list.contains(at("::192.0.2.7")), "{networks:?}");
    }
    let v6 = list(&["::/0"]);
    assert!(v6.contains(at("2001:db8::1")));
    assert!(!v6.contains(at("::ffff:192.0.2.7")), "IPv4 is not meant");
}

#[test]
fn what_is_no_network_is_refused() {
    for (text, error) in [
        ("192.0.2.1/24", CidrError::HostBits),
        ("2001:db8::1/32", CidrError::HostBits),
        ("192.0.2.0/33", CidrError::Syntax),
        ("2001:db8::/129", CidrError::Syntax),
        ("192.0.2.0/", CidrError::Syntax),
        ("192.0.2.0/+8", CidrError::Syntax),
        ("192.0.2.0/0008", CidrError::Syntax),
        ("192.0.2", CidrError::Syntax),
        ("0300.0.2.0", CidrError::Syntax),
        ("3221225984", CidrError::Syntax),
        ("localhost", CidrError::Syntax),
        ("", CidrError::Syntax),
    ] {
        assert_eq!(text.parse::<Cidr>(), Err(error), "{text}");
    }
    assert_eq!("0.0.0.0/0".parse(), Ok(Cidr::V4(0, u32::MAX)));
    assert_eq!("::/0".parse(), Ok(Cidr::V6(0, u128::MAX)));
}

#[test]
fn denied_goes_before_allowed_and_every_gate_must_let_through() {
    let lists = |networks: &[&str]| vec![Arc::new(list(networks))];
    let rules = NetworkRules {
        allow: vec![
            lists(&["10.0.0.0/8"]),
            lists(&["10.1.0.0/16", "10.2.0.0/16"]),
        ],
        deny: lists(&["10.1.0.66"]),
        ..NetworkRules::default()
    };
    let admit = |text| rules.admit(at(text), None);
    assert_eq!(admit("10.1.0.1"), Ok(()));
    assert_eq!(admit("10.1.0.66"), Err(NetworkRefusal::Denied));
    assert_eq!(admit("::ffff:10.1.0.66"), Err(NetworkRefusal::Denied));
    assert_eq!(admit("10.3.0.1"), Err(NetworkRefusal::NotAllowed));
    assert_eq!(admit("192.0.2.1"), Err(NetworkRefusal::NotAllowed));
}

#[test]
fn an_unknown_country_is_a_case_of_its_own() {
    let rules = |allow: &[&str], deny: &[&str], unknown| NetworkRules {
        countries: vec![CountryRules {
            allow: allow.iter().map(ToString::to_string).collect(),
            deny: deny.iter().map(ToString::to_string).collect(),
            unknown,
        }],
        asns_denied: [64_500].into(),
        ..NetworkRules::default()
    };
    let place = |country: Option<&str>, asn| Place {
        country: country.map(str::to_owned),
        asn,
    };
    let admit = |rules: &NetworkRules, country| {
        rules.admit(at("192.0.2.1"), Some(&place(country, Some(64_501))))
    };
    let swiss = rules(&["CH"], &[], Unknown::Refused);
    assert_eq!(admit(&swiss, Some("CH")), Ok(()));
    assert_eq!(admit(&swiss, Some("DE")), Err(NetworkRefusal::Country));
    assert_eq!(admit(&swiss, None), Err(NetworkRefusal::UnknownCountry));
    assert_eq!(
        swiss.admit(at("192.0.2.1"), None),
        Err(NetworkRefusal::UnknownCountry)
    );
    let not_here = rules(&[], &["DE"], Unknown::Allowed);
    assert_eq!(admit(&not_here, Some("CH")), Ok(()));
    assert_eq!(admit(&not_here, Some("DE")), Err(NetworkRefusal::Country));
    assert_eq!(admit(&not_here, None), Ok(()));
    let operator = place(Some("CH"), Some(64_500));
    assert_eq!(
        swiss.admit(at("192.0.2.1"), Some(&operator)),
        Err(NetworkRefusal::Asn)
    );
}

proptest! {
    #[test]
    fn a_list_holds_what_one_of_its_networks_holds(
        networks in proptest::collection::vec((any::<u32>(), 0_u8..=32), 0..12),
        address in any::<u32>(),
    ) {
        let masked = |(address, prefix): (u32, u8)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (address & mask, mask)
        };
        let texts: Vec<String> = networks
            .iter()
            .map(|network| format!("{}/{}", Ipv4Addr::from(masked(*network).0), network.1))
            .collect();
        let list = list(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = networks.iter().any(|network| {
            let (first, mask) = masked(*network);
            address & mask == first
        });
        prop_assert_eq!(list.contains(IpAddr::V4(address.into())), expected);
        prop_assert_eq!(list.contains(IpAddr::V6(Ipv4Addr::from(address).to_ipv6_mapped())), expected);
    }

    #[test]
    fn parsing_never_panics(text in "[0-9a-f.:/]{0,24}", address in any::<u128>()) {
        if let Ok(cidr) = text.parse::<Cidr>() {
            let list: AddressList = [cidr].into_iter().collect();
            let _ = list.contains(IpAddr::V6(Ipv6Addr::from(address)));
            prop_assert!(!list.is_empty());
        }
    }
}
