use countersign_crypto::jose::SignatureHolds;
use countersign_crypto::mac::TagVerified;
use countersign_crypto::password::PasswordMatched;

fn main() {
    let _ = (SignatureHolds(()), TagVerified(()), PasswordMatched(()));
}
