//! Private keys from the members of a JWK to the bytes that aws-lc takes, and back.
//!
//! PKCS#8 (RFC 5958) holds an Ed25519 seed (RFC 8410 §7), an `ECPrivateKey` (RFC 5915) or an `RSAPrivateKey` (RFC 8017 appendix A.1.2); an X25519 key is its 32
//! bytes. What is written here is read by aws-lc, which judges it; what is read here was written by aws-lc or judged by it.

use crate::base64url;
use crate::jose::{EncryptionKeyType, JoseError, KeyAlgorithm};
use crate::keypair::der::{INTEGER, OCTET_STRING, SEQUENCE, element, private_key_info};
use countersign_base::Secret;
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// `PrivateKeyInfo` of an Ed25519 key up to its seed (RFC 8410 §7).
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// `PrivateKeyInfo` of a P-256 key up to its scalar (RFC 5915 §3, without the public key).
const P256: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];
/// Version 0 and the algorithm identifier of RSA (RFC 8017 appendix A.1).
const RSA_HEAD: [u8; 18] = [
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00,
];
/// The members of an RSA key in the order of `RSAPrivateKey`; the first two are public.
const RSA_MEMBERS: [&str; 8] = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
/// Bytes of the largest integer of a key of 4096 bits.
const INTEGER_BYTES_MAX: usize = 512;

const REFUSED: JoseError =
    JoseError::Key("its private part is not a key of the kind that it should be");

/// Which of the four layouts a key has.
enum Layout {
    Ed25519,
    P256,
    Rsa,
    X25519,
}

const fn layout(algorithm: KeyAlgorithm) -> Layout {
    use crate::jose::Algorithm;
    match algorithm {
        KeyAlgorithm::Signature(Algorithm::EdDsa) => Layout::Ed25519,
        KeyAlgorithm::Signature(Algorithm::Es256)
        | KeyAlgorithm::Encryption(EncryptionKeyType::P256) => Layout::P256,
        KeyAlgorithm::Signature(Algorithm::Ps256 | Algorithm::Rs256)
        | KeyAlgorithm::Encryption(EncryptionKeyType::Rsa) => Layout::Rsa,
        KeyAlgorithm::Encryption(EncryptionKeyType::X25519) => Layout::X25519,
    }
}

/// The private key of these members.
pub(super) fn private_of(
    algorithm: KeyAlgorithm,
    members: &Map<String, Value>,
) -> Result<Secret<Vec<u8>>, JoseError> {
    let prefix: &[u8] = match layout(algorithm) {
        Layout::Ed25519 => &ED25519,
        Layout::P256 => &P256,
        Layout::Rsa => return rsa(members),
        Layout::X25519 => &[],
    };
    let mut scalar: [u8; 32] = base64url::decode_array(text(members, "d")?)
        .map_err(|_| JoseError::Key("its `d` is not 32 bytes in base64url"))?;
    let private = Secret::new([prefix, &scalar[..]].concat());
    scalar.zeroize();
    Ok(private)
}

/// The members that only the private key has, in base64url.
pub(super) fn private_members(
    algorithm: KeyAlgorithm,
    private: &Secret<Vec<u8>>,
) -> Result<Vec<(&'static str, String)>, JoseError> {
    let bytes = private.expose();
    let scalar = match layout(algorithm) {
        Layout::Ed25519 => private_key_info(bytes)
            .and_then(|key| element(key, OCTET_STRING))
            .map(|(seed, _)| seed),
        Layout::P256 => private_key_info(bytes)
            .and_then(|key| element(key, SEQUENCE))
            .and_then(|(body, _)| element(body, INTEGER))
            .and_then(|(_version, rest)| element(rest, OCTET_STRING))
            .map(|(scalar, _)| scalar),
        Layout::Rsa => return rsa_members(bytes).ok_or(REFUSED),
        Layout::X25519 => Some(bytes.as_slice()),
    };
    let scalar = scalar.filter(|scalar| scalar.len() == 32).ok_or(REFUSED)?;
    Ok(vec![("d", base64url::encode(scalar))])
}

fn rsa(members: &Map<String, Value>) -> Result<Secret<Vec<u8>>, JoseError> {
    if members.contains_key("oth") {
        return Err(JoseError::Key("it is RSA of more than two primes"));
    }
    let mut body = vec![INTEGER, 1, 0];
    for name in RSA_MEMBERS {
        let mut integer = base64url::decode(text(members, name)?)
            .ok()
            .filter(|bytes| bytes.len() <= INTEGER_BYTES_MAX)
            .ok_or(JoseError::Key("an integer is not base64url"))?;
        append_integer(&integer, &mut body)?;
        integer.zeroize();
    }
    let mut key = Vec::with_capacity(body.len() + 4);
    append(SEQUENCE, &body, &mut key)?;
    let mut info = RSA_HEAD.to_vec();
    append(OCTET_STRING, &key, &mut info)?;
    let mut pkcs8 = Vec::with_capacity(info.len() + 4);
    append(SEQUENCE, &info, &mut pkcs8)?;
    for mut copied in [body, key, info] {
        copied.zeroize();
    }
    Ok(Secret::new(pkcs8))
}

fn rsa_members(pkcs8: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let (body, _) = element(private_key_info(pkcs8)?, SEQUENCE)?;
    let (_version, mut rest) = element(body, INTEGER)?;
    let mut members = Vec::new();
    for name in RSA_MEMBERS {
        let (integer, after) = element(rest, INTEGER)?;
        let unsigned = integer.strip_prefix(&[0]).unwrap_or(integer);
        members.push((name, base64url::encode(unsigned)));
        rest = after;
    }
    // The public two stand in the key's public form already.
    Some(members.into_iter().skip(2).collect())
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, JoseError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(JoseError::Key("a member of its private part is missing"))
}

fn append_integer(unsigned: &[u8], to: &mut Vec<u8>) -> Result<(), JoseError> {
    let start = unsigned
        .iter()
        .position(|byte| *byte != 0)
        .ok_or(JoseError::Key("an integer is zero"))?;
    let significant = unsigned.get(start..).unwrap_or_default();
    let mut content = Vec::with_capacity(significant.len() + 1);
    // A leading zero keeps the integer from being negative.
    if significant.first().is_some_and(|byte| *byte >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(significant);
    let appended = append(INTEGER, &content, to);
    content.zeroize();
    appended
}

/// Appends one element with its length in the shortest form, of at most 65,535 bytes.
fn append(tag: u8, content: &[u8], to: &mut Vec<u8>) -> Result<(), JoseError> {
    let length = u16::try_from(content.len()).map_err(|_| JoseError::TooLong)?;
    to.push(tag);
    match (u8::try_from(length), length.to_be_bytes()) {
        (Ok(short @ 0..=0x7f), _) => to.push(short),
        (Ok(short), _) => to.extend([0x81, short]),
        (Err(_), [high, low]) => to.extend([0x82, high, low]),
    }
    to.extend_from_slice(content);
    Ok(())
}
