//! An authenticator made of a key: what a browser would send of a passkey (W3C WebAuthn Level 3 §5.2, §6.1, §6.5), with every part open to change.
//!
//! Not here: what a page asks for and how it is sent.

use countersign_crypto::base64url;
use countersign_crypto::digest::sha256;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{self, ClientAssertion, SigningKey};
use serde_json::{Value, json};
use std::sync::Arc;

/// The flag of authenticator data that says: somebody was there (UP).
pub const USER_PRESENT: u8 = 1;
/// The flag that says: and proved to the authenticator who they are (UV).
pub const USER_VERIFIED: u8 = 1 << 2;
const ATTESTED: u8 = 1 << 6;

/// A passkey on its device.
#[derive(Clone)]
pub struct Authenticator {
    key: Arc<SigningKey<ClientAssertion>>,
    /// The id of its credential.
    pub id: Vec<u8>,
    /// The user handle.
    pub user: Vec<u8>,
    /// The flags of its data, but the one of attested credentials.
    pub flags: u8,
    /// The signature counter.
    pub counter: u32,
    /// The relying party's id.
    pub party: String,
}

#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test without its setting has nothing to test"
)]
impl Authenticator {
    /// One with a new key, whose user is present and verified.
    ///
    /// # Panics
    /// When the key cannot be made.
    #[must_use]
    pub fn new(algorithm: Algorithm, party: &str, id: Vec<u8>, user: Vec<u8>) -> Self {
        let pkcs8 = signing::generate_pkcs8(algorithm).expect("a key");
        let kid = "passkey".parse().expect("a key id");
        let key = SigningKey::from_pkcs8(algorithm, kid, &pkcs8).expect("a key");
        Self {
            key: Arc::new(key),
            id,
            user,
            flags: USER_PRESENT | USER_VERIFIED,
            counter: 1,
            party: party.to_owned(),
        }
    }

    /// The credential that answers `navigator.credentials.create()`, without attestation.
    ///
    /// # Panics
    /// When a part is longer than two bytes can say.
    #[must_use]
    pub fn registration(&self, client_data: &str) -> Value {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
        let mut data = self.data(ATTESTED);
        data.extend([0; 16]);
        data.extend(length(&self.id));
        data.extend(&self.id);
        data.extend(self.cose());
        // {"fmt": "none", "attStmt": {}, "authData": ...}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend(length(&data));
        attestation.extend(data);
        self.credential(&json!({
            "clientDataJSON": base64url::encode(client_data.as_bytes()),
            "attestationObject": base64url::encode(&attestation),
        }))
    }

    /// The credential that answers `navigator.credentials.get()`.
    ///
    /// # Panics
    /// When the key refuses to sign.
    #[must_use]
    pub fn assertion(&self, client_data: &str) -> Value {
        let data = self.data(0);
        let message = [&data[..], &sha256(client_data.as_bytes())].concat();
        let signature = self.key.sign(&message).expect("a signature");
        let signature = match self.key.algorithm() {
            Algorithm::Es256 => der(&signature),
            Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Rs256 => signature,
        };
        self.credential(&json!({
            "clientDataJSON": base64url::encode(client_data.as_bytes()),
            "authenticatorData": base64url::encode(&data),
            "signature": base64url::encode(&signature),
            "userHandle": base64url::encode(&self.user),
        }))
    }

    fn credential(&self, response: &Value) -> Value {
        let id = base64url::encode(&self.id);
        json!({"id": id, "rawId": id, "type": "public-key", "response": response})
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let mut data = sha256(self.party.as_bytes()).to_vec();
        data.push(self.flags | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The public key as a COSE map (RFC 9053 §7).
    fn cose(&self) -> Vec<u8> {
        let jwk = self.key.public_jwk().to_json();
        let part = |name: &str| {
            let text = jwk.get(name).and_then(Value::as_str).expect("a part");
            base64url::decode(text).expect("base64url")
        };
        match self.key.algorithm() {
            Algorithm::Es256 => [
                &b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..],
                &part("x"),
                b"\x22\x58\x20",
                &part("y"),
            ]
            .concat(),
            Algorithm::EdDsa => {
                [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], &part("x")].concat()
            }
            Algorithm::Ps256 | Algorithm::Rs256 => panic!("no authenticator of tests has RSA keys"),
        }
    }
}

/// A fixed-length ECDSA signature in DER.
fn der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [integer(r), integer(s)].concat();
    element(0x30, &body)
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    if digits.first().is_none_or(|first| *first >= 0x80) {
        digits.insert(0, 0);
    }
    element(2, &digits)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, length], content].concat()
}
