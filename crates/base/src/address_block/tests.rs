//! Which addresses a block holds, and what is no block.

use super::AddressBlock;

#[test]
fn a_block_holds_its_own_addresses() {
    for (block, inside, outside) in [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::/0", "2001:db8::1", "203.0.113.9"),
    ] {
        let parsed: AddressBlock = block.parse().unwrap();
        assert_eq!(parsed.to_string(), block);
        assert!(parsed.contains(inside.parse().unwrap()), "{block} {inside}");
        assert!(
            !parsed.contains(outside.parse().unwrap()),
            "{block} {outside}"
        );
    }
}

#[test]
fn what_could_mean_another_block_is_none() {
    for text in [
        "",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2.0/024",
        "192.0.2.0/+24",
        "192.0.2.0/",
        "192.0.2",
        "::ffff:192.0.2.0/120",
        "2001:db8::1/32",
        "2001:db8::/129",
        "example.com",
    ] {
        assert!(text.parse::<AddressBlock>().is_err(), "{text}");
    }
}
