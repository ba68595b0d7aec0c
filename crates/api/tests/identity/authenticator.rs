//! A passkey at the pages of this server: what a page asks of the authenticator, and the form that a browser would send.

use super::browser::Form;
use super::harness::{ISSUER, Reply, escape};
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_testkit::{Authenticator, USER_PRESENT, USER_VERIFIED};
use serde_json::{Value, json};

/// A passkey on its device.
#[derive(Clone)]
pub(crate) struct Passkey {
    device: Authenticator,
    /// The signature counter.
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
        let user = page.options["user"]["id"].as_str().unwrap();
        let user = base64url::decode(user).unwrap();
        let passkey = Self {
            device: Authenticator::new(Algorithm::Es256, "id.test", vec![number; 16], user),
            counter: 1,
            verifies: true,
            origin: ISSUER.to_owned(),
        };
        let client_data = passkey.client_data("webauthn.create", page.challenge());
        let credential = passkey.device().registration(&client_data);
        let fields = fields(&credential, &format!("Key {number}"));
        (passkey, fields)
    }

    /// Signs what the page asks for.
    pub(crate) fn sign(&mut self, page: &PasskeyForm) -> String {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", page.challenge());
        fields(&self.device().assertion(&client_data), "")
    }

    /// The device as it is now.
    fn device(&self) -> Authenticator {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut device = self.device.clone();
        device.flags = USER_PRESENT | verified;
        device.counter = self.counter;
        device
    }

    fn client_data(&self, kind: &str, challenge: &str) -> String {
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
    }
}

fn fields(credential: &Value, name: &str) -> String {
    let credential = escape(&credential.to_string());
    format!("credential={credential}&name={}", escape(name))
}
