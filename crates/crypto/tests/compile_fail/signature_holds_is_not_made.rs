use countersign_crypto::jose::SignatureHolds;

fn made() -> SignatureHolds {
    SignatureHolds(())
}

fn main() {}
