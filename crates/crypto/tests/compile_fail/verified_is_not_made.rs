use countersign_crypto::jose::Claims;
use countersign_crypto::verified::Verified;

fn believe(claims: Claims) -> Verified<Claims> {
    Verified(claims)
}

fn main() {}
