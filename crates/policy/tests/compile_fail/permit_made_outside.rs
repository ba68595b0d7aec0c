//! A permit has no constructor and private fields.

use countersign_policy::Permitted;

fn open(permit: Permitted<u8>) -> u8 {
    permit.target
}

fn from_nothing() -> Permitted<u8> {
    Permitted::default()
}

fn main() {}
