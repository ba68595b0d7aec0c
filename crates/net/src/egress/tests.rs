use super::*;

#[test]
fn special_addresses_are_not_public() {
    for special in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "::7f00:1",
    ] {
        assert!(!is_public(special.parse().unwrap()), "{special}");
    }
}

#[test]
fn ordinary_addresses_are_public() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.0.1",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
}

/// A policy whose names lead to these addresses.
fn leading(addresses: &'static [&'static str]) -> EgressPolicy {
    let resolve = move |_host: String, port: u16| -> BoxFuture<'static, _> {
        let parsed = addresses.iter().map(|text| text.parse().unwrap());
        let found = parsed.map(|address| SocketAddr::new(address, port));
        let found: Vec<SocketAddr> = found.collect();
        Box::pin(async move { Ok(found) })
    };
    let dial = |_address| -> BoxFuture<'static, _> {
        Box::pin(async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) })
    };
    EgressPolicy::public_only().over(Network::new(resolve, dial))
}

fn verdict(result: Result<Judged, EgressError>) -> &'static str {
    match result {
        Ok(_) => "judged",
        Err(EgressError::Forbidden(_, special)) => special.code(),
        Err(EgressError::Own(_)) => "own",
        Err(EgressError::Unknown(..)) => "unknown",
    }
}

#[test]
fn every_special_address_says_what_it_is() {
    for (address, code) in [
        ("0.0.0.0", "address_unspecified"),
        ("::", "address_unspecified"),
        ("127.8.0.1", "address_loopback"),
        ("::1", "address_loopback"),
        ("::ffff:127.0.0.1", "address_loopback"),
        ("10.0.0.1", "address_private"),
        ("fd00::1", "address_private"),
        ("169.254.0.1", "address_link_local"),
        ("fe80::1", "address_link_local"),
        ("100.64.0.1", "address_carrier_grade"),
        ("192.0.2.7", "address_documentation"),
        ("198.51.100.7", "address_documentation"),
        ("203.0.113.7", "address_documentation"),
        ("2001:db8::7", "address_documentation"),
        ("3fff::7", "address_documentation"),
        ("198.18.0.1", "address_reserved"),
        ("192.88.99.1", "address_reserved"),
        ("2001::1", "address_reserved"),
        ("2001:10::1", "address_reserved"),
        ("::7f00:1", "address_reserved"),
        ("64:ff9b:1::7f00:1", "address_reserved"),
        ("64:ff9b::a9fe:a9fe", "address_metadata"),
        ("2002:a9fe:a9fe::", "address_metadata"),
        ("224.0.0.251", "address_multicast"),
        ("ff02::fb", "address_multicast"),
        ("169.254.169.254", "address_metadata"),
        ("::ffff:169.254.169.254", "address_metadata"),
        ("fd00:ec2::254", "address_metadata"),
        ("fd20:ce::254", "address_metadata"),
        ("100.100.100.200", "address_metadata"),
        ("168.63.129.16", "address_metadata"),
        ("192.0.0.192", "address_metadata"),
    ] {
        let special = special(address.parse().unwrap());
        assert_eq!(special.map(Special::code), Some(code), "{address}");
    }
}

#[test]
fn a_network_is_written_in_one_way() {
    for (text, inside, outside) in [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.2"),
        ("0.0.0.0/0", "255.1.2.3", "::1"),
        ("fd12::/64", "fd12::ffff:1", "fd12:0:0:1::"),
        ("::1/128", "::1", "::2"),
    ] {
        let network: Prefix = text.parse().unwrap();
        assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
        assert!(
            !network.contains(outside.parse().unwrap()),
            "{text} {outside}"
        );
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    for text in [
        "10.1.0.1/16",
        "10.1.0.0/33",
        "10.1.0.0/016",
        "10.1.0.0/+16",
        "10.1.0.0/",
        "10.1/16",
        "host/8",
        "::ffff:10.0.0.0/104",
        "fd12::1/64",
    ] {
        assert!(text.parse::<Prefix>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn one_forbidden_address_refuses_the_name() {
    for (policy, expected) in [
        (leading(&["8.8.8.8", "1.1.1.1"]), "judged"),
        (leading(&["8.8.8.8", "10.0.0.1"]), "address_private"),
        (leading(&["10.0.0.1", "8.8.8.8"]), "address_private"),
        (
            leading(&["10.0.0.1", "8.8.8.8"]).admitting("10.0.0.0/8".parse().unwrap()),
            "judged",
        ),
        (
            leading(&["10.0.0.1", "192.168.0.1"]).admitting("10.0.0.0/8".parse().unwrap()),
            "address_private",
        ),
        (leading(&[]), "unknown"),
    ] {
        assert_eq!(verdict(policy.resolve("a.test", 443).await), expected);
    }
}

#[tokio::test]
async fn a_metadata_service_is_admitted_by_its_own_address_alone() {
    for (network, expected) in [
        ("169.254.0.0/16", "address_metadata"),
        ("0.0.0.0/0", "address_metadata"),
        ("169.254.169.254/32", "judged"),
    ] {
        let policy = leading(&["169.254.169.254"]).admitting(network.parse().unwrap());
        assert_eq!(
            verdict(policy.resolve("a.test", 80).await),
            expected,
            "{network}"
        );
    }
}

#[tokio::test]
async fn the_listeners_of_this_program_are_never_reached() {
    let loopback = || {
        EgressPolicy::public_only()
            .admitting("127.0.0.0/8".parse().unwrap())
            .admitting("::1".parse().unwrap())
            .admitting("0.0.0.0".parse().unwrap())
    };
    let one = || loopback().sparing(["127.0.0.1:8445".parse().unwrap()]);
    let every = || loopback().sparing(["0.0.0.0:8445".parse().unwrap()]);
    for (policy, host, port, expected) in [
        (one(), "127.0.0.1", 8445, "own"),
        (one(), "0.0.0.0", 8445, "own"),
        (one(), "127.0.0.1", 8446, "judged"),
        (one(), "127.0.0.2", 8445, "judged"),
        (every(), "127.0.0.2", 8445, "own"),
        (every(), "[::1]", 8445, "own"),
        (every(), "8.8.8.8", 8445, "judged"),
        (one().allowing("127.0.0.1"), "127.0.0.1", 8445, "own"),
    ] {
        assert_eq!(
            verdict(policy.resolve(host, port).await),
            expected,
            "{host}:{port}"
        );
    }
}

#[tokio::test]
async fn a_private_address_needs_its_name_on_the_list() {
    let refused = EgressPolicy::public_only().resolve("127.0.0.1", 80).await;
    assert!(matches!(refused, Err(EgressError::Forbidden(..))));
    let allowed = EgressPolicy::public_only()
        .allowing("127.0.0.1")
        .resolve("127.0.0.1", 80)
        .await
        .unwrap();
    assert_eq!(allowed.addresses(), ["127.0.0.1:80".parse().unwrap()]);
    let bracketed = EgressPolicy::public_only().resolve("[::1]", 80).await;
    assert!(matches!(bracketed, Err(EgressError::Forbidden(..))));
}
