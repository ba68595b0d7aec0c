//! Keys in the forms that servers by others read: PEM (RFC 7468) around PKCS #8 and `SubjectPublicKeyInfo`.

use crate::Failed;
use base64::Engine as _;
use countersign_crypto::base64url;
use serde_json::Value;

/// All P-256 keys begin with the same bytes, and end with the point (RFC 5480 §2).
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// `rsaEncryption` with its empty parameters (RFC 8017 A.1).
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// The public key of a JWK as PEM.
///
/// # Errors
/// When it is neither on P-256 nor an RSA key.
pub(crate) fn public_pem(jwk: &Value) -> Result<String, Failed> {
    let member = |name: &str| {
        let text = jwk.get(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| format!("the key has no `{name}`"))?;
        Ok::<_, Failed>(base64url::decode(text)?)
    };
    let der = match jwk.get("kty").and_then(Value::as_str) {
        Some("EC") => [P256.to_vec(), member("x")?, member("y")?].concat(),
        Some("RSA") => {
            let numbers = [integer(member("n")?)?, integer(member("e")?)?].concat();
            let key = [vec![0], element(SEQUENCE, &numbers)?].concat();
            let parts = [RSA.to_vec(), element(BIT_STRING, &key)?].concat();
            element(SEQUENCE, &parts)?
        }
        other => return Err(format!("no PEM is made of a key of type {other:?}").into()),
    };
    Ok(pem("PUBLIC KEY", &der))
}

/// A positive number: DER's are signed, so a first bit that is set needs a zero before it (X.690 §8.3).
fn integer(mut bytes: Vec<u8>) -> Result<Vec<u8>, Failed> {
    if bytes.first().is_some_and(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    element(INTEGER, &bytes)
}

/// Tag, length and content (X.690 §8.1).
fn element(tag: u8, content: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut element = vec![tag];
    match u16::try_from(content.len())?.to_be_bytes() {
        [0, short] if short < 0x80 => element.push(short),
        [0, one] => element.extend([0x81, one]),
        [high, low] => element.extend([0x82, high, low]),
    }
    element.extend(content);
    Ok(element)
}

/// PEM of lines of 64 characters.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::public_pem;
    use serde_json::json;

    #[test]
    fn a_key_is_written_as_openssl_writes_it() {
        // RFC 7515 A.3 and A.2; the texts are those of `openssl pkey -pubin`.
        let point = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let text = public_pem(&point).unwrap();
        assert_eq!(
            text,
            "-----BEGIN PUBLIC KEY-----\n\
             MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n\
             6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n\
             -----END PUBLIC KEY-----\n"
        );
        let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let text = public_pem(&json!({"kty": "RSA", "n": modulus, "e": "AQAB"})).unwrap();
        assert!(
            text.starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"),
            "{text}"
        );
        assert!(
            text.ends_with("IDAQAB\n-----END PUBLIC KEY-----\n"),
            "{text}"
        );
        assert!(public_pem(&json!({"kty": "OKP"})).is_err());
    }
}
