//! Signed content against the RFCs' vectors, and the ways to slip another content under a signature.

use super::{ContentForm, SignedContent, sign_content};
use crate::base64url;
use crate::jose::private_jwk::tests::rfc7520_6;
use crate::jose::{Algorithm, HEADER_BYTES_MAX, JoseError, PrivateJwk, PublicJwk, VerifyingKey};
use crate::signing::{PartnerMessage, SigningKey, generate_pkcs8};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const BYTES_MAX: usize = 4096;

fn key() -> SigningKey<PartnerMessage> {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    SigningKey::from_pkcs8(Algorithm::EdDsa, "k".parse().unwrap(), &pkcs8).unwrap()
}

fn statements(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn verify(text: &str, key: &VerifyingKey) -> Result<Vec<u8>, JoseError> {
    Ok(SignedContent::parse(text, &[], BYTES_MAX)?
        .verify(key)?
        .into_inner()
        .into_content())
}

fn verify_detached(text: &str, content: &[u8], key: &VerifyingKey) -> Result<(), JoseError> {
    SignedContent::parse_detached(text, content, &[], BYTES_MAX)?
        .verify(key)
        .map(|_| ())
}

/// RFC 8037 appendices A.1 to A.5; the content there is text. The twin is the same as in RFC 7515 appendix F: without its middle part, and the text beside it.
#[test]
fn rfc8037_a4_content_is_any() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let key = VerifyingKey::new(&PublicJwk::parse(&jwk).unwrap(), Algorithm::EdDsa, None).unwrap();
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(verify(text, &key).unwrap(), b"Example of Ed25519 signing");
    let [header, _, signature] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let detached = format!("{header}..{signature}");
    assert_eq!(
        verify_detached(&detached, b"Example of Ed25519 signing", &key),
        Ok(())
    );
    assert_eq!(
        verify_detached(&detached, b"Example of Ed25519 Signing", &key),
        Err(JoseError::Signature)
    );
}

