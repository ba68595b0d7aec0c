//! What the machine allows: one verification of an ES256 signature for each request, on one thread and with nothing around it.

use crate::Failed;
use crate::clients::{AUDIENCE, SCOPE, new_key, now};
use crate::report::Run;
use crate::suites::limit;
use countersign_crypto::jose::{Jws, sign_jwt};
use countersign_crypto::signing::{AccessToken, DpopProof, SigningKey};
use serde_json::json;
use std::time::Duration;

/// An access token: taken apart, and its signature verified.
pub(super) fn token(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<AccessToken> = new_key("limit")?;
    let claims = json!({
        "iss": "https://localhost:8443", "sub": "caller-0", "aud": AUDIENCE, "exp": now() + 3600, "iat": now(),
        "jti": "0123456789abcdef0123456789abcdef", "client_id": "caller-0", "scope": SCOPE, "grant_id": "0123456789abcdef",
    });
    let (token, verifier) = (sign_jwt(&key, &claims)?, key.verifying_key()?);
    limit(duration, || Ok(Jws::parse(&token)?.verify(&verifier)?))
}

/// A proof of possession: the same.
pub(super) fn proof(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<DpopProof> = new_key("proof")?;
    let claims = json!({"jti": "0123456789abcdef", "htm": "GET", "htu": "https://localhost:8444/regions/eu/orders/1", "iat": now(), "ath": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"});
    let (token, verifier) = (sign_jwt(&key, &claims)?, key.verifying_key()?);
    limit(duration, || Ok(Jws::parse(&token)?.verify(&verifier)?))
}
