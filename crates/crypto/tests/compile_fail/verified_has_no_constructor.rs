use countersign_crypto::jose::{Claims, SignatureHolds};
use countersign_crypto::verified::Verified;

fn believe(claims: Claims, holds: SignatureHolds) -> Verified<Claims> {
    Verified::new(claims, holds)
}

fn main() {}
