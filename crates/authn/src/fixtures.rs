//! Keys, tokens, proofs and requests for this crate's tests, with every part open to be broken.

use crate::dpop::{self, DpopKey, DpopRefusal, NoncePolicy, ProofUse};
use crate::revocation::{Freshness, RevocationId, Revocations};
use crate::{Unspent, access_token::TokenHash};
use countersign_base::{Conditional, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{DpopProof, SigningKey, generate_pkcs8};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

/// The time of every test.
pub(crate) const NOW: UnixTime = UnixTime(1_700_000_000);
/// The address of every request.
pub(crate) const TARGET: &str = "https://orders.example/orders/42";

/// A signing key; its purpose does not matter, because tests sign headers of their own.
pub(crate) type Key = SigningKey<DpopProof>;

pub(crate) fn key(algorithm: Algorithm) -> Key {
    named_key(algorithm, "key-1")
}

pub(crate) fn named_key(algorithm: Algorithm, kid: &str) -> Key {
    SigningKey::from_pkcs8(
        algorithm,
        kid.parse().unwrap(),
        &generate_pkcs8(algorithm).unwrap(),
    )
    .unwrap()
}

/// A compact JWS of any header and claims.
pub(crate) fn jws(key: &Key, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = base64url::encode(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// A proof with its parts.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) key: Key,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Proof {
    /// A proof that holds, beside the token if there is one.
    pub(crate) fn good(key: &Key, token: Option<&str>) -> Self {
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": key.public_jwk().to_json() });
        let mut claims = json!({ "jti": "jti-1", "htm": "GET", "htu": TARGET, "iat": NOW.0 });
        if let Some(token) = token {
            claims["ath"] = json!(TokenHash::of(token).to_base64url());
        }
        Self {
            key: key.clone(),
            header,
            claims,
        }
    }

    pub(crate) fn text(&self) -> String {
        jws(&self.key, &self.header, &self.claims)
    }
}

/// Removes a member.
pub(crate) fn without(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Sends a proof to an endpoint.
pub(crate) fn send(
    proof: &str,
    proof_use: ProofUse<'_>,
    nonces: NoncePolicy<'_>,
    now: UnixTime,
) -> Result<Unspent<DpopKey>, DpopRefusal> {
    match dpop::demand(&headers(&[("dpop", proof)]), &Method::GET, TARGET)? {
        Conditional::Absent(_) => panic!("the header is there"),
        Conditional::Present(proof) => dpop::prove(proof, proof_use, nonces, now),
    }
}

/// Nothing is revoked.
pub(crate) struct Nothing;

impl Revocations for Nothing {
    fn not_before(&self, _: RevocationId<'_>) -> Option<UnixTime> {
        None
    }

    fn freshness(&self, _: UnixTime) -> Freshness {
        Freshness::Current
    }
}
