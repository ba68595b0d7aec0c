use countersign_policy::Permitted;

fn two(permit: Permitted<u8>) -> (Permitted<u8>, Permitted<u8>) {
    (permit.clone(), permit)
}

fn main() {}
