use countersign_crypto::signing::{KeyInHeader, Purpose};

enum Anything {}

impl Purpose for Anything {
    const NAME: &'static str = "Anything";
    const TYP: Option<&'static str> = Some("at+jwt");
    const KEY_IN_HEADER: KeyInHeader = KeyInHeader::Kid;
}

fn main() {}
