use super::{SecretError, SecretKind, SigningSecret, verification_key};
use countersign_base::Secret;
use countersign_crypto::Random;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[track_caller]
fn refused(text: &str, expected: SecretError) {
    assert_eq!(
        SigningSecret::parse(&secret(text)).map(|_| ()),
        Err(expected)
    );
}

#[test]
fn both_kinds_are_written_and_read_again() {
    for kind in [SecretKind::Ed25519, SecretKind::Hmac] {
        let made = SigningSecret::generate(kind, &Random::system()).unwrap();
        let text = made.to_text();
        let read = SigningSecret::parse(&text).unwrap();
        assert_eq!(read.kind(), kind);
        assert_eq!(read.to_text().expose(), text.expose());
        assert!(verification_key(&made.to_verifying_text()).is_ok());
    }
}

#[test]
fn a_private_key_alone_is_read_and_with_the_right_public_one() {
    let made = SigningSecret::generate(
        SecretKind::Ed25519,
        &Random::from_fn(|buffer| buffer.fill(7)),
    )
    .unwrap();
    let alone = format!("whsk_{}", countersign_crypto::base64::encode(&[7; 32]));
    let read = SigningSecret::parse(&secret(&alone)).unwrap();
    assert_eq!(read.to_text().expose(), made.to_text().expose());
    let other = format!("whsk_{}", countersign_crypto::base64::encode(&[7; 64]));
    refused(&other, SecretError::Halves);
}

#[test]
fn every_error_says_what_is_wrong() {
    let base64 = countersign_crypto::base64::encode;
    refused("", SecretError::Prefix);
    refused("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Prefix);
    refused(
        "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        SecretError::Versioned("v1,"),
    );
    refused("v1a,whsk_AAAA", SecretError::Versioned("v1a,"));
    refused(
        "whsec_",
        SecretError::Length("`whsec_` holds 24 to 64 bytes"),
    );
    refused("whsec_-_-_", SecretError::Base64);
    refused(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        SecretError::Base64,
    );
    for (bytes, holds) in [(23, false), (24, true), (64, true), (65, false)] {
        let text = format!("whsec_{}", base64(&vec![1; bytes]));
        assert_eq!(SigningSecret::parse(&secret(&text)).is_ok(), holds);
    }
    let public = format!("whpk_{}", base64(&[1; 32]));
    refused(&public, SecretError::PublicForSigning);
    let private = format!("whsk_{}", base64(&[1; 32]));
    assert_eq!(
        verification_key(&secret(&private)).map(|_| ()),
        Err(SecretError::PrivateForVerifying)
    );
    let short = format!("whpk_{}", base64(&[1; 31]));
    assert_eq!(
        verification_key(&secret(&short)).map(|_| ()),
        Err(SecretError::Length("`whpk_` holds 32 bytes"))
    );
}

#[test]
fn nothing_of_it_is_shown() {
    let made = SigningSecret::generate(SecretKind::Hmac, &Random::system()).unwrap();
    assert_eq!(format!("{made:?}"), "SigningSecret(hmac)");
}
