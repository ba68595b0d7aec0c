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
