//! What services write of their sealed fields: a value in JSON, and the dictionary of what is sealed.

use crate::{Target, Verdict};
use countersign_guard::sealed::{DataDictionary, Sealed, SealedFields};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "sealed-field",
        about: "a sealed field in JSON",
        run: field,
        words: &["\"", "xQE", "null", "-", "_"],
    },
    Target {
        name: "data-dictionary",
        about: "the data dictionary of a service",
        run: dictionary,
        words: DICTIONARY_WORDS,
    },
];

#[derive(SealedFields)]
#[sealed(table = "cards")]
#[expect(dead_code, reason = "only its field's type is used")]
struct Card {
    #[sealed(classification = "restricted")]
    pan: Sealed<CardPan>,
}

/// Pieces of dictionaries.
pub(crate) const DICTIONARY_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"service\":\"a\"",
    "\"fields\":[",
    "\"table\":\"a\"",
    "\"column\":\"b\"",
    "\"classification\":\"restricted\"",
    "\"key_scope\":\"subject\"",
    "\"purposes\":[\"a\"]",
    "\"mask\":\"last4\"",
    "\"blind_index\":{\"bits\":14,\"rows_min\":1,\"rows_max\":2}",
    "\\u001b",
];

pub(crate) fn field(input: &[u8]) -> Verdict {
    let read: Result<Sealed<CardPan>, _> = serde_json::from_slice(input);
    if let Ok(sealed) = &read {
        let written = serde_json::to_string(sealed).unwrap_or_default();
        let again: Result<Sealed<CardPan>, _> = serde_json::from_str(&written);
        assert!(
            again.is_ok_and(|again| again.as_bytes() == sealed.as_bytes()),
            "what was read is written and read again"
        );
    }
    Verdict::of(&read)
}

pub(crate) fn dictionary(input: &[u8]) -> Verdict {
    let read = DataDictionary::from_json(input);
    if let Ok(dictionary) = &read {
        let written = dictionary.to_json().unwrap_or_default();
        assert_eq!(
            DataDictionary::from_json(written.as_bytes()).as_ref(),
            Ok(dictionary),
            "what was read is written and read again"
        );
        // It is printed: nothing in it may speak to a terminal.
        assert!(written.chars().all(|c| c == '\n' || !c.is_control()));
    }
    Verdict::of(&read)
}
