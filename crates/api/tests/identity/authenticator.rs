//! An authenticator made of a key: what a browser would send of a passkey.

use super::browser::Form;
use super::harness::{ISSUER, Reply, escape};
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use serde_json::{Value, json};

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const ATTESTED: u8 = 1 << 6;

/// A passkey on its device.
#[derive(Clone)]
pub(crate) struct Passkey {
    key: std::sync::Arc<SigningKey<ClientAssertion>>,
    id: Vec<u8>,
    user: Vec<u8>,
    pub(crate) counter: u32,
    /// Whether it asks for a PIN.
    pub(crate) verifies: bool,
    /// Where the browser says that it is.
    pub(crate) origin: String,
}

/// A form for passkeys: where it goes, and what its script would read.
pub(crate) struct PasskeyForm {
    pub(crate) form: Form,
    pub(crate) options: Value,
}

impl PasskeyForm {
    /// The form of this ceremony (`get`, `create`) on a page.
    pub(crate) fn of(page: &Reply, ceremony: &str) -> Self {
        let mark = format!("data-passkey=\"{ceremony}\"");
        let before = page.text.split(&mark).next().unwrap();
        let start = before.rfind("<form").unwrap();
        let (_, text) = page.text.split_at(start);
        assert!(text.contains(&mark), "a form for passkeys: {page:?}");
        let between = |before: &str| {
            let rest = text.split(before).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let options = between("data-options=\"").replace("&#34;", "\"");
        Self {
            form: Form {
                action: between("action=\""),
                ticket: between("name=\"ticket\" value=\""),
            },
            options: serde_json::from_str(&options).unwrap(),
        }
    }

    fn challenge(&self) -> &str {
        self.options["challenge"].as_str().unwrap()
    }
}

impl Passkey {
    /// Makes one as the page asks for it, and the fields of the answer.
    pub(crate) fn create(page: &PasskeyForm, number: u8) -> (Self, String) {
        let pkcs8 = signing::generate_pkcs8(Algorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::Es256, "p".parse().unwrap(), &pkcs8).unwrap();
        let user = page.options["user"]["id"].as_str().unwrap();
        let passkey = Self {
            key: std::sync::Arc::new(key),
            id: vec![number; 16],
            user: base64url::decode(user).unwrap(),
            counter: 1,
            verifies: true,
            origin: ISSUER.to_owned(),
        };
        let fields = passkey.registered(page, &format!("Key {number}"));
        (passkey, fields)
    }

    fn registered(&self, page: &PasskeyForm, name: &str) -> String {
        let mut data = self.data(ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        let mut attestation = vec![0xa3, 0x63];
        attestation.extend(b"fmt\x64none\x67attStmt");
        attestation.extend([0xa0, 0x68]);
        attestation.extend(b"authData\x59");
        attestation.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        attestation.extend(data);
        let client_data = self.client_data("webauthn.create", page.challenge());
        self.fields(
            &json!({"clientDataJSON": base64url::encode(client_data.as_bytes()), "attestationObject": base64url::encode(&attestation)}),
            name,
        )
    }

    /// Signs what the page asks for.
    pub(crate) fn sign(&mut self, page: &PasskeyForm) -> String {
        self.counter += 1;
        let (data, client_data) = (
            self.data(0),
            self.client_data("webauthn.get", page.challenge()),
        );
        let mut message = data.clone();
        message.extend(sha256(client_data.as_bytes()));
        let signature = der(&self.key.sign(&message).unwrap());
        self.fields(
            &json!({
                "clientDataJSON": base64url::encode(client_data.as_bytes()),
                "authenticatorData": base64url::encode(&data),
                "signature": base64url::encode(&signature),
                "userHandle": base64url::encode(&self.user),
            }),
            "",
        )
    }

    fn fields(&self, response: &Value, name: &str) -> String {
        let credential =
            json!({"id": base64url::encode(&self.id), "type": "public-key", "response": response});
        let credential = escape(&credential.to_string());
        format!("credential={credential}&name={}", escape(name))
    }

    fn client_data(&self, kind: &str, challenge: &str) -> String {
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(b"id.test").to_vec();
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        data.push(USER_PRESENT | verified | flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn cose(&self) -> Vec<u8> {
        let jwk = self.key.public_jwk().to_json();
        let part = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
        let mut map = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        map.extend(part("x"));
        map.extend([0x22, 0x58, 0x20]);
        map.extend(part("y"));
        map
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
