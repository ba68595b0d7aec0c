//! The little DER (X.690) that keys and ECDSA signatures need, and PEM (RFC 7468) around it.
//!
//! Not a parser for what others send: it reads what aws-lc wrote, and writes two integers.

use crate::base64;
use countersign_base::Secret;
use zeroize::Zeroize as _;

/// The tag of an octet string.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// The tag of an integer.
pub(crate) const INTEGER: u8 = 0x02;
/// The tag of a sequence.
pub(crate) const SEQUENCE: u8 = 0x30;

/// The content of the first element, which has the tag, and what follows it.
pub(crate) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = der.strip_prefix(&[tag])?.split_first()?;
    match length {
        0..=0x7f => rest.split_at_checked(usize::from(*length)),
        0x81 => rest
            .split_first()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(*length))),
        0x82 => rest.split_first_chunk().and_then(|(length, rest)| {
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }),
        _ => None,
    }
}

/// The `privateKey` of a `PrivateKeyInfo` (RFC 5958 §2).
pub(crate) fn private_key_info(pkcs8: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(pkcs8, SEQUENCE)?;
    let (_version, rest) = element(body, INTEGER)?;
    let (_algorithm, rest) = element(rest, SEQUENCE)?;
    element(rest, OCTET_STRING).map(|(key, _)| key)
}

/// A sequence of two unsigned integers of at most 66 bytes (`ECDSA-Sig-Value`, RFC 3279 §2.2.3).
pub(super) fn two_integers(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut body = integer(first);
    body.extend(integer(second));
    let mut der = vec![SEQUENCE];
    match u8::try_from(body.len()) {
        Ok(length @ 0..=0x7f) => der.push(length),
        Ok(length) => der.extend([0x81, length]),
        // Two integers of 66 bytes have 138 with their headers; longer ones are not made here.
        Err(_) => return Vec::new(),
    }
    der.extend(body);
    der
}

fn integer(unsigned: &[u8]) -> Vec<u8> {
    let start = unsigned
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(unsigned.len());
    let significant = unsigned.get(start..).unwrap_or_default();
    let mut content = Vec::with_capacity(significant.len() + 1);
    // A leading zero keeps the integer from being negative, and zero itself from being empty.
    if significant.first().is_none_or(|byte| *byte >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(significant);
    let mut der = vec![INTEGER, u8::try_from(content.len()).unwrap_or(u8::MAX)];
    der.extend(content);
    der
}

/// A block of PEM: lines of 64 characters, the last one ended too.
pub(super) fn pem(label: &str, der: &[u8]) -> Secret<String> {
    let mut encoded = base64::encode(der);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / 32 + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    encoded.zeroize();
    Secret::new(text)
}
