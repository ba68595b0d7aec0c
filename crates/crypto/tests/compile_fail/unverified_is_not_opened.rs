use countersign_crypto::jose::Jws;
use countersign_crypto::verified::Unverified;

fn open(jws: Unverified<Jws>) -> Jws {
    jws.0
}

fn main() {}
