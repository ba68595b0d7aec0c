// The twin of what does not compile: every name there exists, and does what it is for.

use countersign_base::Secret;
use countersign_crypto::jose::{Claims, Jws, SignatureHolds, sign_jwt};
use countersign_crypto::mac::{Tag, TagVerified};
use countersign_crypto::password::PasswordMatched;
use countersign_crypto::signing::{AccessToken, IdToken, KeyInHeader, LogCheckpoint, Purpose, SigningKey};
use countersign_crypto::verified::{Unverified, Verified};

fn signs_what_it_is_for(key: &SigningKey<AccessToken>) {
    let _ = sign_jwt(key, &serde_json::json!({}));
}

fn named(_: KeyInHeader) -> (&'static str, &'static str, &'static str) {
    (AccessToken::NAME, IdToken::NAME, LogCheckpoint::NAME)
}

fn passed_on(claims: Verified<Claims>, jws: Unverified<Jws>, proofs: (SignatureHolds, TagVerified, PasswordMatched)) {
    let _ = (claims, jws, proofs);
}

fn main() {
    let secret = Secret::new(String::new());
    assert!(secret.expose().is_empty());
    assert!(serde_json::to_string(&[0_u8]).is_ok());
    let _ = Tag::from_bytes([0; 32]);
}
