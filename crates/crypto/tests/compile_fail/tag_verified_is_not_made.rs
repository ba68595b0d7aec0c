use countersign_crypto::mac::TagVerified;

fn made() -> TagVerified {
    TagVerified(())
}

fn main() {}
