use super::{append, decode, encode};
use proptest::prelude::*;

/// RFC 4648 §10.
#[test]
fn vectors_of_the_rfc() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(encode(bytes.as_bytes()), text);
        assert_eq!(decode(text).unwrap(), bytes.as_bytes());
    }
}

#[test]
fn one_value_has_one_form() {
    for other in [
        "Zg", "Zg=", "Zh==", "Zg==\n", " Zg==", "Z-==", "Zg==Zg==", "Zm9v=",
    ] {
        assert!(decode(other).is_err(), "{other:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut text = String::from("vault:v1:");
        append(&bytes, &mut text);
        prop_assert_eq!(decode(text.strip_prefix("vault:v1:").unwrap()).unwrap(), bytes);
    }

    #[test]
    fn what_is_read_is_written_again(text in "[A-Za-z0-9_=+/-]{0,12}") {
        if let Ok(bytes) = decode(&text) {
            prop_assert_eq!(encode(&bytes), text);
        }
    }
}
