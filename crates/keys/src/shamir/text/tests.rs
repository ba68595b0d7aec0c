use super::{BASE64, HEX, HEX_BYTES, from_base64, from_hex, to_base64, to_hex, value_of};
use countersign_base::Secret;
use proptest::prelude::*;

const BASE64_ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[test]
fn every_character_has_the_value_of_its_alphabet() {
    for character in 0..=255_u8 {
        let (value, known) = value_of(character, &BASE64);
        let expected = BASE64_ALPHABET.iter().position(|known| *known == character);
        assert_eq!(
            (known == u16::MAX).then_some(usize::from(value)),
            expected,
            "base64 {character}"
        );
        let (value, known) = value_of(character, &HEX);
        let expected = char::from(character).to_digit(16);
        assert_eq!(
            (known == u16::MAX).then_some(u32::from(value)),
            expected,
            "hex {character}"
        );
    }
}

#[test]
fn one_strange_character_anywhere_is_refused() {
    for at in 0..HEX_BYTES {
        let mut text = [b'0'; HEX_BYTES];
        assert!(from_hex(&text).is_some());
        text[at] = b'g';
        assert!(from_hex(&text).is_none(), "{at}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(bytes in proptest::array::uniform32(any::<u8>()), last in any::<u8>()) {
        let mut share = [0; 33];
        share[..32].copy_from_slice(&bytes);
        share[32] = last;
        let secret = Secret::new(share);
        let hex = to_hex(&secret);
        let expected: String = share.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(hex.expose(), &expected);
        let base64 = to_base64(&secret);
        prop_assert_eq!(base64.expose().len(), 44);
        for read in [from_hex(hex.expose().as_bytes()), from_hex(hex.expose().to_uppercase().as_bytes()), from_base64(base64.expose().as_bytes())] {
            prop_assert!(read.unwrap().matches(&share));
        }
    }
}
