use countersign_keys::seal::{QuorumHeld, RootRotation, SealRow};

fn invent(row: SealRow) -> QuorumHeld<RootRotation> {
    QuorumHeld {
        row,
        operation: RootRotation,
        authorized: loop {},
    }
}

fn main() {
    let _ = invent;
}
