use countersign_wire::content_digest::DigestMatches;

fn believe() -> DigestMatches {
    DigestMatches(())
}

fn main() {}
