use countersign_base::Tenant;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{Aad, seal};
use countersign_keys::seal::UnsealKey;

fn main() {
    let key = UnsealKey::generate(&Random::system());
    let place = Aad::row(&Tenant::default_tenant(), "users", "password", b"1");
    let _ = seal(&key, &place, b"text", &Random::system());
}
