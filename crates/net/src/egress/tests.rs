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

#[tokio::test]
async fn a_private_address_needs_its_name_on_the_list() {
    let refused = EgressPolicy::public_only().resolve("127.0.0.1", 80).await;
    assert!(matches!(refused, Err(EgressError::Forbidden(_))));
    let allowed = EgressPolicy::public_only()
        .allowing("127.0.0.1")
        .resolve("127.0.0.1", 80)
        .await
        .unwrap();
    assert_eq!(allowed, ["127.0.0.1:80".parse().unwrap()]);
    let bracketed = EgressPolicy::public_only().resolve("[::1]", 80).await;
    assert!(matches!(bracketed, Err(EgressError::Forbidden(_))));
}
