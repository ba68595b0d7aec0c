//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! What is kept of a password is the verifier, in the form in which PostgreSQL keeps it (`countersign_crypto::scram`). A role that is not there is played to the end with
//! a verifier that nobody's password fits.

use countersign_base::Secret;
use countersign_crypto::digest::{HashAlgorithm, sha256};
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::{Random, base64, scram};

/// What a client may say of channel binding: that it does none.
const GS2_HEADER: &str = "n,,";

/// `SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, in its parts.
pub(super) struct Verifier {
    iterations: String,
    salt: String,
    stored: Secret<Vec<u8>>,
    server: Secret<Vec<u8>>,
}

impl Verifier {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (first, keys) = rest.split_once('$')?;
        let ((iterations, salt), (stored, server)) =
            (first.split_once(':')?, keys.split_once(':')?);
        let key = |text: &str| base64::decode(text).ok().filter(|key| key.len() == 32);
        Some(Self {
            iterations: iterations.parse::<u32>().ok()?.to_string(),
            salt: base64::encode(&base64::decode(salt).ok()?),
            stored: Secret::new(key(stored)?),
            server: Secret::new(key(server)?),
        })
    }

    /// Nobody's.
    pub(super) fn of_nobody(random: &Random) -> Option<Self> {
        let verifier = scram::verifier(&random.token(), random).ok()?;
        Self::parse(verifier.expose())
    }
}

/// A sign-in of which the first half was said.
pub(super) struct Begun {
    client_first: String,
    server_first: String,
    nonce: String,
}

/// Reads the client's first message, and answers it.
pub(super) fn begin(message: &str, verifier: &Verifier, random: &Random) -> Option<Begun> {
    let bare = message.strip_prefix(GS2_HEADER)?;
    let client_nonce = attribute(bare, "r").filter(|nonce| !nonce.is_empty())?;
    let nonce = format!("{client_nonce}{}", random.token().expose());
    Some(Begun {
        client_first: bare.to_owned(),
        server_first: format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations),
        nonce,
    })
}

/// Evidence that a client knows the password of the verifier, with what proves to it that the server has the verifier.
#[must_use]
pub(super) struct Known {
    pub(super) server_final: String,
}

impl Begun {
    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Reads the client's last message; none where its proof does not hold.
    pub(super) fn finish(self, message: &str, verifier: &Verifier) -> Option<Known> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let bound = base64::decode(attribute(without_proof, "c")?).ok()?;
        if bound != GS2_HEADER.as_bytes() || attribute(without_proof, "r")? != self.nonce {
            return None;
        }
        let said = format!(
            "{},{},{without_proof}",
            self.client_first, self.server_first
        );
        let tag = |key: &[u8]| HmacKey::new(HashAlgorithm::Sha2_256, key).tag(&[said.as_bytes()]);
        let proof = base64::decode(proof)
            .ok()
            .filter(|proof| proof.len() == 32)?;
        let signature = tag(verifier.stored.expose());
        let key: Vec<u8> = proof
            .iter()
            .zip(&signature)
            .map(|(one, other)| one ^ other)
            .collect();
        let key = Secret::new(key);
        verifier
            .stored
            .matches(&sha256(key.expose()))
            .then(|| Known {
                server_final: format!("v={}", base64::encode(&tag(verifier.server.expose()))),
            })
    }
}

/// `r=...` of a message.
fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| {
        part.split_once('=')
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
    })
}
