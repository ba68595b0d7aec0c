use countersign_crypto::random::Random;
use countersign_keys::seal::{QuorumHeld, RootRotation};

fn rotate(held: QuorumHeld<RootRotation>, random: &Random) {
    let _ = held.rotate(None, &[], random);
    let _ = held.rotate(None, &[], random);
}

fn main() {
    let _ = rotate;
}
