use super::AeadKey;
use countersign_base::Secret;
use proptest::prelude::*;

fn key() -> AeadKey {
    AeadKey::new(&Secret::new([3; 32]))
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The GCM specification (McGrew, Viega), appendix B, test cases 13 to 16: those with a key of 256 bits and a nonce of 96.
#[test]
fn gcm_vectors() {
    let check = |case: u8, key: &str, nonce: &str, plaintext: &str, aad: &str, sealed: &str| {
        let key = AeadKey::new(&Secret::new(hex(key).try_into().unwrap()));
        let nonce: [u8; 12] = hex(nonce).try_into().unwrap();
        let (plaintext, aad, sealed) = (hex(plaintext), hex(aad), hex(sealed));
        assert_eq!(key.seal(nonce, &aad, &plaintext).unwrap(), sealed, "{case}");
        let opened = key.open(nonce, &aad, &sealed).unwrap();
        assert_eq!(opened.expose(), &plaintext, "{case}");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(nonce, &aad, &changed).is_err(), "{case}: {at}");
        }
    };
    let (zeros, nonce) = ("00".repeat(32), "00".repeat(12));
    check(
        13,
        &zeros,
        &nonce,
        "",
        "",
        "530f8afbc74536b9a963b4f1c4cb738b",
    );
    check(
        14,
        &zeros,
        &nonce,
        &"00".repeat(16),
        "",
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    );
    let key = "feffe9928665731c6d6a8f9467308308".repeat(2);
    let nonce = "cafebabefacedbaddecaf888";
    let plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let ciphertext = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    check(
        15,
        &key,
        nonce,
        plaintext,
        "",
        &format!("{ciphertext}b094dac5d93471bdec1a502270e3cc6c"),
    );
    check(
        16,
        &key,
        nonce,
        plaintext.get(..120).unwrap(),
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        &format!(
            "{}76fc6ece0f4e1768cddf8853bb2d551b",
            ciphertext.get(..120).unwrap()
        ),
    );
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
