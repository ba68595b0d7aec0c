// The target of a permit cannot be replaced.

use countersign_policy::Permitted;

fn swap(permit: Permitted<u8>) -> Permitted<u8> {
    Permitted { target: 1, ..permit }
}

fn main() {}
