use countersign_crypto::signing::{AccessToken, IdToken, SigningKey};

fn sign_access_token(_: &SigningKey<AccessToken>) {}

fn with_the_other_key(key: &SigningKey<IdToken>) {
    sign_access_token(key);
}

fn main() {}