/// RFC 7520 §6: the inner signature, PS256.
#[test]
fn rfc7520_6_ps256() {
    let key = PrivateJwk::parse(rfc7520_6().to_string().as_bytes())
        .unwrap()
        .verifying_key()
        .unwrap();
    let header = "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9";
    let content = "eyJpc3MiOiJob2JiaXRvbi5leGFtcGxlIiwiZXhwIjoxMzAwODE5MzgwLCJodHRwOi8vZXhhbXBsZS5jb20vaXNfcm9vdCI6dHJ1ZX0";
    let signature = "dPpMqwRZxFYi1UfcDAaf8M99o7kwUWtiXZ-ByvVuJih4MhJ_aZqciprz0OWaIAkIvn1qskChirjKvY9ESZNUCP4JjvfyPS-nqjJxYoA5ztWOyFk2cZNIPXjcJXSQwXPO9tEe-v4VSqgD0aKHqPxYog4N6Cz1lKph1U1sYDSI67_bLL7elg_vkjfMp5_W5l5LuUYGMeh6hxQIaIUXf9EwV2JmvTMuZ-vBOWy0Sniy1EFo72CRTvmtrIf5AROo5MNliY3KtUxeP-SOmD-LEYwW9SlkohYzMVAZDDOrVbv7KVRHpeYNaK75KEQqdCEEkS_rskZS-Qtt_nlegTWh1mEYaA";
    let opened = verify(&format!("{header}.{content}.{signature}"), &key).unwrap();
    assert_eq!(opened, base64url::decode(content).unwrap());
    let bytes = base64url::decode(content).unwrap();
    assert_eq!(
        verify_detached(&format!("{header}..{signature}"), &bytes, &key),
        Ok(())
    );
    let other = base64url::encode(br#"{"iss":"mordor.example"}"#);
    assert_eq!(
        verify(&format!("{header}.{other}.{signature}"), &key),
        Err(JoseError::Signature)
    );
}

#[test]
fn the_key_says_alg_kid_and_typ() {
    let key = key();
    let claimed = json!({ "alg": "none", "kid": "other", "typ": "at+jwt", "iss": "a" });
    let text = sign_content(&key, statements(claimed), b"content", ContentForm::Attached).unwrap();
    let verified = SignedContent::parse(&text, &[], BYTES_MAX)
        .unwrap()
        .verify(&key.verifying_key().unwrap())
        .unwrap();
    assert_eq!(verified.header().algorithm(), Algorithm::EdDsa);
    assert_eq!(verified.header().kid().unwrap().as_str(), "k");
    assert!(verified.header().is_typ("message+jws"));
    assert_eq!(verified.statements().text("iss"), Ok(Some("a")));
}

#[test]
fn there_is_one_content_and_it_is_where_the_form_says() {
    let key = key();
    let verifying = key.verifying_key().unwrap();
    let sign = |form| sign_content(&key, Map::new(), b"content", form).unwrap();
    let (attached, detached) = (sign(ContentForm::Attached), sign(ContentForm::Detached));
    assert_eq!(verify(&attached, &verifying).unwrap(), b"content");
    assert_eq!(verify_detached(&detached, b"content", &verifying), Ok(()));
    // Two contents, or none.
    assert_eq!(
        verify_detached(&attached, b"content", &verifying),
        Err(JoseError::Parts)
    );
    assert_eq!(verify(&detached, &verifying), Err(JoseError::Parts));
    assert_eq!(
        verify_detached(&detached, b"", &verifying),
        Err(JoseError::Parts)
    );
    // Another content.
    assert_eq!(
        verify_detached(&detached, b"Content", &verifying),
        Err(JoseError::Signature)
    );
    assert!(sign_content(&key, Map::new(), b"", ContentForm::Detached).is_err());
}

#[test]
fn extensions_are_neither_read_nor_written() {
    let key = key();
    for name in ["crit", "b64", "zip"] {
        let header = statements(json!({ name: ["a"] }));
        assert_eq!(
            sign_content(&key, header, b"a", ContentForm::Attached),
            Err(JoseError::Extension(name))
        );
    }
    let forged = |header: Value| {
        let signed = format!(
            "{}.{}",
            base64url::encode(header.to_string().as_bytes()),
            base64url::encode(b"a")
        );
        let signature = base64url::encode(&key.sign(signed.as_bytes()).unwrap());
        verify(
            &format!("{signed}.{signature}"),
            &key.verifying_key().unwrap(),
        )
    };
    assert_eq!(forged(json!({ "alg": "EdDSA" })), Ok(b"a".to_vec()));
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        assert_eq!(
            forged(json!({ "alg": "EdDSA", name: value })),
            Err(JoseError::Extension(name))
        );
    }
    assert_eq!(
        forged(json!({ "alg": "none" })),
        Err(JoseError::AlgorithmUnknown)
    );
    assert_eq!(
        forged(json!({ "alg": "ES256" })),
        Err(JoseError::AlgorithmDiffers)
    );
    assert_eq!(
        forged(json!({ "alg": "EdDSA", "kid": "other" })),
        Err(JoseError::Header("kid"))
    );
}

/// RFC 7515 §4.1.11: what is critical is there, is said once, and is known to the reader, or nothing of it is read.
#[test]
fn a_statement_is_critical_to_those_who_understand_it() {
    let key = key();
    let verifying = key.verifying_key().unwrap();
    let read = |text: &str, understood: &[&str]| {
        let attached = SignedContent::parse(text, understood, BYTES_MAX)?.verify(&verifying);
        let [header, _, signature] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
        let beside = format!("{header}..{signature}");
        let beside = SignedContent::parse_detached(&beside, b"a", understood, BYTES_MAX)
            .and_then(|read| read.verify(&verifying));
        assert_eq!(attached.is_ok(), beside.is_ok());
        attached.map(|_| ())
    };
    let refused = Err(JoseError::Extension("crit"));
    let header = statements(json!({ "crit": ["ours"], "ours": "" }));
    let text = sign_content(&key, header, b"a", ContentForm::Attached).unwrap();
    assert_eq!(read(&text, &["ours"]), Ok(()));
    assert_eq!(read(&text, &["theirs", "ours"]), Ok(()));
    assert_eq!(read(&text, &[]), refused);
    assert_eq!(read(&text, &["theirs"]), refused);
    // The reader understands both names in each of these.
    for crit in [
        json!([]),
        json!("ours"),
        json!(null),
        json!({ "ours": 1 }),
        json!([1]),
        json!(["ours", "ours"]),
        json!(["theirs"]),
        json!(["ours", "theirs"]),
        json!(["ours", "alg"]),
        json!(["ours", "other"]),
    ] {
        let header = json!({ "alg": "EdDSA", "crit": crit, "ours": "", "other": "" });
        let part = base64url::encode(header.to_string().as_bytes());
        let signed = format!("{part}.{}", base64url::encode(b"a"));
        let signature = base64url::encode(&key.sign(signed.as_bytes()).unwrap());
        let text = format!("{signed}.{signature}");
        assert_eq!(read(&text, &["ours", "theirs"]), refused, "{crit}");
    }
    // Nor is that written, or a name that the RFCs give a meaning.
    for crit in [
        json!([]),
        json!(["theirs"]),
        json!(["ours", "ours"]),
        json!(["cty"]),
    ] {
        let header = statements(json!({ "crit": crit, "ours": "", "cty": "a/b" }));
        let made = sign_content(&key, header, b"a", ContentForm::Attached);
        assert_eq!(made, Err(JoseError::Extension("crit")), "{crit}");
    }
}

