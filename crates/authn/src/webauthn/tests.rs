//! Ceremonies with an authenticator made of a key: what a browser would send, and each thing that may be wrong with it.

use super::*;
use countersign_crypto::jose::Algorithm;
use countersign_testkit::Authenticator;
use serde_json::{Value, json};

const ORIGIN: &str = "https://id.example";

fn party() -> RelyingParty {
    RelyingParty::of(&format!("{ORIGIN}/t/acme").parse().unwrap()).unwrap()
}

fn challenge() -> Challenge {
    Challenge::new([3; 32])
}

fn authenticator(algorithm: Algorithm) -> Authenticator {
    Authenticator::new(algorithm, "id.example", vec![9; 16], b"alice".to_vec())
}

fn register(authenticator: &Authenticator) -> Credential {
    let response = authenticator.registration(&created().to_string());
    RegistrationResponse::parse(&response.to_string())
        .unwrap()
        .verify(&party(), &challenge())
        .unwrap()
        .0
}

fn client_data(kind: &str) -> Value {
    json!({"type": kind, "challenge": challenge().to_string(), "origin": ORIGIN, "crossOrigin": false})
}

fn created() -> Value {
    client_data("webauthn.create")
}

fn got() -> Value {
    client_data("webauthn.get")
}

fn asserted(
    authenticator: &Authenticator,
    credential: &Credential,
    client_data: &Value,
) -> Result<Asserted, WebauthnError> {
    AssertionResponse::parse(
        &authenticator
            .assertion(&client_data.to_string())
            .to_string(),
    )?
    .verify(&party(), &challenge(), credential, b"alice")
}

#[test]
fn a_credential_is_made_and_signs_with_every_algorithm_that_is_offered() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let mut authenticator = self::authenticator(algorithm);
        let credential = register(&authenticator);
        let stored: Credential =
            serde_json::from_str(&serde_json::to_string(&credential).unwrap()).unwrap();
        assert_eq!(stored, credential);
        for _ in 0..20 {
            authenticator.counter = 2;
            let evidence = asserted(&authenticator, &stored, &got()).unwrap();
            assert_eq!(
                (evidence.counter(), evidence.verification()),
                (2, UserVerification::Verified)
            );
        }
        authenticator.flags = 1;
        let evidence = asserted(&authenticator, &stored, &got()).unwrap();
        assert_eq!(evidence.verification(), UserVerification::Present);
    }
}

#[test]
fn what_the_browser_says_must_be_this_ceremony_here_and_now() {
    let mut authenticator = self::authenticator(Algorithm::Es256);
    let credential = register(&authenticator);
    authenticator.counter = 2;
    for (name, value, error) in [
        (
            "type",
            json!("webauthn.create"),
            WebauthnError::WrongCeremony,
        ),
        (
            "origin",
            json!("https://id.example.evil"),
            WebauthnError::Origin,
        ),
        ("origin", json!("http://id.example"), WebauthnError::Origin),
        ("crossOrigin", json!(true), WebauthnError::Origin),
        (
            "topOrigin",
            json!("https://evil.example"),
            WebauthnError::Origin,
        ),
        (
            "challenge",
            json!(Challenge::new([4; 32]).to_string()),
            WebauthnError::Challenge,
        ),
        ("challenge", json!("short"), WebauthnError::ClientData),
        ("challenge", json!(7), WebauthnError::ClientData),
    ] {
        let mut data = got();
        data[name] = value;
        assert_eq!(
            asserted(&authenticator, &credential, &data).unwrap_err(),
            error,
            "{data}"
        );
    }
    assert!(
        asserted(&authenticator, &credential, &got()).is_ok(),
        "the twin"
    );
    let response =
        RegistrationResponse::parse(&authenticator.registration(&got().to_string()).to_string())
            .unwrap();
    assert_eq!(
        response.verify(&party(), &challenge()).unwrap_err(),
        WebauthnError::WrongCeremony
    );
}

#[test]
fn what_the_authenticator_says_must_be_for_us_and_touched_and_ahead() {
    let good = authenticator(Algorithm::Es256);
    let credential = register(&good);
    let case = |change: &dyn Fn(&mut Authenticator)| {
        let mut authenticator = self::authenticator(Algorithm::Es256);
        authenticator.counter = 2;
        change(&mut authenticator);
        asserted(&authenticator, &credential, &got()).unwrap_err()
    };
    assert_eq!(case(&|_| {}), WebauthnError::Signature, "another key");
    assert_eq!(
        case(&|authenticator| authenticator.party = "evil.example".to_owned()),
        WebauthnError::RelyingParty
    );
    assert_eq!(
        case(&|authenticator| authenticator.flags = 0b100),
        WebauthnError::UserNotPresent
    );
    assert_eq!(
        case(&|authenticator| authenticator.flags = 0b1_0101),
        WebauthnError::BackupFlags
    );
    assert_eq!(
        case(&|authenticator| authenticator.flags = 0b1101),
        WebauthnError::BackupFlags,
        "it was not eligible when it was made"
    );
    assert_eq!(
        case(&|authenticator| authenticator.id = vec![8; 16]),
        WebauthnError::Credential
    );
    let mut same = good;
    assert_eq!(
        asserted(&same, &credential, &got()).unwrap_err(),
        WebauthnError::Counter,
        "it did not advance"
    );
    same.counter = 2;
    assert!(asserted(&same, &credential, &got()).is_ok(), "the twin");
}

#[test]
fn an_authenticator_that_does_not_count_says_zero() {
    let mut authenticator = self::authenticator(Algorithm::EdDsa);
    authenticator.counter = 0;
    let credential = register(&authenticator);
    assert!(asserted(&authenticator, &credential, &got()).is_ok());
}

#[test]
fn somebody_elses_credential_proves_nothing() {
    let mut authenticator = self::authenticator(Algorithm::Es256);
    let credential = register(&authenticator);
    authenticator.counter = 2;
    let response =
        AssertionResponse::parse(&authenticator.assertion(&got().to_string()).to_string()).unwrap();
    assert_eq!(
        response
            .verify(&party(), &challenge(), &credential, b"mallory")
            .unwrap_err(),
        WebauthnError::User
    );
    assert_eq!(response.claimed_challenge().unwrap(), challenge());
}

#[test]
fn responses_without_form_are_refused() {
    let authenticator = self::authenticator(Algorithm::Es256);
    let mut other_kind = authenticator.assertion(&got().to_string());
    other_kind["type"] = json!("password");
    for text in [
        String::new(),
        "{}".to_owned(),
        other_kind.to_string(),
        authenticator
            .assertion(&got().to_string())
            .to_string()
            .replace("signature", "sig"),
        " ".repeat(RESPONSE_BYTES_MAX + 1),
    ] {
        assert!(AssertionResponse::parse(&text).is_err());
    }
    let mut cut: Value = serde_json::from_str(
        &authenticator
            .registration(&created().to_string())
            .to_string(),
    )
    .unwrap();
    let whole = cut["response"]["attestationObject"]
        .as_str()
        .unwrap()
        .to_owned();
    let whole = base64url::decode(&whole).unwrap();
    for length in 0..whole.len() {
        cut["response"]["attestationObject"] = json!(base64url::encode(&whole[..length]));
        let response = RegistrationResponse::parse(&cut.to_string()).unwrap();
        assert!(response.verify(&party(), &challenge()).is_err(), "{length}");
    }
}
