use countersign_policy::Permitted;

fn open(permit: Permitted<u8>) -> u8 {
    permit.target
}

fn main() {}
