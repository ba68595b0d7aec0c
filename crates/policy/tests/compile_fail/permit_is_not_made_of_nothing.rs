use countersign_policy::Permitted;

fn from_nothing() -> Permitted<u8> {
    Permitted::default()
}

fn main() {}
