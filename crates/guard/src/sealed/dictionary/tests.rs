//! What a service publishes, and what is read of it.

use super::{DataDictionary, DictionaryError, EntryName};
use crate::sealed::fixtures::{Card, OldCard};
use serde_json::{Value, json};

fn name(text: &str) -> EntryName {
    EntryName::try_from(text.to_owned()).unwrap()
}

fn dictionary() -> DataDictionary {
    DataDictionary::new(name("billing"))
        .with::<Card>()
        .unwrap()
        .with::<OldCard>()
        .unwrap()
}

#[test]
fn every_sealed_column_is_in_it_in_order() {
    let written: Value = serde_json::from_str(&dictionary().to_json().unwrap()).unwrap();
    let expected = json!({ "service": "billing", "fields": [
        { "table": "cards", "column": "holder_sealed", "classification": "confidential", "key_scope": "subject", "purposes": ["statement"],
          "mask": "hidden", "blind_index": { "bits": 8, "rows_min": 512, "rows_max": 65_535 } },
        { "table": "cards", "column": "limit", "classification": "internal", "key_scope": "tenant", "purposes": [], "mask": "hidden" },
        { "table": "cards", "column": "pan", "classification": "restricted", "key_scope": "tenant", "purposes": ["chargeback", "fraud-review"],
          "mask": "last4", "blind_index": { "bits": 14, "rows_min": 32_768, "rows_max": 268_435_455 } },
        { "table": "cards", "column": "track", "classification": "restricted", "key_scope": "tenant", "purposes": ["chargeback"], "mask": "hidden" },
        { "table": "old_cards", "column": "pan", "classification": "restricted", "key_scope": "tenant", "purposes": ["chargeback"], "mask": "last4" },
    ] });
    assert_eq!(written, expected);
}

#[test]
fn what_was_written_is_read() {
    let text = dictionary().to_json().unwrap();
    assert_eq!(DataDictionary::from_json(text.as_bytes()), Ok(dictionary()));
}

#[test]
fn a_column_is_declared_once() {
    let twice = dictionary().with::<OldCard>().unwrap_err();
    assert_eq!(
        twice,
        DictionaryError::Twice("old_cards".to_owned(), "pan".to_owned())
    );
    assert_eq!(
        twice.to_string(),
        "the column `old_cards.pan` is declared twice"
    );
}

#[test]
fn what_is_no_dictionary_is_refused() {
    let field = || json!({ "table": "cards", "column": "pan", "classification": "restricted", "key_scope": "tenant", "purposes": [], "mask": "last4" });
    let with = |change: fn(&mut Value)| {
        let mut field = field();
        change(&mut field);
        json!({ "service": "billing", "fields": [field] }).to_string()
    };
    assert!(DataDictionary::from_json(with(|_| ()).as_bytes()).is_ok());
    for (why, text) in [
        ("no document", "[]".to_owned()),
        ("no service", json!({ "fields": [] }).to_string()),
        (
            "a column twice",
            json!({ "service": "billing", "fields": [field(), field()] }).to_string(),
        ),
        (
            "an unknown key",
            with(|field| field["plaintext"] = json!("4111")),
        ),
        (
            "an unknown classification",
            with(|field| field["classification"] = json!("secret")),
        ),
        (
            "an unknown mask",
            with(|field| field["mask"] = json!("first6")),
        ),
        (
            "an unknown scope",
            with(|field| field["key_scope"] = json!("nobody")),
        ),
        (
            "a name with a terminal's codes",
            with(|field| field["column"] = json!("\u{1b}[31mpan")),
        ),
        (
            "a name that is too long",
            with(|field| field["table"] = json!("a".repeat(65))),
        ),
        ("an empty name", with(|field| field["column"] = json!(""))),
        (
            "too many purposes",
            with(|field| field["purposes"] = json!(vec!["a"; 65])),
        ),
        ("too long", " ".repeat(super::DICTIONARY_BYTES_MAX + 1)),
    ] {
        assert!(DataDictionary::from_json(text.as_bytes()).is_err(), "{why}");
    }
}
