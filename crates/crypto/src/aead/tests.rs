use super::AeadKey;
use countersign_base::Secret;
use proptest::prelude::*;

fn key() -> AeadKey {
    AeadKey::new(&Secret::new([3; 32]))
}

/// The GCM specification (McGrew, Viega), test cases 13 and 14: all-zero key and nonce.
#[test]
fn gcm_vectors() {
    let key = AeadKey::new(&Secret::new([0; 32]));
    let empty = [
        0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb, 0x73,
        0x8b,
    ];
    assert_eq!(key.seal([0; 12], &[], &[]).unwrap(), empty);
    let sealed = key.seal([0; 12], &[], &[0; 16]).unwrap();
    assert_eq!(sealed[..4], [0xce, 0xa7, 0x40, 0x3d]);
    assert_eq!(sealed[16..20], [0xd0, 0xd1, 0xc8, 0xa7]);
}

#[test]
fn opens_only_in_its_context() {
    let sealed = key().seal([1; 12], b"here", b"text").unwrap();
    assert_eq!(
        key().open([1; 12], b"here", &sealed).unwrap().expose(),
        b"text"
    );
    assert!(key().open([1; 12], b"there", &sealed).is_err());
    assert!(key().open([2; 12], b"here", &sealed).is_err());
    assert!(
        AeadKey::new(&Secret::new([4; 32]))
            .open([1; 12], b"here", &sealed)
            .is_err()
    );
    assert!(key().open([1; 12], b"here", &sealed[..15]).is_err());
}

proptest! {
    #[test]
    fn tampering_any_byte_fails(plaintext in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut sealed = key().seal([1; 12], b"", &plaintext).unwrap();
        let opened = key().open([1; 12], b"", &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
        let at = at.index(sealed.len());
        sealed[at] ^= change;
        prop_assert!(key().open([1; 12], b"", &sealed).is_err());
    }
}
