//! What a mask keeps, and what it never shows.

use super::Mask;
use crate::sealed::Masked;
use crate::sealed::fixtures::{CANARY, CardHolder, CardPan};
use proptest::prelude::*;

#[test]
fn the_last_four_digits_keep_their_shape() {
    for (value, shown) in [
        ("4111 1111 1111 1111", "•••• •••• •••• 1111"),
        ("4111-1111-1111-1234", "••••-••••-••••-1234"),
        ("378282246310005", "•••••••••••0005"),
        ("DE89 3704 0044 0532 0130 00", "•••• •••• •••• •••• ••30 00"),
        ("123456789012", "••••••••9012"),
        // Too short: four digits would be half of it.
        ("12345678901", "••••"),
        ("1111", "••••"),
        ("", "••••"),
        ("    ---- ....", "••••"),
        // The end is no digits.
        ("a very long secret", "••••"),
        ("4111 1111 1111 111x", "••••"),
        // Other digits than ASCII's are no digits of a card, and other characters are no separators.
        ("4111 1111 1111 111١", "••••"),
        ("pass:word:is;1234", "•••••••••••••1234"),
    ] {
        assert_eq!(Mask::LastFour.of(value), shown, "{value}");
    }
    assert_eq!(Mask::LastFour.of(&"1".repeat(64)).chars().count(), 64);
    assert_eq!(Mask::LastFour.of(&"1".repeat(65)), "••••");
}

#[test]
fn hidden_is_the_same_for_everything() {
    for value in ["", "1", "4111 1111 1111 1111"] {
        assert_eq!(Mask::Hidden.of(value), "••••");
    }
}

#[test]
fn a_field_is_shown_by_its_own_mask() {
    let masked = Masked::<CardPan>::of(&CANARY.to_owned());
    assert_eq!(masked.to_string(), "•••• •••• •••• 9012");
    assert_eq!(
        serde_json::to_string(&masked).unwrap(),
        "\"•••• •••• •••• 9012\""
    );
    assert_eq!(
        Masked::<CardHolder>::of(&CANARY.to_owned()).as_str(),
        "••••"
    );
}

proptest! {
    #[test]
    fn length_and_separators_stay_and_at_most_four_digits_show(value in "\\PC{0,80}") {
        let masked = Mask::LastFour.of(&value);
        if masked != "••••" {
            prop_assert_eq!(masked.chars().count(), value.chars().count());
            let shown: String = masked.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(shown.len(), 4);
            prop_assert!(masked.chars().all(|c| c == '•' || c.is_ascii_digit() || " -./".contains(c)));
            for (was, is) in value.chars().zip(masked.chars()) {
                prop_assert!(is == '•' || is == was);
            }
        }
    }

    #[test]
    fn a_card_shows_its_last_four(hidden in "[0-9]{8,15}", shown in "[0-9]{4}") {
        let masked = Mask::LastFour.of(&format!("{hidden}{shown}"));
        prop_assert_eq!(masked, "•".repeat(hidden.len()) + &shown);
    }
}