#[test]
fn lengths_are_bounded() {
    let key = key();
    let verifying = key.verifying_key().unwrap();
    let content = vec![b'a'; 1024];
    let attached = sign_content(&key, Map::new(), &content, ContentForm::Attached).unwrap();
    let detached = sign_content(&key, Map::new(), &content, ContentForm::Detached).unwrap();
    let at = |text: &str, max| SignedContent::parse(text, &[], max).map(|_| ());
    assert_eq!(at(&attached, attached.len()), Ok(()));
    assert_eq!(at(&attached, attached.len() - 1), Err(JoseError::TooLong));
    let beside = |max| SignedContent::parse_detached(&detached, &content, &[], max).map(|_| ());
    assert_eq!(beside(1024), Ok(()));
    assert_eq!(beside(1023), Err(JoseError::TooLong));
    assert_eq!(verify(&attached, &verifying).unwrap(), content);
}

/// Whoever may send a long content may not have a long header taken apart: nobody has verified it by then.
#[test]
fn a_header_is_bounded_however_long_the_content_may_be() {
    let key = key();
    let long = |bytes: usize| {
        let padding = Map::from_iter([("padding".to_owned(), json!("a".repeat(bytes)))]);
        let text = sign_content(&key, padding, b"content", ContentForm::Attached).unwrap();
        let header = text.split('.').next().unwrap().len();
        (
            SignedContent::parse(&text, &[], 1 << 20).map(|_| ()),
            header,
        )
    };
    let (outcome, header) = long(24_400);
    assert!(header < HEADER_BYTES_MAX);
    assert_eq!(outcome, Ok(()));
    let (outcome, header) = long(24_700);
    assert!(header > HEADER_BYTES_MAX);
    assert_eq!(outcome, Err(JoseError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_signed_is_verified_and_nothing_else(content in proptest::collection::vec(any::<u8>(), 1..200), flipped in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let key = key();
        let verifying = key.verifying_key().unwrap();
        let text = sign_content(&key, Map::new(), &content, ContentForm::Detached).unwrap();
        prop_assert_eq!(verify_detached(&text, &content, &verifying), Ok(()));
        let mut other = content.clone();
        other[flipped.index(content.len())] ^= 1 << bit;
        prop_assert_eq!(verify_detached(&text, &other, &verifying), Err(JoseError::Signature));
        let attached = sign_content(&key, Map::new(), &content, ContentForm::Attached).unwrap();
        prop_assert_eq!(verify(&attached, &verifying), Ok(content));
    }

    #[test]
    fn parsing_never_panics(text in "(eyJhbGciOiJFUzI1NiJ9|[A-Za-z0-9_=-]{0,20})(\\.(e30|[A-Za-z0-9_-]{0,20})){0,5}|\\PC{0,60}", content in proptest::collection::vec(any::<u8>(), 0..20)) {
        let _ = SignedContent::parse(&text, &[], BYTES_MAX);
        let _ = SignedContent::parse_detached(&text, &content, &[], BYTES_MAX);
    }
}
