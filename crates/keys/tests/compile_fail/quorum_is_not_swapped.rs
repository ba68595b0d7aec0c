use countersign_base::UnixTime;
use countersign_crypto::random::Random;
use countersign_keys::hierarchy::KekSet;
use countersign_keys::seal::{QuorumHeld, RootRotation};

fn rekey(held: QuorumHeld<RootRotation>, keks: &KekSet, random: &Random) {
    let _ = held.rekey(keks, random, UnixTime(0));
}

fn main() {
    let _ = rekey;
}
