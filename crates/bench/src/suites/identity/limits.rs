//! What the machine allows: the cryptography of a case alone, on one thread and with nothing around it.

use crate::Failed;
use crate::clients::{AUDIENCE, SCOPE, new_key, now};
use crate::report::Run;
use crate::suites::limit;
use countersign_crypto::jose::{Jws, sign_jwt};
use countersign_crypto::signing::{AccessToken, ClientAssertion, SigningKey};
use serde_json::{Value, json};
use std::time::Duration;

fn claims() -> Value {
    json!({
        "iss": "https://localhost:8443", "sub": "with-secret", "aud": AUDIENCE, "exp": now() + 300, "iat": now(),
        "jti": "0123456789abcdef0123456789abcdef", "client_id": "with-secret", "scope": SCOPE, "grant_id": "0123456789abcdef",
    })
}

/// One ES256 signature of an access token.
pub(super) fn signature(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<AccessToken> = new_key("limit")?;
    let claims = claims();
    limit(duration, || Ok(sign_jwt(&key, &claims)?))
}

/// One ES256 verification of a client's assertion and one ES256 signature of an access token.
pub(super) fn assertion(duration: Duration) -> Result<Run, Failed> {
    let key: SigningKey<AccessToken> = new_key("limit")?;
    let client: SigningKey<ClientAssertion> = new_key("client")?;
    let (claims, token, verifier) = (
        claims(),
        sign_jwt(&client, &claims())?,
        client.verifying_key()?,
    );
    limit(duration, || {
        let _verified = Jws::parse(&token)?.verify(&verifier)?;
        Ok(sign_jwt(&key, &claims)?)
    })
}
