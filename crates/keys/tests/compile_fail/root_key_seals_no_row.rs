use countersign_base::{Secret, Tenant};
use countersign_crypto::random::Random;
use countersign_keys::envelope::{Aad, seal};
use countersign_keys::hierarchy::RootKey;

fn main() {
    let root = RootKey::from_bytes(&Secret::new([0; 32]));
    let place = Aad::row(&Tenant::default_tenant(), "users", "password", b"1");
    let _ = seal(&root, &place, b"text", &Random::system());
}
