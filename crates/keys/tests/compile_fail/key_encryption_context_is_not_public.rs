use countersign_keys::envelope::Aad;

fn main() {
    let _ = Aad::key_encryption_key();
}
