//! What a sealed value shows and how it is written.

use super::{ENVELOPE_BYTES_MAX, Opened, Sealed, TEXT_BYTES_MAX};
use crate::sealed::fixtures::{CANARY, CardHolder, CardLimit, CardPan, Rows, keys, tenant};
use crate::sealed::{Place, RowKey, Secret, VALUE_BYTES_MAX};
use countersign_crypto::base64url;
use proptest::prelude::*;

async fn sealed() -> Sealed<CardPan> {
    let (keys, ..) = keys(&Rows::default());
    let place = Place::in_tenant(tenant("demo"), RowKey::number(1));
    keys.seal(&Secret::new(CANARY.to_owned()), &place)
        .await
        .unwrap()
}

#[tokio::test]
async fn nothing_that_is_printed_or_written_holds_the_value() {
    let sealed = sealed().await;
    let opened = Opened::<CardPan>::read(&Secret::new(CANARY.as_bytes().to_vec())).unwrap();
    assert_eq!(format!("{sealed:?}"), "Sealed(Restricted)");
    assert_eq!(format!("{opened:?}"), "Opened(Restricted)");
    assert_eq!(
        format!("{:#?}", Some(&sealed)),
        "Some(\n    Sealed(Restricted),\n)"
    );
    let json = serde_json::to_string(&sealed).unwrap();
    let bytes = String::from_utf8_lossy(sealed.as_bytes()).into_owned();
    for text in [json, bytes] {
        for canary in [CANARY, "9012", &base64url::encode(CANARY.as_bytes())] {
            assert!(!text.contains(canary));
        }
    }
    assert_eq!(opened.expose(), CANARY);
}

#[tokio::test]
async fn json_holds_the_envelope_in_base64url_and_gives_it_back() {
    let sealed = sealed().await;
    let json = serde_json::to_string(&sealed).unwrap();
    assert_eq!(
        json,
        format!("\"{}\"", base64url::encode(sealed.as_bytes()))
    );
    let read: Sealed<CardPan> = serde_json::from_str(&json).unwrap();
    assert_eq!(read.as_bytes(), sealed.as_bytes());
    assert_eq!(read.clone().key(), sealed.key());
}

#[test]
fn what_is_no_envelope_is_refused_and_not_quoted() {
    let long = "A".repeat(TEXT_BYTES_MAX + 1);
    for text in [CANARY, "", "AAAA", "xQE=", &long] {
        let json = serde_json::to_string(text).unwrap();
        let error = serde_json::from_str::<Sealed<CardPan>>(&json).unwrap_err();
        assert!(!error.to_string().contains(CANARY), "{error}");
    }
    for json in ["4929123456789012", "null", "[1]"] {
        assert!(serde_json::from_str::<Sealed<CardPan>>(json).is_err());
    }
    let error = Sealed::<CardPan>::from_bytes(CANARY.as_bytes().to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "what is stored is not sealed: not an envelope: wrong length"
    );
    let mut longest = sealed_bytes(ENVELOPE_BYTES_MAX);
    assert!(Sealed::<CardPan>::from_bytes(longest.clone()).is_ok());
    longest.push(0);
    assert!(Sealed::<CardPan>::from_bytes(longest).is_err());
}

/// Bytes that begin as an envelope does.
fn sealed_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..2].copy_from_slice(&[0xC5, 1]);
    bytes
}

#[test]
fn a_value_of_another_type_is_refused() {
    let read = |bytes: &[u8]| Secret::new(bytes.to_vec());
    assert!(Opened::<CardPan>::read(&read(b"\xff\xfe")).is_err());
    assert!(Opened::<CardLimit>::read(&read(b"1234567")).is_err());
    let limit = Opened::<CardLimit>::read(&read(&500_i64.to_be_bytes())).unwrap();
    assert_eq!(*limit.expose(), 500);
    assert_eq!(limit.masked().as_str(), "••••");
}

#[test]
fn what_an_index_found_is_compared_as_the_index_normalises() {
    let opened = |text: &str| Opened::<CardHolder>::read(&Secret::new(text.into())).unwrap();
    assert!(opened("A. Cardholder").matches(&" a. cardholder".to_owned()));
    assert!(!opened("A. Cardholder").matches(&"b. cardholder".to_owned()));
}

proptest! {
    #[test]
    fn any_envelope_survives_json(tail in proptest::collection::vec(any::<u8>(), 92..300)) {
        let bytes = [&[0xC5, 1], tail.as_slice()].concat();
        let sealed = Sealed::<CardPan>::from_bytes(bytes.clone()).unwrap();
        let json = serde_json::to_string(&sealed).unwrap();
        let read: Sealed<CardPan> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.as_bytes(), bytes.as_slice());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let json = serde_json::to_string(&text).unwrap();
        if let Ok(sealed) = serde_json::from_str::<Sealed<CardPan>>(&json) {
            prop_assert_eq!(base64url::encode(sealed.as_bytes()), text);
        }
    }
}

#[test]
fn the_limit_is_where_the_documentation_says() {
    assert_eq!(VALUE_BYTES_MAX, 65_536);
}
