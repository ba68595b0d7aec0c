use countersign_wire::http_signature::{LabelledSignature, SignatureVerified};

fn believe(signature: LabelledSignature) -> SignatureVerified {
    SignatureVerified { signature }
}

fn main() {}
