use super::{decode, decode_array, encode};
use proptest::prelude::*;

#[test]
fn one_value_has_one_form() {
    assert_eq!(decode("AQ").unwrap(), [1]);
    for other in ["AQ==", "AR", "A", "AQ ", " AQ", "A+", "A/", "AQ\n"] {
        assert!(decode(other).is_err(), "{other:?}");
    }
    assert_eq!(decode_array::<1>("AQ").unwrap(), [1]);
    assert!(decode_array::<2>("AQ").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn what_is_read_is_written_again(text in "[A-Za-z0-9_=+/-]{0,12}") {
        if let Ok(bytes) = decode(&text) {
            prop_assert_eq!(encode(&bytes), text);
        }
    }
}
