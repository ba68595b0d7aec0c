use countersign_crypto::signing::{AccessToken, SigningKey};

fn show(key: &SigningKey<AccessToken>) {
    println!("{:?}", key.inner.private);
}

fn main() {}
