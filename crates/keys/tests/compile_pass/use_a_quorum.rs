use countersign_base::UnixTime;
use countersign_crypto::random::Random;
use countersign_keys::hierarchy::KekSet;
use countersign_keys::seal::{QuorumHeld, RekeyRequest, RootRotation, UnsealKey};

fn rotate(held: QuorumHeld<RootRotation>, random: &Random) {
    let _ = held.rotate(None, &[], random);
}

fn rekey(held: QuorumHeld<RekeyRequest>, keks: &KekSet, random: &Random) {
    let _ = held.rekey(keks, random, UnixTime(0));
}

fn main() {
    let _ = (rotate, rekey, UnsealKey::generate);
}
