use countersign_keys::envelope::EnvelopeKey;

fn steal(key: &EnvelopeKey) -> &[u8; 32] {
    key.secret().expose()
}

fn main() {}
