// The twin of what does not compile: a key-encryption key seals a row.

use countersign_base::{Secret, Tenant};
use countersign_crypto::random::Random;
use countersign_keys::Kek;
use countersign_keys::envelope::{Aad, EnvelopeKey, seal};
use countersign_keys::hierarchy::RootKey;

fn sealed(kek: &Kek) {
    let place = Aad::row(&Tenant::default_tenant(), "users", "password", b"1");
    let _ = seal(kek, &place, b"text", &Random::system());
}

fn held(_: &EnvelopeKey) {}

fn main() {
    let _ = RootKey::from_bytes(&Secret::new([0; 32]));
}
