use countersign_crypto::signing::{AccessToken, SigningKey};

fn write(key: &SigningKey<AccessToken>) {
    let _ = serde_json::to_string(key);
}

fn main() {}
