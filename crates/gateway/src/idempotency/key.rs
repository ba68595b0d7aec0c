//! The value of `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07 §2.1): a String of RFC 8941 §3.3.3, or the same key bare, as callers of other services write it.
//!
//! `"8e03978e-40d5"` and `8e03978e-40d5` are one key. Parameters are refused, and so is whatever a proxy makes of two fields by joining them with a comma. What a service links reads
//! keys by itself (`countersign-guard`, which nothing here may use); both readers are held to the same vectors, and fuzzed beside each other.

/// Bytes of a key, its quotes not counted.
pub const KEY_BYTES_MAX: usize = 255;

/// The key that a field holds, if it holds one.
#[must_use]
pub fn read(value: &[u8]) -> Option<String> {
    let key = match value.strip_prefix(b"\"") {
        Some(rest) => quoted(rest)?,
        None => bare(value)?,
    };
    (1..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
}

/// What stands between the quotes. Nothing may follow the closing one.
fn quoted(rest: &[u8]) -> Option<String> {
    let mut key = String::new();
    let mut bytes = rest.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\') => key.push(char::from(*escaped)),
                _ => return None,
            },
            byte @ b' '..=b'~' => key.push(char::from(*byte)),
            _ => return None,
        }
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    bytes.next().is_none().then_some(key)
}

/// Visible characters, without those that would make a list, a parameter or half a String of it.
fn bare(value: &[u8]) -> Option<String> {
    if value.len() > KEY_BYTES_MAX {
        return None;
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
    value
        .iter()
        .all(plain)
        .then(|| value.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that the guard's reader is held to as well.
    const VECTORS: &str = include_str!("../../../guard/tests/vectors/idempotency-key.json");

    #[test]
    fn keys_are_read_as_the_vectors_say() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let of = |kind: &str| vectors[kind].as_array().unwrap().clone();
        assert!(of("read").len() > 8 && of("refused").len() > 15);
        for vector in of("read") {
            let field = vector["field"].as_str().unwrap();
            let key = vector["key"].as_str().map(str::to_owned);
            assert_eq!(read(field.as_bytes()), key, "{field}");
        }
        for field in of("refused") {
            let field = field.as_str().unwrap();
            assert_eq!(read(field.as_bytes()), None, "{field}");
        }
        assert_eq!(read(&[b'k'; KEY_BYTES_MAX + 1]), None);
    }
}
