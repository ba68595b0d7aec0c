use super::{MacKey, Tag};
use countersign_base::Secret;
use proptest::prelude::*;

fn key(byte: u8) -> MacKey {
    MacKey::new(Secret::new([byte; 32]))
}

#[test]
fn parts_and_domains_are_separated() {
    let tag = key(1).tag("one", &[b"ab", b"c"]);
    assert!(key(1).verify("one", &[b"ab", b"c"], &tag).is_ok());
    assert!(key(1).verify("one", &[b"a", b"bc"], &tag).is_err());
    assert!(key(1).verify("one", &[b"abc"], &tag).is_err());
    assert!(key(1).verify("one", &[b"ab", b"c", b""], &tag).is_err());
    assert!(key(1).verify("two", &[b"ab", b"c"], &tag).is_err());
    assert!(key(2).verify("one", &[b"ab", b"c"], &tag).is_err());
}

/// Computed by Python's `hmac` from what the module says is hashed. (RFC 4231 has no key of 32 bytes; `crate::hmac` is held to it.)
#[test]
fn tags_are_those_of_another_implementation() {
    let hex = |tag: Tag| -> String {
        let bytes = tag.as_bytes().iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(
        hex(key(1).tag("one", &[b"ab", b"c"])),
        "abc493b2884a2558dca8ae870c8fe85360ddaab09604331b365609a9d5130246"
    );
    assert_eq!(
        hex(key(1).tag("one", &[])),
        "038b914239c4ff50263673dec34a108b293b4a696c325f9ac7995595dd02f193"
    );
}

#[test]
fn debug_shows_no_bytes() {
    assert_eq!(
        format!("{:?} {:?}", key(1), key(1).tag("one", &[])),
        "MacKey Tag"
    );
}

proptest! {
    #[test]
    fn tampering_any_byte_fails(position in 0usize..32, change in 1u8..) {
        let mut bytes = *key(1).tag("one", &[b"part"]).as_bytes();
        bytes[position] ^= change;
        prop_assert!(key(1).verify("one", &[b"part"], &Tag::from_bytes(bytes)).is_err());
    }
}
