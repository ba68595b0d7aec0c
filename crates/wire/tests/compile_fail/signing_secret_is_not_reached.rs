use countersign_wire::webhook::standard::SigningSecret;

fn reach(secret: &SigningSecret) -> usize {
    match secret {
        SigningSecret::Hmac(secret) => secret.bytes.expose().len(),
        SigningSecret::Ed25519(_) => 0,
    }
}

fn main() {}
