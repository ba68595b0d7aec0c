use countersign_crypto::jose::sign_jwt;
use countersign_crypto::signing::{LogCheckpoint, SigningKey};

fn sign(key: &SigningKey<LogCheckpoint>) {
    let _ = sign_jwt(key, &serde_json::json!({}));
}

fn main() {}
