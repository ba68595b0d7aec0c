//! An issuer, a client with a key, and their requests, for this crate's tests.

use crate::keys::StaticKeys;
use countersign_authn::{Anonymous, Binding, ResourceRules, TrustedIssuer};
use countersign_base::{Clock, UnixMillis, UnixTime};
use countersign_crypto::digest::sha256_base64url;
use countersign_crypto::jose::{Algorithm, JwkSet, sign_jwt};
use countersign_crypto::signing::{AccessToken, DpopProof, Purpose, SigningKey, generate_pkcs8};
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The time when a test begins.
pub(crate) const NOW: UnixTime = UnixTime(1_700_000_000);
pub(crate) const ORIGIN: &str = "https://billing.example:8443";
pub(crate) const AUDIENCE: &str = "https://billing.example";
const ISSUER: &str = "https://id.example";

/// A clock and its hand.
pub(crate) fn clock() -> (Clock, Arc<AtomicI64>) {
    let seconds = Arc::new(AtomicI64::new(NOW.0));
    let read = Arc::clone(&seconds);
    (
        Clock::from_fn(move || UnixMillis(read.load(Ordering::SeqCst) * 1000)),
        seconds,
    )
}

pub(crate) fn rules(audience: &str, binding: Binding, anonymous: Anonymous) -> ResourceRules {
    ResourceRules::new(
        audience.parse().unwrap(),
        vec![issuer()],
        binding,
        anonymous,
    )
}

pub(crate) fn issuer() -> TrustedIssuer {
    TrustedIssuer {
        issuer: ISSUER.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: vec![Algorithm::EdDsa],
    }
}

/// Who gets tokens and sends requests: the issuer's key and the client's.
pub(crate) struct Sender {
    token: SigningKey<AccessToken>,
    proof: SigningKey<DpopProof>,
}

pub(crate) fn key<P: Purpose>() -> SigningKey<P> {
    SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        "key-1".parse().unwrap(),
        &generate_pkcs8(Algorithm::EdDsa).unwrap(),
    )
    .unwrap()
}

/// The key set of the sender's issuer.
pub(crate) fn keys_of(sender: &Sender) -> StaticKeys {
    let set = JwkSet::single(sender.token.verifying_key().unwrap()).to_json();
    StaticKeys::new([(ISSUER.parse().unwrap(), set.to_string().into())])
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            token: key(),
            proof: key(),
        }
    }

    fn token(&self, more: &Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "sub": "00112233445566778899aabbccddeeff", "aud": AUDIENCE, "exp": NOW.0 + 400, "iat": NOW.0, "jti": "1",
            "client_id": "portal", "scope": "billing.read",
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        sign_jwt(&self.token, &claims).unwrap()
    }

    /// A request with an unbound token.
    pub(crate) fn bearer(&self, more: Value) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            format!("Bearer {}", self.token(&more)).parse().unwrap(),
        );
        headers
    }

    /// A request for `GET /invoices` with a bound token and its proof, made 100 seconds after the test began.
    pub(crate) fn dpop(&self, mut more: Value, jti: &str, nonce: Option<&str>) -> HeaderMap {
        more["cnf"] = json!({ "jkt": self.proof.public_jwk().thumbprint().to_string() });
        let token = self.token(&more);
        let mut claims = json!({ "jti": jti, "htm": "GET", "htu": format!("{ORIGIN}/invoices"), "iat": NOW.0 + 100, "ath": sha256_base64url(token.as_bytes()) });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("DPoP {token}").parse().unwrap());
        headers.insert(
            "dpop",
            sign_jwt(&self.proof, &claims).unwrap().parse().unwrap(),
        );
        headers
    }
}
