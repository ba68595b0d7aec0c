use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// The vectors that the gateway's reader is held to as well.
const VECTORS: &str = include_str!("../../../tests/vectors/idempotency-key.json");

fn fields(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            IDEMPOTENCY_KEY,
            http::HeaderValue::from_bytes(value).unwrap(),
        );
    }
    headers
}

fn read(values: &[&[u8]]) -> Result<Option<String>, KeyError> {
    IdempotencyKey::of(&fields(values)).map(|key| key.map(|key| key.as_str().to_owned()))
}

#[test]
fn keys_are_read_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let of = |kind: &str| vectors[kind].as_array().unwrap().clone();
    assert!(of("read").len() > 8 && of("refused").len() > 15);
    for vector in of("read") {
        let field = vector["field"].as_str().unwrap();
        let key = vector["key"].as_str().unwrap().to_owned();
        assert_eq!(read(&[field.as_bytes()]), Ok(Some(key)), "{field}");
    }
    for field in of("refused") {
        let field = field.as_str().unwrap();
        assert_eq!(
            read(&[field.as_bytes()]),
            Err(KeyError::Malformed),
            "{field}"
        );
    }
}

#[test]
fn there_is_one_key_or_none() {
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[b"abc", b"abc"]), Err(KeyError::Several));
    let longest = "k".repeat(KEY_BYTES_MAX);
    assert_eq!(read(&[longest.as_bytes()]), Ok(Some(longest.clone())));
    let quoted = format!("\"{longest}\"");
    assert_eq!(read(&[quoted.as_bytes()]), Ok(Some(longest.clone())));
    for longer in [format!("{longest}k"), format!("\"{longest}k\"")] {
        assert_eq!(read(&[longer.as_bytes()]), Err(KeyError::Malformed));
    }
    assert_eq!(read(&["\u{e4}bc".as_bytes()]), Err(KeyError::Malformed));
}

proptest! {
    #[test]
    fn whatever_is_quoted_comes_back_and_equals_its_bare_form(key in "[ -~]{1,255}") {
        let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
        let quoted = IdempotencyKey::parse(format!("\"{escaped}\"").as_bytes()).unwrap();
        prop_assert_eq!(quoted.as_str(), &key);
        if let Ok(bare) = IdempotencyKey::parse(key.as_bytes())
            && !key.starts_with('"')
        {
            prop_assert_eq!(bare, quoted);
        }
    }

    #[test]
    fn whatever_comes_is_a_key_within_its_bounds_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(key) = IdempotencyKey::parse(&bytes) {
            prop_assert!((1..=KEY_BYTES_MAX).contains(&key.as_str().len()));
            prop_assert!(key.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
