//! Ceremonies with an authenticator made of a key: what a browser would send, and each thing that may be wrong with it.

use super::*;
use countersign_base::Kid;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use serde_json::{Value, json};

const ORIGIN: &str = "https://id.example";

fn party() -> RelyingParty {
    RelyingParty::of(&format!("{ORIGIN}/t/acme").parse().unwrap()).unwrap()
}

fn challenge() -> Challenge {
    Challenge::new([3; 32])
}

/// A passkey.
struct Authenticator {
    key: SigningKey<ClientAssertion>,
    id: Vec<u8>,
    flags: u8,
    counter: u32,
    party: &'static str,
}

impl Authenticator {
    fn new(algorithm: Algorithm) -> Self {
        let pkcs8 = signing::generate_pkcs8(algorithm).unwrap();
        let kid: Kid = "a".parse().unwrap();
        Self {
            key: SigningKey::from_pkcs8(algorithm, kid, &pkcs8).unwrap(),
            id: vec![9; 16],
            flags: 0b0000_0101,
            counter: 1,
            party: "id.example",
        }
    }

    fn cose(&self) -> Vec<u8> {
        let jwk = self.key.public_jwk().to_json();
        let part = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
        let mut map = Vec::new();
        match self.key.algorithm() {
            Algorithm::Es256 => {
                map.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
                map.extend(part("x"));
                map.extend([0x22, 0x58, 0x20]);
                map.extend(part("y"));
            }
            Algorithm::EdDsa => {
                map.extend([0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20]);
                map.extend(part("x"));
            }
            Algorithm::Ps256 | Algorithm::Rs256 => unreachable!("not used here"),
        }
        map
    }

    fn data(&self, attested: bool) -> Vec<u8> {
        let mut data = sha256(self.party.as_bytes()).to_vec();
        data.push(self.flags | if attested { 1 << 6 } else { 0 });
        data.extend(self.counter.to_be_bytes());
        if attested {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
            data.extend(&self.id);
            data.extend(self.cose());
        }
        data
    }

    fn create(&self, client_data: &Value) -> String {
        let data = self.data(true);
        let mut attestation = vec![0xa3, 0x63];
        attestation.extend(b"fmt");
        attestation.push(0x64);
        attestation.extend(b"none");
        attestation.push(0x67);
        attestation.extend(b"attStmt");
        attestation.extend([0xa0, 0x68]);
        attestation.extend(b"authData");
        attestation.extend([0x59]);
        attestation.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        attestation.extend(data);
        json!({
            "id": base64url::encode(&self.id), "rawId": base64url::encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": base64url::encode(client_data.to_string().as_bytes()),
                "attestationObject": base64url::encode(&attestation),
            },
        })
        .to_string()
    }

    fn get(&self, client_data: &Value) -> Value {
        let (data, client_data) = (self.data(false), client_data.to_string());
        let mut message = data.clone();
        message.extend(sha256(client_data.as_bytes()));
        let signature = self.key.sign(&message).unwrap();
        let signature = match self.key.algorithm() {
            Algorithm::Es256 => der(&signature),
            Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Rs256 => signature,
        };
        json!({
            "id": base64url::encode(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": base64url::encode(client_data.as_bytes()),
                "authenticatorData": base64url::encode(&data),
                "signature": base64url::encode(&signature),
                "userHandle": base64url::encode(b"alice"),
            },
        })
    }

    fn register(&self) -> Credential {
        RegistrationResponse::parse(&self.create(&created()))
            .unwrap()
            .verify(&party(), &challenge())
            .unwrap()
            .0
    }
}

/// A fixed-length ECDSA signature in DER.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(31);
        let mut digits = bytes[start..].to_vec();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        let mut element = vec![2, u8::try_from(digits.len()).unwrap()];
        element.extend(digits);
        element
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    let mut der = vec![0x30, u8::try_from(body.len()).unwrap()];
    der.extend(body);
    der
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
    AssertionResponse::parse(&authenticator.get(client_data).to_string())?.verify(
        &party(),
        &challenge(),
        credential,
        b"alice",
    )
}

#[test]
fn a_credential_is_made_and_signs_with_every_algorithm_that_is_offered() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let mut authenticator = Authenticator::new(algorithm);
        let credential = authenticator.register();
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
    let mut authenticator = Authenticator::new(Algorithm::Es256);
    let credential = authenticator.register();
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
    let response = RegistrationResponse::parse(&authenticator.create(&got())).unwrap();
    assert_eq!(
        response.verify(&party(), &challenge()).unwrap_err(),
        WebauthnError::WrongCeremony
    );
}

#[test]
fn what_the_authenticator_says_must_be_for_us_and_touched_and_ahead() {
    let good = Authenticator::new(Algorithm::Es256);
    let credential = good.register();
    let case = |change: &dyn Fn(&mut Authenticator)| {
        let mut authenticator = Authenticator {
            key: Authenticator::new(Algorithm::Es256).key,
            ..Authenticator::new(Algorithm::Es256)
        };
        authenticator.counter = 2;
        change(&mut authenticator);
        asserted(&authenticator, &credential, &got()).unwrap_err()
    };
    assert_eq!(case(&|_| {}), WebauthnError::Signature, "another key");
    assert_eq!(
        case(&|authenticator| authenticator.party = "evil.example"),
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
    let mut authenticator = Authenticator::new(Algorithm::EdDsa);
    authenticator.counter = 0;
    let credential = authenticator.register();
    assert!(asserted(&authenticator, &credential, &got()).is_ok());
}

#[test]
fn somebody_elses_credential_proves_nothing() {
    let mut authenticator = Authenticator::new(Algorithm::Es256);
    let credential = authenticator.register();
    authenticator.counter = 2;
    let response = AssertionResponse::parse(&authenticator.get(&got()).to_string()).unwrap();
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
    let authenticator = Authenticator::new(Algorithm::Es256);
    let mut other_kind = authenticator.get(&got());
    other_kind["type"] = json!("password");
    for text in [
        String::new(),
        "{}".to_owned(),
        other_kind.to_string(),
        authenticator
            .get(&got())
            .to_string()
            .replace("signature", "sig"),
        " ".repeat(RESPONSE_BYTES_MAX + 1),
    ] {
        assert!(AssertionResponse::parse(&text).is_err());
    }
    let mut cut: Value = serde_json::from_str(&authenticator.create(&created())).unwrap();
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
